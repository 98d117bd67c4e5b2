//! The receiver's side of one exchange, without I/O: what is asked, and what the answer proves.

use http::StatusCode;

use super::hash::{Algorithm, Token, TokenHash};
use super::introduction::Introduction;
use super::url::WebhookUrl;
use super::wire::Question;
use crate::denial::{Code, Denial};

/// A request that claims to come from the API at a webhook URL.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Whom it names.
    pub url: WebhookUrl,
    /// The hash of its token.
    pub hash: TokenHash,
    /// Our own URL, as the requester must have called it.
    pub receiver_url: String,
    /// The key that it introduces, its signature verified.
    pub introduction: Option<Introduction>,
}

/// What was answered, in the form of a token. It proves nothing until it is settled.
#[derive(Clone, Debug)]
pub struct Answer {
    hash: TokenHash,
    token: Token,
    introduction: Option<Introduction>,
}

/// The API at the URL has said that it sent this request.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The key that it introduced with it.
    pub introduction: Option<Introduction>,
}

impl Exchange {
    /// What to POST to the webhook URL.
    #[must_use]
    pub fn question(&self) -> Question {
        Question { hash: self.hash.as_str().to_owned(), url: self.receiver_url.clone() }
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// `webhook_denied` for all that is no token: another status, a redirect, a page, an echo.
    pub fn read(self, status: StatusCode, body: &[u8]) -> Result<Answer, Denial> {
        if status != StatusCode::OK {
            return Err(denied(format!("{} answered {}", self.url, status.as_u16())));
        }
        let Some(token) = Token::parse(body) else {
            return Err(denied(format!("{} answered something that is no token", self.url)));
        };
        Ok(Answer { hash: self.hash, token, introduction: self.introduction })
    }
}

impl Answer {
    /// Whether settling takes milliseconds, and is better done elsewhere.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.hash.algorithm() == Algorithm::Bcrypt
    }

    /// Compares the token with the hash, and with the key that was introduced.
    ///
    /// # Errors
    /// `webhook_denied`: it is another token, or it is bound to another introduction, or only one of
    /// token and request introduces a key.
    pub fn settle(self) -> Result<Confirmed, Denial> {
        match &self.introduction {
            Some(introduction) if !self.token.is_bound_to(&introduction.binding) => {
                return Err(denied("the token is not bound to the key that the request introduces"));
            }
            None if self.token.is_bound() => {
                return Err(denied("the token introduces a key, and the request none whose signature holds"));
            }
            _ => {}
        }
        if self.hash.matches(&self.token) {
            Ok(Confirmed { introduction: self.introduction })
        } else {
            Err(denied("the token does not hash to the hash"))
        }
    }
}

fn denied(cause: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(Code::WebhookDenied, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;
    use crate::schemes::webhook::url::UrlRules;

    fn exchange(hash: TokenHash) -> Exchange {
        Exchange {
            url: WebhookUrl::parse("https://alice.example/w", &UrlRules::default()).unwrap(),
            hash,
            receiver_url: "https://bob.example/o".into(),
            introduction: None,
        }
    }

    fn code(answer: Result<Answer, Denial>) -> Option<Code> {
        answer.and_then(Answer::settle).err().map(|denial| denial.code())
    }

    #[test]
    fn the_token_behind_the_hash_confirms_and_another_does_not() {
        for algorithm in [Algorithm::Sha256, Algorithm::Bcrypt] {
            let token = Token::generate(&SystemRandom);
            let exchange = exchange(TokenHash::of(&token, algorithm, &SystemRandom));
            let body = token.reveal().as_bytes();
            assert_eq!(code(exchange.clone().read(StatusCode::OK, body)), None);
            let other = Token::generate(&SystemRandom);
            let other = other.reveal().as_bytes();
            assert_eq!(code(exchange.read(StatusCode::OK, other)), Some(Code::WebhookDenied));
        }
    }

    #[test]
    fn another_status_denies_even_with_the_token() {
        let token = Token::generate(&SystemRandom);
        let exchange = exchange(TokenHash::of(&token, Algorithm::Sha256, &SystemRandom));
        for status in [201, 204, 206, 302, 401, 404, 500] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = exchange.clone().read(status, token.reveal().as_bytes());
            assert_eq!(code(answer), Some(Code::WebhookDenied));
        }
    }

    #[test]
    fn an_echo_a_page_or_nothing_is_no_token() {
        let token = Token::generate(&SystemRandom);
        let exchange = exchange(TokenHash::of(&token, Algorithm::Sha256, &SystemRandom));
        let echo = exchange.question().encode();
        for body in [&echo[..], exchange.hash.as_str().as_bytes(), b"", b"OK", b"<html></html>"] {
            let answer = exchange.clone().read(StatusCode::OK, body);
            assert_eq!(code(answer), Some(Code::WebhookDenied));
        }
    }

    #[test]
    fn a_token_that_introduces_a_key_needs_a_request_that_does() {
        let token = Token::bound_to(&[1; 32], &SystemRandom);
        let exchange = exchange(TokenHash::of(&token, Algorithm::Sha256, &SystemRandom));
        let answer = exchange.read(StatusCode::OK, token.reveal().as_bytes());
        assert_eq!(code(answer), Some(Code::WebhookDenied));
    }
}
