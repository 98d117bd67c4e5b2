//! Values that are written anew before they are signed: structured fields (RFC 9421 §2.1.1) and query
//! parameters (§2.2.8).

use http::HeaderName;
use sfv::{Dictionary, FieldType as _, Item, List, Parser};

/// A structured field as RFC 9651 writes it; `None` if it is not known to be one, or cannot be read.
pub(super) fn restructured(name: &HeaderName, text: &str) -> Option<String> {
    match name.as_str() {
        "accept-signature"
        | "cache-control"
        | "cdn-cache-control"
        | "content-digest"
        | "no-vary-search"
        | "priority"
        | "repr-digest"
        | "signature"
        | "signature-agent"
        | "signature-input"
        | "signature-key"
        | "want-content-digest"
        | "want-repr-digest"
        | "webhook-key" => Parser::new(text).parse::<Dictionary>().ok()?.serialize(),
        "accept" | "accept-ch" | "accept-encoding" | "accept-language" | "allow" | "cache-status"
        | "client-cert-chain" | "content-encoding" | "content-language" | "proxy-status" | "te"
        | "trailer" | "transfer-encoding" | "vary" => Parser::new(text).parse::<List>().ok()?.serialize(),
        "age"
        | "client-cert"
        | "content-length"
        | "content-type"
        | "idempotency-key"
        | "max-forwards"
        | "origin-agent-cluster"
        | "retry-after" => Some(Parser::new(text).parse::<Item>().ok()?.serialize()),
        _ => None,
    }
}

/// Decodes `application/x-www-form-urlencoded`, and percent-encodes again what needs it.
pub(super) fn encoded_anew(text: &str) -> String {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = String::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let mut byte = if *first == b'+' { b' ' } else { *first };
        bytes = rest;
        if let (b'%', [high, low, after @ ..]) = (byte, rest)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            byte = (high << 4) | low;
            bytes = after;
        }
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    out
}
