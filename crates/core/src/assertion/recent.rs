//! Assertions that were made a moment ago: a caller that asks the same again gets the same, unsigned.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;

use super::LIFE;
use crate::time::Timestamp;

/// How many assertions are remembered in each of two generations.
const MOST: usize = 1024;
/// What is larger is signed each time, in bytes of what it says and of the token together: the whole memory
/// is bounded by twice [`MOST`] times this.
const LARGEST: usize = 4 * 1024;
/// How much of an assertion's life must be left when it is used again.
pub(super) const LEFT: Duration = Duration::from_secs(30);

/// Assertions by the key that signed them and all that they say but their times. What is not asked for
/// leaves with its generation.
#[derive(Default)]
pub(super) struct Recent(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Box<[u8]>, Made>,
    old: HashMap<Box<[u8]>, Made>,
}

#[derive(Clone)]
struct Made {
    at: Timestamp,
    value: HeaderValue,
}

impl Recent {
    pub(super) fn get(&self, said: &[u8], now: Timestamp) -> Option<HeaderValue> {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = generations.young.get(said).or_else(|| generations.old.get(said))?;
        let fresh = made.at <= now && now.plus(LEFT) <= made.at.plus(LIFE);
        fresh.then(|| made.value.clone())
    }

    pub(super) fn keep(&self, said: Vec<u8>, at: Timestamp, value: &HeaderValue) {
        if said.len() + value.len() > LARGEST {
            return;
        }
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= MOST {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(said.into_boxed_slice(), Made { at, value: value.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NOW;

    fn value() -> HeaderValue {
        HeaderValue::from_static("a.b.c")
    }

    #[test]
    fn an_assertion_is_used_again_while_half_its_life_is_left() {
        let recent = Recent::default();
        recent.keep(b"x".to_vec(), NOW, &value());
        assert_eq!(recent.get(b"x", NOW.plus(LIFE).minus(LEFT)), Some(value()));
        assert_eq!(recent.get(b"x", NOW.plus(LIFE).minus(LEFT).plus(Duration::from_millis(1))), None);
        assert_eq!(recent.get(b"x", NOW.minus(Duration::from_secs(1))), None, "of a clock that went back");
        assert_eq!(recent.get(b"y", NOW), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let recent = Recent::default();
        for number in 0..5 * MOST {
            recent.keep(number.to_be_bytes().to_vec(), NOW, &value());
        }
        let within = LARGEST - value().len();
        recent.keep(vec![b'x'; within], NOW, &value());
        recent.keep(vec![b'x'; within + 1], NOW, &value());
        let generations = recent.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * MOST);
        assert_eq!(generations.young.keys().map(|key| key.len()).max(), Some(within));
        drop(generations);
        assert_eq!(recent.get(&(5 * MOST - 1).to_be_bytes(), NOW), Some(value()));
        assert_eq!(recent.get(&0_usize.to_be_bytes(), NOW), None);
    }
}
