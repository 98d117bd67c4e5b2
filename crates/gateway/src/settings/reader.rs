//! From what is written to types; every problem is collected, so that one run shows them all.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign::dpop::NoncePolicy;

use super::diagnostics::{Origin, Problem};
use super::document::{Setting, Sources};
use super::quantities::{parse_duration, parse_size};
use super::written::{Text, Written};

/// What reads settings.
#[derive(Debug)]
pub struct Reader<'a> {
    sources: Sources<'a>,
    folder: PathBuf,
    /// Every setting, for people.
    pub settings: Vec<Setting>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is allowed, and better not.
    pub warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// For values from these sources. Paths are beside the file, in `folder`.
    #[must_use]
    pub const fn new(sources: Sources<'a>, settings: Vec<Setting>, folder: PathBuf) -> Self {
        Self { sources, folder, settings, problems: Vec::new(), warnings: Vec::new() }
    }

    /// The file's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file that a setting names.
    #[must_use]
    pub fn file(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    /// Something wrong at a place.
    pub fn wrong(&mut self, message: impl Display, at: Range<usize>) {
        self.problems.push(Problem::new(message.to_string(), self.sources.origin(at)));
    }

    /// The same, with a way out.
    pub fn wrong_with(&mut self, message: impl Display, at: Range<usize>, help: impl Into<String>) {
        self.problems.push(Problem::new(message.to_string(), self.sources.origin(at)).help(help));
    }

    /// Whether nobody wrote it.
    #[must_use]
    pub fn is_default<T>(&self, written: &Written<T>) -> bool {
        self.sources.origin(written.span()) == Origin::Default
    }

    /// The first line of the table at a place.
    #[must_use]
    pub fn head_of(&self, at: Range<usize>) -> Range<usize> {
        self.sources.head_of(at)
    }

    /// Shows what a setting comes to, where that is not what is written.
    pub fn comes_to(&mut self, path: &str, value: impl Display) {
        if let Some(setting) = self.settings.iter_mut().find(|setting| setting.path == path) {
            setting.told = value.to_string();
            setting.value = Some(setting.told.clone());
        }
    }

    /// A setting that is text in the file and `T` for us.
    pub fn parsed<T, E: Display>(
        &mut self,
        written: &Text,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(written) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(error, written.span());
                None
            }
        }
    }

    /// The same, where it may be left out.
    pub fn maybe<T, E: Display>(
        &mut self,
        written: Option<&Text>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        written.and_then(|text| self.parsed(text, parse))
    }

    /// What is said of one setting by its name: ``server.drain_timeout cannot be zero``.
    fn of_name(&mut self, what: impl Display, at: Range<usize>) {
        let setting = self.settings.iter().find(|setting| setting.span == at);
        let name = setting.map_or_else(String::new, |setting| setting.path.clone());
        self.wrong(format!("{name} {what}"), at);
    }

    /// A number within bounds.
    pub fn number<T: Copy + Display + PartialOrd>(
        &mut self,
        written: &Written<T>,
        bounds: RangeInclusive<T>,
    ) -> T {
        if !bounds.contains(written) {
            self.of_name(format!("is from {} to {}", bounds.start(), bounds.end()), written.span());
        }
        **written
    }

    /// A size within bounds, which are told as `told`.
    pub fn size(&mut self, written: &Text, bounds: RangeInclusive<usize>, told: &str) -> Option<usize> {
        let size = self.parsed(written, parse_size)?;
        match bounds.contains(&size) {
            true => Some(size),
            false => {
                self.of_name(format!("is {told}"), written.span());
                None
            }
        }
    }

    /// A time-out: of nothing it would refuse everything.
    pub fn timeout(&mut self, written: &Text) -> Option<Duration> {
        let duration = self.parsed(written, parse_duration)?;
        if duration.is_zero() {
            self.of_name("cannot be zero", written.span());
            return None;
        }
        Some(duration)
    }

    /// A duration within bounds.
    pub fn between(&mut self, written: &Text, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.parsed(written, parse_duration)?;
        if !bounds.contains(&duration) {
            self.of_name(format!("is from {:?} to {:?}", bounds.start(), bounds.end()), written.span());
            return None;
        }
        Some(duration)
    }

    /// Whether proofs need a nonce: the same words in every section that has the setting.
    pub fn dpop_nonces(&mut self, written: &Text) -> NoncePolicy {
        let policy = self.parsed(written, |text| match text {
            "accepted" => Ok(NoncePolicy::Accepted),
            "required" => Ok(NoncePolicy::Required),
            _ => Err(format!("`{text}` is no policy: write \"accepted\" or \"required\"")),
        });
        // What cannot be read is a problem already, and nothing is served with what stands here instead.
        policy.unwrap_or_default()
    }
}
