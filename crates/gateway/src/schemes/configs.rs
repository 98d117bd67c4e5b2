//! What the file says of all schemes that there are.

use std::ops::Range;
use std::sync::LazyLock;

use countersign::Scheme;
use countersign::path::Template;
use countersign::requirement::SchemeSet;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::settings::declared::{Table, schema_of};
use crate::settings::scheme::{Anybody, Around, Configured};
use crate::settings::{Document, Problem, Reader, Section, Sources};

/// The fields of a struct of settings.
fn names<T: Section>() -> Vec<String> {
    let table = Table::of(&schema_of::<T>()).unwrap_or_default();
    table.fields.into_iter().map(|field| field.name).collect()
}

/// Moves the fields of these names out of a table, and reads them.
fn split<T: Section>(
    value: &mut DeValue<'_>,
    names: &[String],
    span: &Range<usize>,
    sources: &Sources<'_>,
) -> Result<T, Problem> {
    let mut own = DeTable::new();
    if let DeValue::Table(table) = value {
        own.extend(names.iter().filter_map(|name| table.remove_entry(name.as_str())));
    }
    sources.read(Spanned::new(span.clone(), DeValue::Table(own)))
}

macro_rules! configs {
    ($($(#[$said:meta])* $scheme:ident ($($needs:ident),*);)+) => {
        $(use super::$scheme;)+

        /// The tables of all schemes, as they are written.
        #[derive(Debug)]
        pub struct Sections {
            $(
                /// Its own.
                pub $scheme: <$scheme::config::Config as Configured>::Section,
            )*
        }

        /// What is said of each scheme, parsed.
        #[derive(Debug)]
        pub struct Configs {
            $(
                /// What its table says.
                pub $scheme: $scheme::config::Config,
            )*
        }

        /// What a route says of its schemes, as it is written.
        #[derive(Debug)]
        pub struct OnRoute {
            $($scheme: <$scheme::config::Config as Configured>::OnRoute,)*
        }

        /// The same, parsed.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct RouteOptions {
            $(
                /// What it says of this one.
                pub $scheme: <$scheme::config::Config as Configured>::Options,
            )*
        }

        impl Sections {
            /// Takes them out of the file.
            pub fn read(document: &mut Document<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
                $(let $scheme = table::<$scheme::config::Config>(document, problems);)*
                Some(Self { $($scheme: $scheme?,)* })
            }

            /// Parses them all.
            pub fn parse(&self, reader: &mut Reader<'_>, around: &Around<'_>) -> Configs {
                Configs { $($scheme: Configured::parse(&self.$scheme, reader, around),)* }
            }
        }

        impl OnRoute {
            /// Moves what is about schemes out of a route's table, and reads it.
            pub fn read(
                route: &mut DeValue<'_>,
                span: &Range<usize>,
                sources: &Sources<'_>,
            ) -> Result<Self, Problem> {
                struct Names {
                    $($scheme: Vec<String>,)*
                }
                static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
                    $($scheme: names::<<$scheme::config::Config as Configured>::OnRoute>(),)*
                });
                Ok(Self { $($scheme: split(route, &NAMES.$scheme, span, sources)?,)* })
            }

            /// Parses it. `accepted`: which schemes the route accepts; `None` where nobody is asked, or that cannot be read.
            pub fn parse(
                &self,
                configs: &Configs,
                reader: &mut Reader<'_>,
                accepted: Option<SchemeSet>,
            ) -> RouteOptions {
                RouteOptions { $($scheme: configs.$scheme.on_route(&self.$scheme, reader, accepted),)* }
            }
        }

        impl Configs {
            /// How anybody becomes somebody where these schemes are accepted, each way once.
            #[must_use]
            pub fn anybody(&self, accepted: SchemeSet) -> Vec<Anybody> {
                let mut ways: Vec<Anybody> = Vec::new();
                for way in [$(self.$scheme.anybody(accepted),)*].into_iter().flatten() {
                    if !ways.contains(&way) {
                        ways.push(way);
                    }
                }
                ways
            }

            /// Why a route that accepts these schemes cannot have this path.
            #[must_use]
            pub fn unfit(&self, accepted: SchemeSet, template: &Template) -> Vec<String> {
                [$(self.$scheme.unfit(accepted, template),)*].into_iter().flatten().collect()
            }

            /// What is said in vain.
            #[must_use]
            pub fn unmet(&self, taken: &dyn Fn(Scheme) -> bool) -> Vec<String> {
                [$(self.$scheme.unmet(taken),)*].concat()
            }
        }

        /// The tables of schemes, as they are declared.
        #[must_use]
        pub fn sections() -> Vec<(&'static str, Value)> {
            [$(declared::<$scheme::config::Config>(),)*].into_iter().flatten().collect()
        }

        /// What a route may say of schemes, as it is declared.
        #[must_use]
        pub fn on_route() -> Vec<Value> {
            vec![$(schema_of::<<$scheme::config::Config as Configured>::OnRoute>(),)*]
        }
    };
}

every_scheme!(configs);

fn table<T: Configured>(document: &mut Document<'_>, problems: &mut Vec<Problem>) -> Option<T::Section> {
    let written = T::TABLE.and_then(|name| document.take(name));
    let empty = || Spanned::new(0..0, DeValue::Table(DeTable::new()));
    document.sources.read(written.unwrap_or_else(empty)).map_err(|problem| problems.push(problem)).ok()
}

fn declared<T: Configured>() -> Option<(&'static str, Value)> {
    let mut schema = schema_of::<T::Section>();
    schema["default"] = serde_json::json!({});
    Some((T::TABLE?, schema))
}
