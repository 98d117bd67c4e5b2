//! `decode`: what a credential says, without judging it, and without the part of it that opens something.

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use countersign::KeyId;
use countersign::Timestamp;
use countersign::dpop::DPOP;
use countersign::schemes::api_key::{ApiKey, KeyFormatError, X_API_KEY};
use countersign::schemes::asymmetric::Credential;
use countersign::schemes::asymmetric::wire::ASYMMETRIC_AUTHENTICATION;
use countersign::schemes::signature::{SIGNATURE_INPUT, Signed};
use countersign::schemes::webhook::TokenHash;
use countersign::schemes::webhook::wire::split_credential;
use countersign_gateway::management::raw_request;
use countersign_gateway::terminal::{self, escape};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use crate::explain::read;
use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::say::{complain, say};

#[derive(Debug, Args)]
pub(super) struct DecodeFlags {
    /// The credential. Whoever lists the processes of this machine sees it: standard input does not tell.
    #[arg(value_name = "CREDENTIAL")]
    credential: Option<String>,
}

pub(super) fn decode(global: &GlobalFlags, flags: DecodeFlags) -> Outcome {
    let text = match flags.credential {
        Some(text) => text.into_bytes(),
        None => {
            if std::io::stdin().is_terminal() {
                complain("countersign: paste a credential or a request, then end it with Ctrl-D");
            }
            read(Path::new("-"))?.to_vec()
        }
    };
    // A wrong one may be a secret all the same, so that it is not repeated.
    let unknown = || {
        Failure::said(
            "this is none of what is read here: an API key (cs_…), `Webhook …`, a token, the JSON of \
             AsymmetricAuthentication, header lines (`Signature-Input: …`), or a whole HTTP/1.1 request",
        )
    };
    let text = String::from_utf8(text).map_err(|_| unknown())?;
    let found = credentials(&text).map_err(Failure::Said)?;
    if found.is_empty() {
        return Err(unknown());
    }
    match global.json {
        true => say(&terminal::json(&found)),
        false => found.iter().for_each(show),
    }
    Ok(ExitCode::SUCCESS)
}

/// All that is there, each as an object whose `kind` says what it is.
fn credentials(text: &str) -> Result<Vec<Value>, String> {
    let trimmed = text.trim();
    let first = trimmed.lines().next().unwrap_or_default();
    if first.contains(" HTTP/1.") {
        return in_request(text);
    }
    let names_a_field = first.split_once(':').is_some_and(|(name, _)| HeaderName::try_from(name).is_ok());
    if names_a_field {
        return in_request(&format!("GET / HTTP/1.1\n{trimmed}\n\n"));
    }
    Ok(match trimmed.starts_with('{') {
        true => vec![asymmetric(trimmed)],
        false => authorization(trimmed).into_iter().collect(),
    })
}

fn in_request(text: &str) -> Result<Vec<Value>, String> {
    let headers = raw_request::parse(text.as_bytes()).map_err(|why| escape(&why))?.headers;
    let each = |name: &HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    let mut found: Vec<Value> = each(&AUTHORIZATION)
        .iter()
        .map(|value| authorization(value).unwrap_or_else(|| json!({ "kind": "authorization" })))
        .collect();
    found.extend(each(&X_API_KEY).iter().map(|value| api_key(value)));
    found.extend(each(&ASYMMETRIC_AUTHENTICATION).iter().map(|value| asymmetric(value)));
    let proof = |value: &String| {
        let read = token(value.trim()).map(|mut read| {
            read["kind"] = json!("DPoP proof");
            read
        });
        read.unwrap_or_else(|| json!({ "kind": "DPoP proof", "malformed": "it is no token" }))
    };
    found.extend(each(&DPOP).iter().map(proof));
    found.extend(signatures(&headers));
    Ok(found)
}

/// What `Authorization` holds, or what would be held there.
fn authorization(text: &str) -> Option<Value> {
    let (scheme, rest) = text.split_once(' ').unwrap_or(("", text));
    match scheme.to_ascii_lowercase().as_str() {
        "webhook" => Some(webhook(rest.trim())),
        "" | "bearer" | "dpop" if rest.starts_with("cs_") => Some(api_key(rest)),
        "" | "bearer" | "dpop" => token(rest),
        _ => None,
    }
}

fn api_key(text: &str) -> Value {
    // The name is no secret; where it stands is known even if the rest was mistyped.
    let id = text.get(3..15).and_then(KeyId::parse).filter(|_| text.starts_with("cs_"));
    let check = match ApiKey::parse(text) {
        Ok(_) => "fits".to_owned(),
        Err(error @ (KeyFormatError::Check | KeyFormatError::Form)) => error.to_string(),
    };
    json!({ "kind": "api key", "id": id.map(|id| id.as_str().to_owned()), "check": check, "secret": "(hidden)" })
}

fn webhook(text: &str) -> Value {
    match split_credential(text) {
        Ok((url, hash)) => {
            let algorithm = TokenHash::parse(&hash).map(|hash| hash.algorithm().as_str().to_owned());
            let algorithm = algorithm.unwrap_or_else(|error| error.to_string());
            json!({ "kind": "webhook", "url": url, "hash": algorithm })
        }
        Err(why) => json!({ "kind": "webhook", "malformed": why }),
    }
}

fn asymmetric(text: &str) -> Value {
    match Credential::from_header(text) {
        Ok(credential) => json!({
            "kind": "asymmetric",
            "address": credential.address.to_string(),
            "nonce": credential.nonce.as_millis(),
            "nonce as a moment": credential.nonce.to_string(),
            "timestamp": credential.timestamp.to_string(),
            "signature": "(hidden)",
        }),
        Err(denial) => json!({ "kind": "asymmetric", "malformed": denial.cause() }),
    }
}

fn signatures(headers: &HeaderMap) -> Vec<Value> {
    if !headers.contains_key(SIGNATURE_INPUT) {
        return Vec::new();
    }
    let read = match Signed::read_all(headers) {
        Ok(read) => read,
        Err(denial) => return vec![json!({ "kind": "signature", "malformed": denial.cause() })],
    };
    let moment = |moment: Option<Timestamp>| moment.map(|at| at.to_string());
    read.into_iter()
        .map(|signed| {
            let covered: Vec<_> = signed.components.iter().map(ToString::to_string).collect();
            let parameters = signed.parameters;
            json!({
                "kind": "signature",
                "label": signed.label,
                "keyid": parameters.keyid,
                "tag": parameters.tag,
                "alg": parameters.alg,
                "created": moment(parameters.created),
                "expires": moment(parameters.expires),
                "nonce": parameters.nonce,
                "covered": covered,
                "signature": format!("({} bytes)", signed.signature.len()),
            })
        })
        .collect()
}

/// A JWT's header and claims. Its signature is left out: without it, it opens nothing.
fn token(text: &str) -> Option<Value> {
    let mut parts = text.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let read = |part: &str| -> Option<Value> {
        let value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
        matches!(value, Value::Object(_)).then_some(value)
    };
    let length = URL_SAFE_NO_PAD.decode(signature).ok()?.len();
    Some(json!({
        "kind": "token",
        "header": read(header)?,
        "claims": read(claims)?,
        "signature": format!("({length} bytes)"),
    }))
}

fn show(found: &Value) {
    say(found["kind"].as_str().unwrap_or_default());
    for (name, value) in found.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind") {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => escape(text),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).map(escape).collect();
                items.join(" ")
            }
            other => terminal::json(other),
        };
        say(&format!("  {name:18} {value}"));
    }
}
