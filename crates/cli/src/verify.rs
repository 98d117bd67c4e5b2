//! `verify`: whether a raw request was signed with a key, judged as a gateway would, but for what only a
//! gateway knows: whether the signature was there before, and whether the key still passes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign::crypto::VerifyingKey;
use countersign::schemes::signature::{Message, Signed, explain, judge as judged, verify as holds};
use countersign::{Clock as _, Code, Denial, RequestView, Timestamp};
use countersign_gateway::management::raw_request::RawRequest;
use countersign_gateway::terminal::{self, escape};
use countersign_io::SystemClock;
use countersign_io::secret_file::read_secret;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::say::{complain, say};
use crate::{key_add, raw};

#[derive(Debug, Args)]
pub(super) struct VerifyFlags {
    /// The public key: PEM or a JWK.
    #[arg(long, value_name = "FILE", required_unless_present = "hmac_secret_file")]
    public: Option<PathBuf>,
    /// A file whose bytes are the secret of an HMAC-SHA256; mode 0600.
    #[arg(long, value_name = "FILE", conflicts_with = "public")]
    hmac_secret_file: Option<PathBuf>,
    /// As if the request had come in then, RFC 3339. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The scheme of the request's URL, unless its target says it. Default: https; http where Host is
    /// this machine.
    #[arg(long, value_name = "SCHEME", value_parser = ["https", "http"])]
    scheme: Option<String>,
}

pub(super) async fn verify(global: &GlobalFlags, flags: &VerifyFlags) -> Outcome {
    let key = key(flags)?;
    let at = at(flags.at.as_deref())?;
    let (_, request) = raw::from_stdin()?;
    let url = raw::url(&request, flags.scheme.as_deref())?;
    let view = request.view(&url, at);
    let read = Signed::read_all(view.headers);
    let signed = read.as_deref().unwrap_or_default();
    let judged = match &read {
        Ok(_) => match choose(signed, &view, &key) {
            Ok(signed) => judge(signed, &view, &request, &key).await,
            Err(denial) => Err(denial),
        },
        Err(denial) => Err(Denial::new(denial.code(), denial.cause().to_owned())),
    };
    let chosen = match &judged {
        Ok(chosen) => Some(*chosen),
        // What did not hold is shown where it is clear which it is.
        Err(_) => signed.first().filter(|_| signed.len() == 1),
    };
    match global.json {
        true => say(&terminal::json(&as_json(judged.as_ref().err(), chosen))),
        false => match &judged {
            Ok(signed) => say(&story(signed, &view)),
            Err(denial) => {
                complain(&format!("countersign: {}: {}", denial.code(), escape(denial.cause())));
                if let Some(signed) = chosen.filter(|_| denial.code() == Code::SignatureInvalid) {
                    complain("what would have been signed, as the request is here:");
                    let base = explain(signed, &Message::from(&view)).to_string();
                    base.lines().for_each(|line| complain(&format!("  {}", escape(line))));
                }
            }
        },
    }
    Ok(if judged.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn key(flags: &VerifyFlags) -> Result<VerifyingKey, Failure> {
    match (&flags.public, &flags.hmac_secret_file) {
        (Some(file), _) => key_add::public_key(file, None),
        (None, Some(file)) => {
            let key = VerifyingKey::from_hmac_secret(&read_secret(file)?);
            key.map_err(|error| Failure::said(format!("{}: {error}", escape(&file.display().to_string()))))
        }
        (None, None) => Err(Failure::said("by which key? --public FILE")),
    }
}

fn at(text: Option<&str>) -> Result<Timestamp, Failure> {
    let Some(text) = text else { return Ok(SystemClock.now()) };
    Timestamp::parse_rfc3339(text).ok_or_else(|| {
        let text = escape(text);
        Failure::said(format!("`{text}` is no time: write RFC 3339, as in 2026-01-31T12:00:00Z"))
    })
}

/// The only signature, or the first of several that the key made.
fn choose<'a>(
    signed: &'a [Signed],
    request: &RequestView<'_>,
    key: &VerifyingKey,
) -> Result<&'a Signed, Denial> {
    match signed {
        [] => Err(Denial::new(Code::CredentialMissing, "the request has no signature")),
        [only] => Ok(only),
        several => {
            let message = Message::from(request);
            let by_key = several.iter().find(|signed| holds(signed, &message, key).is_ok());
            let cause = format!("none of the {} signatures is by this key", several.len());
            by_key.ok_or_else(|| Denial::new(Code::SignatureInvalid, cause))
        }
    }
}

/// As a gateway's verifier does. Here the whole body is there.
async fn judge<'a>(
    signed: &'a Signed,
    view: &RequestView<'_>,
    request: &RawRequest,
    key: &VerifyingKey,
) -> Result<&'a Signed, Denial> {
    let judged = judged(signed, view, &[], usize::MAX, async |_| Ok(key)).await?;
    // A digest without a body is held against no body: something was cut off.
    if let Some(body) = judged.body {
        (body.check)(&request.body)?;
    }
    Ok(signed)
}

fn covered(signed: &Signed) -> Vec<String> {
    signed.components.iter().map(ToString::to_string).collect()
}

fn story(signed: &Signed, request: &RequestView<'_>) -> String {
    let parameters = &signed.parameters;
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), escape);
    let moment = |moment: Option<Timestamp>| moment.map_or_else(|| "-".to_owned(), |at| at.to_string());
    format!(
        "good: {} {} was signed by {} ({}, tag {})\n  made     {}\n  until    {}\n  covers   {}",
        request.method,
        escape(&request.target.to_string()),
        text(&parameters.keyid),
        escape(&signed.label),
        text(&parameters.tag),
        moment(parameters.created),
        moment(parameters.expires),
        escape(&covered(signed).join(" ")),
    )
}

fn as_json(denial: Option<&Denial>, signed: Option<&Signed>) -> Value {
    let parameters = signed.map(|signed| &signed.parameters);
    let moment = |moment: Option<Timestamp>| moment.map(|at| at.to_string());
    json!({
        "outcome": if denial.is_none() { "good" } else { "bad" },
        "code": denial.map(|denial| denial.code().as_str()),
        "cause": denial.map(Denial::cause),
        "covered": signed.map(covered).unwrap_or_default(),
        "label": signed.map(|signed| &signed.label),
        "keyid": parameters.and_then(|parameters| parameters.keyid.as_deref()),
        "tag": parameters.and_then(|parameters| parameters.tag.as_deref()),
        "created": parameters.and_then(|parameters| moment(parameters.created)),
        "expires": parameters.and_then(|parameters| moment(parameters.expires)),
    })
}
