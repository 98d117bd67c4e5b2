//! The two signature headers as they are read, member by member (RFC 9421 §4.1, §4.2), so that what is
//! there twice is seen: a dictionary that has been read has forgotten it.

use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef};

use super::identifier::ReadComponents;
use super::item::write_parameter;
use super::signed::Parameters;
use crate::time::Timestamp;

/// Signatures of anybody on one request.
pub(super) const MAX_LABELS: usize = 32;
/// Components of one signature.
pub(super) const MAX_COMPONENTS: usize = 64;
/// Parameters of one signature.
const MAX_PARAMETERS: usize = 32;

/// Why a header is not read any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("{0} is there twice")]
    Twice(String),
    #[error("{0}")]
    Kind(&'static str),
}

/// `Signature-Input`, read so far.
#[derive(Default)]
pub(super) struct Inputs {
    pub(super) inputs: Vec<Input>,
    /// Whether reading stopped because something is there twice.
    pub(super) twice: bool,
}

/// One member of `Signature-Input`.
#[derive(Default)]
pub(super) struct Input {
    pub(super) label: String,
    pub(super) read: ReadComponents,
    pub(super) parameters: Parameters,
    /// The first parameter of a wrong type.
    pub(super) flaw: Option<&'static str>,
}

/// `Signature`, read so far.
#[derive(Default)]
pub(super) struct Signatures {
    pub(super) signatures: Vec<(String, Vec<u8>)>,
    /// Whether reading stopped because something is there twice.
    pub(super) twice: bool,
}

fn new_label<'a>(
    label: &str,
    mut known: impl ExactSizeIterator<Item = &'a str>,
    twice: &mut bool,
) -> Result<String, Stop> {
    if known.len() == MAX_LABELS {
        return Err(Stop::Kind("there are more signatures than are read"));
    }
    if known.any(|other| other == label) {
        *twice = true;
        return Err(Stop::Twice(label.to_owned()));
    }
    Ok(label.to_owned())
}

impl<'de> DictionaryVisitor<'de> for &mut Inputs {
    type Out = ();
    type Error = Stop;

    fn entry(&mut self, label: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Stop> {
        let known = self.inputs.iter().map(|input| input.label.as_str());
        let label = new_label(label.as_str(), known, &mut self.twice)?;
        let input = Input { label, ..Input::default() };
        Ok(Member { input: self.inputs.push_mut(input), twice: &mut self.twice })
    }

    fn finish(self) -> Result<(), Stop> {
        Ok(())
    }
}

struct Member<'a> {
    input: &'a mut Input,
    twice: &'a mut bool,
}

impl<'de> EntryVisitor<'de> for Member<'_> {
    type Error = Stop;

    fn item(self) -> Result<impl ItemVisitor<'de>, Stop> {
        Err::<Ignored, _>(Stop::Kind("a member is not a list of components"))
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Stop> {
        self.input.read.text.push('(');
        Ok(Components { member: self, count: 0 })
    }
}

struct Components<'a> {
    member: Member<'a>,
    count: usize,
}

impl<'de> InnerListVisitor<'de> for Components<'_> {
    type Error = Stop;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Stop> {
        let read = &mut self.member.input.read;
        if self.count == MAX_COMPONENTS {
            return Err(Stop::Kind("a signature covers more components than are read"));
        }
        if self.count > 0 {
            read.text.push(' ');
        }
        self.count += 1;
        Ok(read.next())
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Stop> {
        self.member.input.read.text.push(')');
        Ok(InputParameters { member: self.member, seen: Vec::new() })
    }
}

struct InputParameters<'a, 'de> {
    member: Member<'a>,
    seen: Vec<&'de str>,
}

impl<'de> ParameterVisitor<'de> for InputParameters<'_, 'de> {
    type Out = ();
    type Error = Stop;

    fn parameter(&mut self, key: &'de KeyRef, value: BareItemFromInput<'de>) -> Result<(), Stop> {
        let name = key.as_str();
        if self.seen.contains(&name) {
            *self.member.twice = true;
            return Err(Stop::Twice(name.to_owned()));
        }
        if self.seen.len() == MAX_PARAMETERS {
            return Err(Stop::Kind("a signature has more parameters than are read"));
        }
        self.seen.push(name);
        write_parameter(&mut self.member.input.read.text, key, &value);
        let Input { parameters, flaw, .. } = &mut *self.member.input;
        let wrong = match name {
            "created" => set("created", &mut parameters.created, moment(&value)),
            "expires" => set("expires", &mut parameters.expires, moment(&value)),
            "nonce" => set("nonce", &mut parameters.nonce, text(value)),
            "alg" => set("alg", &mut parameters.alg, text(value)),
            "keyid" => set("keyid", &mut parameters.keyid, text(value)),
            "tag" => {
                // Without it nobody knows whose signature this is.
                parameters.tag = Some(text(value).ok_or(Stop::Kind("a tag is not a string"))?);
                None
            }
            _ => None,
        };
        *flaw = flaw.or(wrong);
        Ok(())
    }

    fn finish(self) -> Result<(), Stop> {
        Ok(())
    }
}

/// Sets `slot`, or says which parameter has the wrong type.
fn set<T>(name: &'static str, slot: &mut Option<T>, value: Option<T>) -> Option<&'static str> {
    *slot = value;
    slot.is_none().then_some(name)
}

fn moment(value: &BareItemFromInput<'_>) -> Option<Timestamp> {
    u64::try_from(i64::from(value.as_integer()?)).ok().map(Timestamp::from_secs)
}

fn text(value: BareItemFromInput<'_>) -> Option<String> {
    match value {
        BareItemFromInput::String(text) => Some(text.into_owned().into()),
        _ => None,
    }
}

impl<'de> DictionaryVisitor<'de> for &mut Signatures {
    type Out = ();
    type Error = Stop;

    fn entry(&mut self, label: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Stop> {
        let known = self.signatures.iter().map(|(label, _)| label.as_str());
        let label = new_label(label.as_str(), known, &mut self.twice)?;
        Ok(Value(self.signatures.push_mut((label, Vec::new()))))
    }

    fn finish(self) -> Result<(), Stop> {
        Ok(())
    }
}

struct Value<'a>(&'a mut (String, Vec<u8>));

impl<'de> EntryVisitor<'de> for Value<'_> {
    type Error = Stop;

    fn item(self) -> Result<impl ItemVisitor<'de>, Stop> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Stop> {
        Err::<Ignored, _>(Stop::Kind("a signature is not a byte sequence"))
    }
}

impl<'de> ItemVisitor<'de> for Value<'_> {
    type Out = ();
    type Error = Stop;

    fn bare_item(self, item: BareItemFromInput<'de>) -> Result<impl ParameterVisitor<'de, Out = ()>, Stop> {
        match item {
            BareItemFromInput::ByteSequence(bytes) => self.0.1 = bytes,
            _ => return Err(Stop::Kind("a signature is not a byte sequence")),
        }
        Ok(Ignored)
    }
}
