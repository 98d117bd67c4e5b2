//! A model of webhook authentication, checked in every order of events: what Alice did not send to Bob
//! he never takes for hers, nothing is accepted twice, and what is right gets through. Each mistake
//! that could be made around the protocol's code is made once, to see the model find it.

mod messages;
mod model;
mod parties;

use stateright::{Checker, HasDiscoveries, Model};

use crate::messages::Proof::{ByKey, Introducing, OneShot};
use crate::messages::Receiver::{Bob, Eve};
use crate::model::{Protocol, Setting};
use crate::parties::Flaw;

const SENT: &str = "what is accepted as Alice's she sent to Bob, as it is";
const ONCE: &str = "nothing of hers is accepted twice";

fn one_shots() -> Setting {
    Setting { calls: vec![(Bob, OneShot), (Eve, OneShot)], deliveries: 3, ..Setting::default() }
}

fn introductions() -> Setting {
    Setting { calls: vec![(Bob, Introducing), (Eve, Introducing)], deliveries: 2, ..Setting::default() }
}

fn keys() -> Setting {
    let calls = vec![(Bob, Introducing), (Eve, Introducing), (Bob, ByKey), (Eve, ByKey)];
    Setting { calls, deliveries: 3, ..Setting::default() }
}

/// Which of the two promises the setting breaks, and how, for whoever reads a failed test's output.
fn broken(setting: Setting) -> Vec<&'static str> {
    let checker = Protocol::new(setting).checker().threads(2);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let broken: Vec<_> = [SENT, ONCE].into_iter().filter(|name| checker.discovery(name).is_some()).collect();
    for name in &broken {
        let story = checker.discovery(name).unwrap().into_actions();
        let story: Vec<_> = story.iter().map(|action| checker.model().format_action(action)).collect();
        eprintln!("not {name}:\n  {}", story.join("\n  "));
    }
    if broken.is_empty() {
        eprintln!("{} states", checker.unique_state_count());
        checker.assert_properties();
    }
    broken
}

#[test]
fn one_shots_keep_both_promises() {
    assert!(broken(one_shots()).is_empty());
}

#[test]
fn introductions_keep_both_promises() {
    assert!(broken(introductions()).is_empty());
}

#[test]
fn introduced_keys_keep_both_promises() {
    assert!(broken(keys()).is_empty());
}

/// Eve reads what Alice sends to Bob, so that Alice need not call her.
fn leaking(mut setting: Setting) -> Setting {
    setting.calls.retain(|(to, _)| *to == Bob);
    Setting { leaks: true, ..setting }
}

/// A key, unlike a one-shot, does not rest on TLS alone.
#[test]
fn introductions_and_keys_keep_both_promises_even_if_eve_reads_all_that_alice_sends() {
    assert!(broken(leaking(introductions())).is_empty());
    assert!(broken(leaking(keys())).is_empty());
}

/// What the seed says: the body of a one-shot rides on TLS.
#[test]
fn whoever_reads_a_one_shot_before_bob_does_may_put_another_body_under_it_once() {
    assert_eq!(broken(leaking(one_shots())), [SENT]);
}

#[test]
fn every_mistake_is_found() {
    for (flaw, setting, promise) in [
        (Flaw::UrlIgnored, one_shots(), SENT),
        (Flaw::TokenKept, leaking(introductions()), ONCE),
        (Flaw::HostBelieved, one_shots(), SENT),
        (Flaw::HashNotCompared, one_shots(), SENT),
        (Flaw::BoundTakenForPlain, leaking(introductions()), SENT),
        (Flaw::BindingNotCompared, leaking(introductions()), SENT),
        (Flaw::KeyOfAnybody, keys(), SENT),
        (Flaw::NonceForgotten, leaking(keys()), ONCE),
        (Flaw::BodyNotCompared, leaking(introductions()), SENT),
    ] {
        let broken = broken(Setting { flaw: Some(flaw), ..setting });
        assert!(broken.contains(&promise), "{flaw:?} broke {broken:?}");
    }
}
