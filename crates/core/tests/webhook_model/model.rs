//! The protocol as a state machine: Alice calls Bob and Eve; Bob asks whoever is named; Eve reads what
//! is sent to her, relays, repeats, forges, asks and answers.

use std::collections::BTreeSet;

use countersign::schemes::webhook::wire::Question;
use countersign::schemes::webhook::{Exchange, Token};
use countersign::store::Id;
use stateright::{Model, Property};

use crate::messages::{
    ALICE, ALICES_ORDER, EVE, EVES_ORDER, Made, Proof, Receiver, Request, by_key, eves_key, forgeries, made,
};
use crate::parties::{Flaw, Judged, judge};

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

/// The messages are numbered: Alice's calls first, then whatever Eve can make.
pub(crate) struct Protocol {
    setting: Setting,
    pub(crate) calls: Vec<Made>,
    pub(crate) requests: Vec<Request>,
    /// Of which of Alice's calls a request is made; `None`: of nothing that Eve would have to read.
    made_of: Vec<Option<usize>>,
    pub(crate) judged: Vec<Judged>,
    /// Alice's tokens by the numbers of her calls, then Eve's own.
    pub(crate) tokens: Vec<Vec<u8>>,
    /// Which of them fit the hash of a request.
    fitting: Vec<Vec<usize>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Alice's calls so far.
    called: BTreeSet<usize>,
    /// Her tokens that wait for their question.
    pub(crate) waiting: BTreeSet<usize>,
    /// Tokens of hers that she has given to Eve.
    leaked: BTreeSet<usize>,
    /// What Bob has asked about: the request, and the answer once it is on its way.
    open: Vec<(usize, Option<Said>)>,
    delivered: usize,
    /// Requests that Bob accepted, in the order of their numbers.
    pub(crate) accepted: Vec<usize>,
    /// The keys that Bob keeps, by whose introduction.
    pub(crate) kept: BTreeSet<(Id, Vec<u8>)>,
    /// The signatures that Bob has seen, by their request.
    pub(crate) spent: BTreeSet<String>,
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

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
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

    /// What is named as the request's author.
    fn author(&self, request: usize) -> &str {
        match &self.judged[request] {
            Judged::Refused => "",
            Judged::Ask(exchange) => exchange.url.as_str(),
            Judged::Verify(call) => call.url.as_str(),
        }
    }
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

    fn format_action(&self, action: &Action) -> String {
        match action {
            Action::AliceCalls(call) => format!("Alice calls: {}", self.requests[*call].name),
            Action::BobReceives(request) => format!("Bob receives: {}", self.requests[*request].name),
            other => format!("{other:?}"),
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
