//! The protocol as a state machine: Alice calls Bob and Eve; Bob asks whoever is named; Eve reads what
//! is sent to her, relays, repeats, forges, asks and answers. Bob and Alice think with the code that
//! runs in production; what stands around it here, a [`Flaw`] can spoil.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::request::Body;
use countersign::schemes::signature::{ContentDigest, Message, covers, fresh, verify_ed25519};
use countersign::schemes::webhook::wire::{Question, split_credential};
use countersign::schemes::webhook::{
    Answer, Callers, Exchange, Introduction, KeptKey, KeyCall, Token, TokenHash, UrlRules, WebhookUrl, place,
    receiver_url,
};
use countersign::store::Id;
use countersign::{Purpose, RequestView};
use http::header::{AUTHORIZATION, HOST};
use http::{Method, StatusCode};
use stateright::{Model, Property};

use crate::messages::{
    ALICE, ALICES_ORDER, EVE, EVES_ORDER, Made, NOW, Proof, Receiver, Request, by_key, eves_key, forgeries,
    made,
};

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

/// What is assumed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    /// What Alice may send, once each.
    pub(crate) calls: Vec<(Receiver, Proof)>,
    /// Whether Eve reads what Alice sends to Bob too, though it travels under TLS.
    pub(crate) leaks: bool,
    /// How many requests reach Bob.
    pub(crate) deliveries: usize,
    pub(crate) flaw: Option<Flaw>,
}

/// What Bob thinks of a request before he asks anybody.
enum Judged {
    Refused,
    Ask(Exchange),
    Verify(KeyCall),
}

/// The messages are numbered: Alice's calls first, then whatever Eve can make.
pub(crate) struct Protocol {
    setting: Setting,
    calls: Vec<Made>,
    requests: Vec<Request>,
    /// Of which of Alice's calls a request is made; `None`: of nothing that Eve would have to read.
    made_of: Vec<Option<usize>>,
    judged: Vec<Judged>,
    /// Alice's tokens by the numbers of her calls, then Eve's own.
    tokens: Vec<Vec<u8>>,
    /// Which of them fit the hash of a request.
    fitting: Vec<Vec<usize>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Alice's calls so far.
    called: BTreeSet<usize>,
    /// Her tokens that wait for their question.
    waiting: BTreeSet<usize>,
    /// Tokens of hers that she has given to Eve.
    leaked: BTreeSet<usize>,
    /// What Bob has asked about: the request, and the answer once it is on its way.
    open: Vec<(usize, Option<Said>)>,
    delivered: usize,
    /// Requests that Bob accepted, in the order of their numbers.
    accepted: Vec<usize>,
    /// The keys that Bob keeps, by whose introduction.
    kept: BTreeSet<(Id, Vec<u8>)>,
    /// The signatures that Bob has seen, by their request.
    spent: BTreeSet<String>,
}

/// What a webhook URL says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Said {
    /// Nothing of use; by bad luck it is as long as a token.
    Page,
    Token(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    AliceCalls(usize),
    /// Bob receives a request: as its author sent it, or because Eve did.
    BobReceives(usize),
    /// The requester at the URL in question answers Bob's question number so-and-so.
    AliceAnswersBob(usize),
    EveAnswersBob(usize, usize),
    BobReads(usize),
    /// Eve asks Alice about the hash of a call, in the name of a receiver.
    EveAsksAlice(usize, Receiver),
}

impl Protocol {
    pub(crate) fn new(setting: Setting) -> Self {
        let calls = made("Alice", ALICE, &setting.calls, ALICES_ORDER);
        let own = [Proof::OneShot, Proof::Introducing, Proof::ByKey].map(|proof| (Receiver::Bob, proof));
        let own = made("Eve", EVE, &own, EVES_ORDER);
        let mut tokens: Vec<_> = calls.iter().map(|call| call.token().to_vec()).collect();
        tokens.extend(own.iter().map(|call| call.token().to_vec()).filter(|token| !token.is_empty()));

        let mut numbered: Vec<_> = calls.iter().map(|call| (None, call.request.clone())).collect();
        for (number, call) in calls.iter().enumerate() {
            numbered.extend(forgeries(&call.request).into_iter().map(|forgery| (Some(number), forgery)));
        }
        for call in &own {
            numbered.push((None, call.request.clone()));
            numbered.extend(forgeries(&call.request).into_iter().skip(2).map(|forgery| (None, forgery)));
        }
        numbered.push((None, by_key("Eve's key in Alice's name", ALICE, &eves_key())));
        let (made_of, requests): (Vec<_>, Vec<_>) = numbered.into_iter().unzip();
        let judged: Vec<_> = requests.iter().map(|request| judge(request, setting.flaw)).collect();
        let fits = |exchange: &Exchange, token: &[u8]| {
            Token::parse(token).is_some_and(|token| exchange.hash.matches(&token))
        };
        let fitting = |judged: &Judged| match judged {
            Judged::Ask(exchange) => {
                (0..tokens.len()).filter(|&token| fits(exchange, &tokens[token])).collect()
            }
            _ => Vec::new(),
        };
        let fitting = judged.iter().map(fitting).collect();
        Self { setting, calls, requests, made_of, judged, tokens, fitting }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.setting.flaw == Some(flaw)
    }

    /// Each call once; those by a key after the one that introduces it.
    fn may_call(&self, state: &State, call: usize) -> bool {
        let (to, proof) = self.setting.calls[call];
        let introduced = || self.setting.calls.iter().position(|other| *other == (to, Proof::Introducing));
        let before = if proof == Proof::ByKey { introduced() } else { None };
        !state.called.contains(&call) && before.is_none_or(|before| state.called.contains(&before))
    }

    /// Whether Eve has read one of Alice's calls.
    fn was_read(&self, state: &State, call: usize) -> bool {
        state.called.contains(&call) && (self.setting.leaks || self.calls[call].request.to == Receiver::Eve)
    }

    /// Alice is asked: the token, once, for the hash and the receiver that it was made for.
    fn alice_answers(&self, state: &mut State, question: &Question) -> Said {
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
    fn bob_reads(&self, state: &mut State, request: usize, said: Said) {
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
    fn bob_verifies(&self, state: &mut State, request: usize, call: &KeyCall) {
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

    /// What is named as the request's author.
    fn author(&self, request: usize) -> &str {
        match &self.judged[request] {
            Judged::Refused => "",
            Judged::Ask(exchange) => exchange.url.as_str(),
            Judged::Verify(call) => call.url.as_str(),
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
        purpose: Purpose::Decide,
    }
}

/// What Bob does before he asks anybody: he lists both Alice and Eve.
fn judge(request: &Request, flaw: Option<Flaw>) -> Judged {
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

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let calls = 0..self.calls.len();
        actions.extend(calls.clone().filter(|call| self.may_call(state, *call)).map(Action::AliceCalls));
        if state.delivered < self.setting.deliveries {
            for request in 0..self.requests.len() {
                let can_be_sent = match self.made_of[request] {
                    Some(call) => self.was_read(state, call),
                    None => request >= self.calls.len() || state.called.contains(&request),
                };
                let reaches_bob = self.requests[request].to == Receiver::Bob;
                if can_be_sent && reaches_bob && !matches!(self.judged[request], Judged::Refused) {
                    actions.push(Action::BobReceives(request));
                }
            }
        }
        for (number, (request, said)) in state.open.iter().enumerate() {
            let Judged::Ask(exchange) = &self.judged[*request] else { continue };
            match said {
                Some(_) => actions.push(Action::BobReads(number)),
                None if exchange.url.as_str() == ALICE => actions.push(Action::AliceAnswersBob(number)),
                None => {
                    // What does not fit is refused: as good as no answer.
                    let known = state.leaked.iter().copied().chain(self.calls.len()..self.tokens.len());
                    let fits = |token: &usize| self.fitting[*request].contains(token);
                    actions.extend(known.filter(fits).map(|token| Action::EveAnswersBob(number, token)));
                }
            }
        }
        for call in calls.filter(|call| self.was_read(state, *call) && state.waiting.contains(call)) {
            actions.extend([Receiver::Bob, Receiver::Eve].map(|whose| Action::EveAsksAlice(call, whose)));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::AliceCalls(call) => {
                next.called.insert(call);
                if self.calls[call].waits.is_some() {
                    next.waiting.insert(call);
                }
            }
            Action::BobReceives(request) => {
                next.delivered += 1;
                match &self.judged[request] {
                    Judged::Refused => {}
                    Judged::Ask(_) => next.open.push((request, None)),
                    Judged::Verify(call) => self.bob_verifies(&mut next, request, call),
                }
            }
            Action::AliceAnswersBob(number) => {
                let Judged::Ask(exchange) = &self.judged[next.open[number].0] else { return None };
                let said = self.alice_answers(&mut next, &exchange.question());
                next.open[number].1 = Some(said);
            }
            Action::EveAnswersBob(number, token) => {
                let (request, _) = next.open.remove(number);
                self.bob_reads(&mut next, request, Said::Token(token));
            }
            Action::BobReads(number) => {
                let (request, said) = next.open.remove(number);
                self.bob_reads(&mut next, request, said?);
            }
            Action::EveAsksAlice(call, whose) => {
                let hash = self.calls[call].request.hash()?;
                let question = Question { hash, url: whose.url().to_owned() };
                if let Said::Token(token) = self.alice_answers(&mut next, &question) {
                    next.leaked.insert(token);
                }
            }
        }
        // In which order they wait makes no difference.
        next.open.sort_unstable();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "what is accepted as Alice's she sent to Bob, as it is",
                |protocol: &Self, state: &State| {
                    state.accepted.iter().all(|&request| {
                        let sent = &protocol.requests[request];
                        protocol.author(request) != ALICE
                            || state.called.iter().any(|&call| {
                                let meant = &protocol.calls[call].request;
                                (meant.to, meant.body, &meant.headers) == (sent.to, sent.body, &sent.headers)
                            })
                    })
                },
            ),
            Property::always("nothing of hers is accepted twice", |protocol: &Self, state: &State| {
                let hers = state.accepted.iter().filter(|&&request| protocol.author(request) == ALICE);
                let mut proofs: Vec<_> = hers.map(|&request| protocol.requests[request].proof()).collect();
                let accepted = proofs.len();
                proofs.sort_unstable();
                proofs.dedup();
                proofs.len() == accepted
            }),
            Property::sometimes(
                "all that Alice sends to Bob is accepted",
                |protocol: &Self, state: &State| {
                    let to_bob = |call: &usize| protocol.calls[*call].request.to == Receiver::Bob;
                    let mut calls = (0..protocol.calls.len()).filter(to_bob);
                    calls.all(|call| state.accepted.contains(&call))
                },
            ),
            Property::sometimes("Eve is accepted as herself", |protocol: &Self, state: &State| {
                state.accepted.iter().any(|&request| protocol.author(request) == EVE)
            }),
        ]
    }
}
