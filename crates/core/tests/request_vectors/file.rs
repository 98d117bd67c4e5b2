//! What a file of vectors looks like, and how it is kept.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::VerifyingKey;
use countersign::testing::Verdict;
use countersign::testing::{self, Seeded};
use countersign::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bytes::Request;
use crate::world::base_of;

/// When most of it happens, in seconds, as the files have it.
pub(crate) const NOW: u64 = testing::NOW.as_secs();

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) about: String,
    /// What the receiver is set to, and what it knows when a story begins.
    pub(crate) receiver: Value,
    /// What callers have.
    pub(crate) callers: Value,
    pub(crate) stories: Vec<Story>,
}

/// Requests to one receiver, one after another; each story begins with a new one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Story {
    pub(crate) name: String,
    /// Where this receiver differs from the file's.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) receiver: Value,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// In Unix seconds.
    pub(crate) received_at: u64,
    pub(crate) request: String,
    /// The signature base, as the caller signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<String>,
    /// What the receiver asks meanwhile, and what it is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) question: Option<Question>,
    /// What the application receives, where that is said, and answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) application: Option<Application>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) request: String,
    pub(crate) answer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    pub(crate) idempotency_key: Option<String>,
    /// What it answers; none: the connection broke.
    pub(crate) status: Option<u16>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// Who was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
}

impl Outcome {
    /// `401 key_invalid`, or a subject.
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some((status, code)) => {
                Self { status: Some(status.parse().unwrap()), code: Some(code.to_owned()), subject: None }
            }
            None => Self { subject: Some(text.to_owned()), ..Self::default() },
        }
    }

    pub(crate) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Permit(permit) => {
                let principal = permit.principal().expect("no route here is public");
                Self { subject: Some(principal.subject.to_string()), ..Self::default() }
            }
            Verdict::Deny(refusal) => {
                let code = refusal.denial().code();
                Self { status: Some(code.status().as_u16()), code: Some(code.to_string()), subject: None }
            }
        }
    }
}

pub(crate) fn step(received_at: u64, request: &Request, outcome: &str) -> Step {
    Step { received_at, request: request.write(), outcome: Outcome::parse(outcome), ..Step::default() }
}

pub(crate) fn story(name: &str, steps: impl IntoIterator<Item = Step>) -> Story {
    Story { name: name.to_owned(), receiver: Value::Null, steps: steps.into_iter().collect() }
}

fn path(name: &str) -> PathBuf {
    format!("{}/../../vectors/requests/{name}.json", env!("CARGO_MANIFEST_DIR")).into()
}

/// The file, if it is there.
pub(crate) fn what_is_kept(name: &str) -> Option<File> {
    std::fs::read_to_string(path(name)).ok().map(|text| serde_json::from_str(&text).unwrap())
}

/// The file, which is what would be made today.
pub(crate) fn kept(name: &str, made: &File) -> File {
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(made).unwrap() + "\n";
        std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        std::fs::write(path(name), text).unwrap();
    }
    let file = what_is_kept(name).unwrap_or_else(|| panic!("there is no vectors/requests/{name}.json"));
    for (kept, made) in file.stories.iter().zip(&made.stories) {
        assert_eq!(
            kept, made,
            "vectors/requests/{name}.json is not what is made: UPDATE_VECTORS=1 writes it"
        );
    }
    assert_eq!(&file, made);
    file
}

/// A proof by a key that signs with random numbers: the one of the same words that is in the file, where it
/// holds.
pub(crate) fn steady_proof(name: &str, proof: &str, key: &VerifyingKey) -> String {
    let signed = proof.rsplit_once('.').unwrap().0;
    let kept = what_is_kept(name);
    let steps = kept.iter().flat_map(|file| &file.stories).flat_map(|story| &story.steps);
    let lines = steps.flat_map(|step| step.request.lines());
    let proofs = lines.filter_map(|line| line.strip_prefix("DPoP: ")).filter_map(|old| old.rsplit_once('.'));
    let holds = |(text, signature): &(&str, &str)| {
        let signature = URL_SAFE_NO_PAD.decode(signature);
        *text == signed && signature.is_ok_and(|signature| key.verify(signed.as_bytes(), &signature))
    };
    proofs
        .into_iter()
        .find(holds)
        .map_or_else(|| proof.to_owned(), |(text, signature)| format!("{text}.{signature}"))
}

/// A receiver's settings: the file's, with those of the story in their place.
pub(crate) fn settings(file: &File, story: &Story) -> Value {
    let mut settings = file.receiver.clone();
    for (name, value) in story.receiver.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    settings
}

/// A request that carries a signature, with what was signed.
pub(crate) fn signed(received_at: u64, request: &Request, outcome: &str) -> Step {
    Step { base: Some(base_of(request)), ..step(received_at, request, outcome) }
}

/// The same bytes with something else in the place of `old`.
pub(crate) fn altered(step: Step, old: &str, new: &str, outcome: &str) -> Step {
    assert!(step.request.contains(old), "{old}: {}", step.request);
    let request = step.request.replace(old, new);
    Step { request, base: None, outcome: Outcome::parse(outcome), ..step }
}

pub(crate) fn at(step: &Step) -> Timestamp {
    Timestamp::from_secs(step.received_at)
}

/// Numbers that are the same each time.
pub(crate) fn steady_numbers() -> Seeded {
    Seeded::new("countersign vectors")
}
