//! PEM (RFC 7468): one key in its armour, and what is inside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::KeyError;

/// No key that is taken here comes near.
const MAX_BYTES: usize = 64 * 1024;

/// What a block is labelled as, and its bytes.
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// The one block of a file; `EC PARAMETERS`, which OpenSSL writes before a key, is passed over, and
/// so is text around the block.
pub(super) fn read(text: &str) -> Result<Block<'_>, KeyError> {
    if text.len() > MAX_BYTES {
        return Err(KeyError::Pem("it is larger than 64 KiB"));
    }
    let mut found = None;
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        let (label, body) = begun.split_once("-----").ok_or(KeyError::Pem("a BEGIN line breaks off"))?;
        let (body, after) = body.split_once("-----END ").ok_or(KeyError::Pem("there is no END line"))?;
        let (end, after) = after.split_once("-----").ok_or(KeyError::Pem("an END line breaks off"))?;
        if end != label {
            return Err(KeyError::Pem("BEGIN and END name different things"));
        }
        rest = after;
        if label == "EC PARAMETERS" {
            continue;
        }
        if found.replace((label, body)).is_some() {
            return Err(KeyError::Pem("there is more than one block"));
        }
    }
    let (label, body) = found.ok_or(KeyError::Pem("there is no BEGIN line"))?;
    if label == "ENCRYPTED PRIVATE KEY" || body.contains("ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    if label.ends_with("CERTIFICATE") {
        return Err(KeyError::Certificate);
    }
    let packed: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|character| !character.is_ascii_whitespace()).collect());
    let bytes = STANDARD.decode(&*packed).map_err(|_| KeyError::Pem("what is inside is not base64"))?;
    Ok(Block { label, bytes: Zeroizing::new(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Vec<u8>), KeyError> {
        super::read(text).map(|block| (block.label.to_owned(), block.bytes.to_vec()))
    }

    #[test]
    fn a_block_is_read_whatever_its_line_ends() {
        for text in [
            "-----BEGIN X-----\nAQI=\n-----END X-----\n",
            "# a key\r\n-----BEGIN X-----\r\nAQ\r\nI=\r\n-----END X-----",
            "-----BEGIN EC PARAMETERS-----\nBgg=\n-----END EC PARAMETERS-----\n\
             -----BEGIN X-----\nAQI=\n-----END X-----\n",
        ] {
            assert_eq!(read(text), Ok(("X".to_owned(), vec![1, 2])), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_block_says_why() {
        let block = "-----BEGIN X-----\nAQI=\n-----END X-----\n";
        for (text, why) in [
            (String::new(), KeyError::Pem("there is no BEGIN line")),
            (block.repeat(2), KeyError::Pem("there is more than one block")),
            (block.replace("END X", "END Y"), KeyError::Pem("BEGIN and END name different things")),
            (block.replace("AQI=", "AQI"), KeyError::Pem("what is inside is not base64")),
            ("-----BEGIN X-----\nAQI=".to_owned(), KeyError::Pem("there is no END line")),
            ("-----BEGIN X".to_owned(), KeyError::Pem("a BEGIN line breaks off")),
            ("-----BEGIN X-----\n-----END X".to_owned(), KeyError::Pem("an END line breaks off")),
            (block.replace('X', "CERTIFICATE"), KeyError::Certificate),
            (block.replace('X', "TRUSTED CERTIFICATE"), KeyError::Certificate),
            (block.replace('X', "ENCRYPTED PRIVATE KEY"), KeyError::Encrypted),
            (block.replace("AQI=", "Proc-Type: 4,ENCRYPTED\n\nAQI="), KeyError::Encrypted),
            (" ".repeat(MAX_BYTES) + block, KeyError::Pem("it is larger than 64 KiB")),
        ] {
            assert_eq!(read(&text), Err(why));
        }
    }
}
