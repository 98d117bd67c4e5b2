//! `Accept-Signature` (RFC 9421 §5): asking for a signature, and following what was asked.

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, FieldType as _, KeyRef, ListEntry, Parser, StringRef};

use super::component::Component;
use super::fields::{MAX_COMPONENTS, MAX_LABELS};
use super::input::MAX_BYTES;
use super::item::write_parameter;
use super::signed::Parameters;
use super::signer::cover_floor;
use crate::crypto::Algorithm;
use crate::request::{Body, RequestView};

/// `Accept-Signature`, RFC 9421 §5.1.
pub const ACCEPT_SIGNATURE: HeaderName = HeaderName::from_static("accept-signature");

/// Why an `Accept-Signature` cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// Not a dictionary of lists of components, or larger than is read: 16 KiB, 32 signatures, 64
    /// components of one.
    #[error("Accept-Signature cannot be read")]
    Read,
    /// A label that is no key of a dictionary, or a parameter that is no printable ASCII.
    #[error("{0} cannot be written as a structured field")]
    Write(&'static str),
}

/// A signature that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The label that it is to have.
    pub label: String,
    /// What it is to cover, at least.
    pub components: Vec<Component>,
    /// Whether it is to say when it was made.
    pub created: bool,
    /// Whether it is to say until when it counts.
    pub expires: bool,
    /// The nonce that it is to have.
    pub nonce: Option<String>,
    /// The algorithm that it is to be made by, as the registry names it.
    pub alg: Option<String>,
    /// The key that it is to be made with.
    pub keyid: Option<String>,
    /// What it is to be for.
    pub tag: Option<String>,
}

impl Wanted {
    /// What [`covers`](super::covers) asks of this request, and the fields of `also` with it. The
    /// nonce and the key are the claimant's to choose.
    #[must_use]
    pub fn of_request(request: &RequestView<'_>, label: &str, tag: &str, also: &[HeaderName]) -> Self {
        let mut components = cover_floor(request.headers, request.body != Body::Absent);
        for name in also {
            add(&mut components, Component::field(name.clone()));
        }
        Self {
            label: label.to_owned(),
            components,
            created: true,
            expires: true,
            nonce: None,
            alg: None,
            keyid: None,
            tag: Some(tag.to_owned()),
        }
    }

    /// The field's value.
    ///
    /// # Errors
    /// [`AcceptError::Write`].
    pub fn header(wanted: &[Self]) -> Result<HeaderValue, AcceptError> {
        let mut text = String::new();
        for (index, one) in wanted.iter().enumerate() {
            KeyRef::from_str(&one.label).map_err(|_| AcceptError::Write("label"))?;
            text.push_str(if index == 0 { "" } else { ", " });
            text.push_str(&one.label);
            text.push_str("=(");
            for (index, component) in one.components.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { " " });
                text.push_str(component.as_str());
            }
            text.push(')');
            for (name, asked) in [("created", one.created), ("expires", one.expires)] {
                if asked {
                    write_parameter(&mut text, KeyRef::constant(name), true);
                }
            }
            let named = [("nonce", &one.nonce), ("alg", &one.alg), ("keyid", &one.keyid), ("tag", &one.tag)];
            for (name, value) in named {
                let Some(value) = value else { continue };
                let value = StringRef::from_str(value).map_err(|_| AcceptError::Write(name))?;
                write_parameter(&mut text, KeyRef::constant(name), value);
            }
        }
        HeaderValue::try_from(text).map_err(|_| AcceptError::Write("label"))
    }

    /// The signatures that a message asks for, in order. One that covers a component nobody here
    /// knows, or has a parameter of another type than its own, is passed over, for it cannot be made.
    ///
    /// # Errors
    /// [`AcceptError::Read`].
    pub fn read(headers: &HeaderMap) -> Result<Vec<Self>, AcceptError> {
        let mut joined = String::new();
        for line in headers.get_all(ACCEPT_SIGNATURE) {
            let line = line.to_str().map_err(|_| AcceptError::Read)?;
            joined.push_str(if joined.is_empty() { "" } else { ", " });
            joined.push_str(line.trim_matches([' ', '\t']));
            if joined.len() > MAX_BYTES {
                return Err(AcceptError::Read);
            }
        }
        let members: Dictionary = Parser::new(&joined).parse().map_err(|_| AcceptError::Read)?;
        if members.len() > MAX_LABELS {
            return Err(AcceptError::Read);
        }
        let mut all = Vec::new();
        for (label, member) in members {
            let ListEntry::InnerList(list) = member else { return Err(AcceptError::Read) };
            if list.items.len() > MAX_COMPONENTS {
                return Err(AcceptError::Read);
            }
            let components = list.items.iter().map(|item| Component::parse(&item.serialize()));
            let Ok(components) = components.collect::<Result<Vec<_>, _>>() else { continue };
            let text = |name: &str| match list.params.get(name) {
                Some(BareItem::String(text)) => Some(Some(text.as_str().to_owned())),
                None => Some(None),
                Some(_) => None,
            };
            let flag = |name: &str| list.params.get(name).map_or(Some(false), BareItem::as_boolean);
            let (Some(created), Some(expires)) = (flag("created"), flag("expires")) else { continue };
            let [Some(nonce), Some(alg), Some(keyid), Some(tag)] = ["nonce", "alg", "keyid", "tag"].map(text)
            else {
                continue;
            };
            all.push(Self { label: label.into(), components, created, expires, nonce, alg, keyid, tag });
        }
        Ok(all)
    }

    /// What a claimant signs that follows this: its own `floor` and what is asked for beyond it,
    /// never less; its `own` parameters, with the nonce that is asked for.
    ///
    /// `None` if it cannot: another key, algorithm or tag is asked for than its own, or a moment that
    /// `own` does not say.
    #[must_use]
    pub fn follow(
        &self,
        floor: &[Component],
        mut own: Parameters,
        algorithm: Algorithm,
    ) -> Option<(Vec<Component>, Parameters)> {
        let other = |asked: &Option<String>, own: &Option<String>| asked.is_some() && asked != own;
        if self.alg.as_deref().is_some_and(|alg| alg != algorithm.as_str())
            || other(&self.keyid, &own.keyid)
            || other(&self.tag, &own.tag)
            || (self.created && own.created.is_none())
            || (self.expires && own.expires.is_none())
        {
            return None;
        }
        let mut components = floor.to_vec();
        for component in &self.components {
            add(&mut components, component.clone());
        }
        if self.nonce.is_some() {
            own.nonce.clone_from(&self.nonce);
        }
        Some((components, own))
    }
}

fn add(components: &mut Vec<Component>, component: Component) {
    if !components.contains(&component) {
        components.push(component);
    }
}
