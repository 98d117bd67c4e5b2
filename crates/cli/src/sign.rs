//! `sign`: a raw request in, the same request with a proof out.

use std::io::Write as _;

use clap::Args;
use countersign::Clock as _;
use countersign_io::SystemClock;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::call::flags::ProofFlags;
use crate::call::message::Message;
use crate::call::proof::Proof;
use crate::call::shown::Screen;
use crate::failure::{Failure, Outcome};
use crate::global_flags::GlobalFlags;
use crate::raw;

#[derive(Debug, Args)]
pub(super) struct SignFlags {
    #[command(flatten)]
    proof: ProofFlags,
    /// The scheme of the request's URL, unless its target says it. Default: https; http where Host is
    /// this machine.
    #[arg(long, value_name = "SCHEME", value_parser = ["https", "http"])]
    scheme: Option<String>,
}

pub(super) async fn sign(global: &GlobalFlags, flags: SignFlags) -> Outcome {
    let (bytes, request) = raw::from_stdin()?;
    let message = Message {
        url: raw::url(&request, flags.scheme.as_deref())?,
        method: request.method,
        headers: request.headers,
        body: Some(request.body),
    };
    let proof =
        Proof::prepare(global, &flags.proof, None, &message, Screen::new(false, false, false)).await?;
    if matches!(proof, Proof::Nothing) {
        return Err(Failure::said(
            "with what? --key-file FILE, --private-key FILE --key-id ID, --hmac-secret-file FILE --key-id ID, \
             --wallet FILE, --token-file FILE, or --webhook URL",
        ));
    }
    let sent = proof.prove(&message, SystemClock.now()).await?;
    let (head, body) = bytes.split_at(request.head);
    let mut signed = with_headers(head, &message.headers, &sent.headers);
    signed.extend_from_slice(body);
    std::io::stdout().write_all(&signed)?;
    Ok(std::process::ExitCode::SUCCESS)
}

/// The head with what `after` has over `before` behind its last field. Nothing else moves: what was said
/// anew loses its old lines, and what was said in addition keeps them.
fn with_headers(head: &[u8], before: &HeaderMap, after: &HeaderMap) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = head.split_inclusive(|byte| *byte == b'\n').collect();
    // Empty lines may come before the request line; the one that ends the head is the last.
    let end = lines.pop().unwrap_or_default();
    let mut added = Vec::new();
    for name in after.keys() {
        let (old, new) = (values(before, name), values(after, name));
        let more = match new.strip_prefix(&old[..]) {
            Some(more) => more.iter().map(|value| value.as_bytes()).collect(),
            None => match in_addition(&old, &new) {
                Some(more) => vec![more],
                None => {
                    lines.retain(|line| !is_field(line, name));
                    new.iter().map(|value| value.as_bytes()).collect()
                }
            },
        };
        for value in more {
            added.extend_from_slice(name.as_str().as_bytes());
            added.extend_from_slice(b": ");
            added.extend_from_slice(value);
            added.extend_from_slice(end);
        }
    }
    let mut head = lines.concat();
    head.extend_from_slice(&added);
    head.extend_from_slice(end);
    head
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a HeaderValue> {
    headers.get_all(name).iter().collect()
}

/// What follows the old lines where the new value is all of them on one line, and more.
fn in_addition<'a>(old: &[&HeaderValue], new: &[&'a HeaderValue]) -> Option<&'a [u8]> {
    let [new] = new else { return None };
    let old: Vec<_> = old.iter().map(|value| value.as_bytes()).collect();
    new.as_bytes().strip_prefix(&old.join(&b", "[..])[..])?.strip_prefix(b", ")
}

fn is_field(line: &[u8], name: &HeaderName) -> bool {
    let field = line.split(|byte| *byte == b':').next().unwrap_or_default();
    field.len() < line.len() && field.eq_ignore_ascii_case(name.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_gateway::management::raw_request::parse;

    fn with(request: &str, change: impl FnOnce(&mut HeaderMap)) -> String {
        let parsed = parse(request.as_bytes()).unwrap();
        let mut after = parsed.headers.clone();
        change(&mut after);
        let head = &request.as_bytes()[..parsed.head];
        String::from_utf8(with_headers(head, &parsed.headers, &after)).unwrap()
    }

    #[test]
    fn what_is_new_comes_last_and_ends_as_the_other_lines_do() {
        for end in ["\r\n", "\n"] {
            let request = format!("GET / HTTP/1.1{end}hOST:  a {end}X: 1{end}{end}");
            let signed = with(&request, |headers| drop(headers.insert("b", "2".parse().unwrap())));
            assert_eq!(signed, format!("GET / HTTP/1.1{end}hOST:  a {end}X: 1{end}b: 2{end}{end}"));
        }
    }

    #[test]
    fn what_is_said_anew_loses_its_old_lines_and_what_is_added_keeps_them() {
        let request = "GET /d: HTTP/1.1\r\nD: 1\r\nS: a=1\r\nd: 2\r\nS: b=2\r\nA: 1\r\n\r\n";
        let signed = with(request, |headers| {
            headers.insert("d", "3".parse().unwrap());
            headers.insert("s", "a=1, b=2, c=3".parse().unwrap());
            headers.append("a", "2".parse().unwrap());
        });
        let (head, added) = signed.split_once("A: 1\r\n").unwrap();
        assert_eq!(head, "GET /d: HTTP/1.1\r\nS: a=1\r\nS: b=2\r\n");
        let mut added: Vec<_> = added.trim_end().split("\r\n").collect();
        added.sort_unstable();
        assert_eq!(added, ["a: 2", "d: 3", "s: c=3"]);
    }
}
