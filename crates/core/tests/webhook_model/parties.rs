//! What Alice and Bob do with what they are sent, thinking with the code that runs in production; what
//! stands around it here, a [`Flaw`] can spoil.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::RequestView;
use countersign::request::Body;
use countersign::schemes::signature::{ContentDigest, Message, covers, fresh, verify_ed25519};
use countersign::schemes::webhook::wire::{Question, split_credential};
use countersign::schemes::webhook::{
    Answer, Callers, Exchange, Introduction, KeptKey, KeyCall, Token, TokenHash, UrlRules, WebhookUrl, place,
    receiver_url,
};
use countersign::store::Id;
use countersign::testing::NOW;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, StatusCode};

use crate::messages::{EVE, Request};
use crate::model::{Protocol, Said, State};

/// A mistake in what stands around the code of production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Alice gives a token to whoever knows its hash, whatever receiver she called.
    UrlIgnored,
    /// Alice keeps a token that she has given.
    TokenKept,
    /// Bob names himself in the question by the `Host` header of the request.
    HostBelieved,
    /// Bob takes whatever looks like a token for the one that he asked for.
    HashNotCompared,
    /// Bob takes a token that is bound to a key for a one-shot when no key comes with it.
    BoundTakenForPlain,
    /// Bob keeps a key to which the token is not bound.
    BindingNotCompared,
    /// Bob looks for an introduced key by its name alone, whoever introduced it.
    KeyOfAnybody,
    /// Bob forgets the nonces that he has seen.
    NonceForgotten,
    /// Bob does not compare a body with the digest that was signed.
    BodyNotCompared,
}

/// What Bob thinks of a request before he asks anybody.
pub(crate) enum Judged {
    Refused,
    Ask(Exchange),
    Verify(KeyCall),
}

impl Protocol {
    /// Alice is asked: the token, once, for the hash and the receiver that it was made for.
    pub(crate) fn alice_answers(&self, state: &mut State, question: &Question) -> Said {
        let Some(receiver) = receiver_url(&question.url) else { return Said::Page };
        let asked_for = place(&question.hash, &receiver);
        let found = state.waiting.iter().copied().find(|&call| match &self.calls[call].waits {
            Some((place, _)) if *place == asked_for => true,
            _ => {
                self.has(Flaw::UrlIgnored) && self.calls[call].request.hash().as_ref() == Some(&question.hash)
            }
        });
        let Some(call) = found else { return Said::Page };
        if !self.has(Flaw::TokenKept) {
            state.waiting.remove(&call);
        }
        Said::Token(call)
    }

    /// Bob reads what was answered, and accepts the request or not.
    pub(crate) fn bob_reads(&self, state: &mut State, request: usize, said: Said) {
        let Judged::Ask(exchange) = &self.judged[request] else { return };
        let mut exchange = exchange.clone();
        let body: &[u8] = match said {
            Said::Page => b"Everything-is-fine-here-and-who-are-you-plz",
            Said::Token(token) => &self.tokens[token],
        };
        let bound_to =
            || URL_SAFE_NO_PAD.decode(body.rsplit(|byte| *byte == b'.').next()?).ok()?.try_into().ok();
        if let (true, Some(introduction), Some(binding)) =
            (self.has(Flaw::BindingNotCompared), &mut exchange.introduction, bound_to())
        {
            introduction.binding = binding;
        }
        let hash = exchange.hash.clone();
        let token = Token::parse(body);
        let introduction = match exchange.read(StatusCode::OK, body).and_then(Answer::settle) {
            Ok(confirmed) => confirmed.introduction,
            Err(_) if self.has(Flaw::HashNotCompared) && token.is_some() => None,
            Err(_)
                if self.has(Flaw::BoundTakenForPlain) && token.is_some_and(|token| hash.matches(&token)) =>
            {
                None
            }
            Err(_) => return,
        };
        if introduction.is_some() && !self.body_is_signed(request) {
            return;
        }
        if let Some(introduction) = &introduction {
            let id = self.place_of(&named(&self.requests[request]), &introduction.thumbprint);
            if let Some((key, _)) = introduction.entry(NOW) {
                state.kept.insert((id, key.to_vec()));
            }
        }
        accept(state, request);
    }

    /// Bob verifies a signature by a key that he keeps.
    pub(crate) fn bob_verifies(&self, state: &mut State, request: usize, call: &KeyCall) {
        let (id, head) = (self.place_of(&call.url, &call.thumbprint), &self.requests[request]);
        let kept = state.kept.iter().find(|(place, _)| *place == id);
        let Some(kept) = kept.and_then(|(_, key)| KeptKey::decode(key).ok()) else { return };
        let target = head.target();
        let view = view(head, &target);
        let Ok(proof) = fresh(&call.signed, NOW) else { return };
        let spent = format!("{} {} {}", call.url, call.thumbprint, proof.nonce);
        if covers(&call.signed, &view, &["signature-agent"]).is_err()
            || verify_ed25519(&call.signed, &Message::from(&view), &kept.public).is_err()
            || !self.body_is_signed(request)
            || (!state.spent.insert(spent) && !self.has(Flaw::NonceForgotten))
        {
            return;
        }
        accept(state, request);
    }

    fn body_is_signed(&self, request: usize) -> bool {
        let request = &self.requests[request];
        let digest = ContentDigest::read(&request.headers).ok().flatten();
        self.has(Flaw::BodyNotCompared)
            || digest.is_some_and(|digest| digest.matches(request.body.as_bytes()).is_ok())
    }

    fn place_of(&self, url: &WebhookUrl, thumbprint: &str) -> Id {
        match self.has(Flaw::KeyOfAnybody) {
            true => KeptKey::place(&webhook_url(EVE), thumbprint),
            false => KeptKey::place(url, thumbprint),
        }
    }
}

fn accept(state: &mut State, request: usize) {
    state.accepted.push(request);
    state.accepted.sort_unstable();
}

fn webhook_url(text: &str) -> WebhookUrl {
    WebhookUrl::parse(text, &UrlRules::default()).unwrap()
}

fn named(request: &Request) -> WebhookUrl {
    let value = request.headers[AUTHORIZATION].to_str().unwrap();
    webhook_url(value.split(' ').nth(1).unwrap())
}

fn view<'a>(request: &'a Request, target: &'a http::Uri) -> RequestView<'a> {
    RequestView {
        method: &Method::POST,
        target,
        headers: &request.headers,
        body: Body::Announced,
        source: None,
        received_at: NOW,
    }
}

/// What Bob does before he asks anybody: he lists both Alice and Eve.
pub(crate) fn judge(request: &Request, flaw: Option<Flaw>) -> Judged {
    let (rules, mut callers, target) = (UrlRules::default(), Callers::default(), request.target());
    callers.add("https://alice.example", None, &rules).unwrap();
    callers.add(EVE, None, &rules).unwrap();
    let view = view(request, &target);
    if let Ok(Some(call)) = KeyCall::read(&view, &rules) {
        return if callers.list(&call.url).is_some() { Judged::Verify(call) } else { Judged::Refused };
    }
    let exchange = || {
        let credential = view.single_header(&AUTHORIZATION).ok()??.strip_prefix("Webhook ")?;
        let (url, hash) = split_credential(credential).ok()?;
        let (url, hash) = (WebhookUrl::parse(&url, &rules).ok()?, TokenHash::parse(&hash).ok()?);
        callers.list(&url)?;
        let receiver = receiver_url(&target.to_string())?;
        let introduction = Introduction::read(&view, &url, &receiver).ok()?;
        let receiver_url = match request.headers.get(HOST) {
            Some(host) if flaw == Some(Flaw::HostBelieved) => {
                format!("https://{}/orders", host.to_str().ok()?)
            }
            _ => receiver,
        };
        Some(Exchange { url, hash, receiver_url, introduction })
    };
    exchange().map_or(Judged::Refused, Judged::Ask)
}
