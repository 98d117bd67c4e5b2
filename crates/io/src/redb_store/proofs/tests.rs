use countersign::store::Id;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(10_000 + seconds)
}

fn proof(created: Option<Timestamp>, until: Timestamp) -> Spend {
    Spend { id: Id::of(&[b"n"]), created, received_at: at(0), until }
}

#[test]
fn after_a_restore_all_that_may_have_been_accepted_is_refused_until_it_has_ended() {
    let refused = Refused { cut_off: Some(at(5)), ..Refused::default() }.and_all_before(at(0));
    assert_eq!(refused.refuses(&proof(Some(at(0)), at(60))), Some(at(30)));
    assert_eq!(refused.refuses(&proof(Some(at(30)), at(90))), Some(at(30)), "dated ahead, and accepted");
    assert_eq!(refused.refuses(&proof(Some(at(31)), at(90))), None);
    assert_eq!(refused.refuses(&proof(None, at(3600))), Some(at(3600)));
    assert_eq!(refused.refuses(&proof(None, at(3601))), None);
    let later = Refused { cut_off: Some(at(100)), undated: Some(at(9_000)), ..Refused::default() };
    assert_eq!(later.clone().and_all_before(at(0)), later, "what was refused stays so");
}

#[test]
fn a_clock_that_is_set_back_lets_nothing_pass_that_was_accepted_before_or_while_it_was_ahead() {
    // The mark stood at 2 s; the clock leapt to an hour, proofs passed, and it went back to 8 s.
    let leap = Leap { from: at(2), to: at(3_600) };
    let refused = Refused::default().and_the_clock_back(at(8), Some(at(3_607)), Some(leap), at(3_605));
    assert_eq!(refused.refuses(&proof(Some(at(1)), at(61))), Some(at(8)), "before");
    assert_eq!(refused.refuses(&proof(Some(at(3_604)), at(3_664))), Some(at(3_607)), "while it was ahead");
    assert_eq!(refused.refuses(&proof(Some(at(3_000)), at(6_600))), Some(at(3_607)), "the same, long-lived");
    assert_eq!(refused.refuses(&proof(Some(at(9)), at(69))), None, "made after");
    assert_eq!(refused.refuses(&proof(Some(at(3_500)), at(3_560))), None, "ended before the leap's end");
    assert_eq!(refused.refuses(&proof(Some(at(3_608)), at(3_668))), None, "an hour later");
    assert_eq!(refused.refuses(&proof(None, at(300))), Some(at(3_607)), "nobody knows when it was made");
    assert_eq!(refused.refuses(&proof(None, at(3_608))), None);
}

#[test]
fn a_leap_that_nobody_saw_leaves_everything_up_to_the_mark_refused() {
    for leap in [None, Some(Leap { from: at(1), to: at(4) })] {
        let refused = Refused::default().and_the_clock_back(at(8), Some(at(3_607)), leap, at(3_605));
        assert_eq!(refused.refuses(&proof(Some(at(9)), at(69))), Some(at(3_607)), "{leap:?}");
        assert_eq!(refused.refuses(&proof(Some(at(3_608)), at(3_668))), None);
    }
}

#[test]
fn a_crash_while_the_clock_was_ahead_is_told_by_the_same_leap_and_a_second_leap_widens_the_first() {
    let leap = Leap { from: at(2), to: at(3_600) };
    let crashed = Refused { cut_off: Some(at(3_607)), ..Refused::default() };
    let refused = crashed.and_the_clock_back(at(8), Some(at(3_607)), Some(leap), at(3_605));
    assert_eq!(refused.refuses(&proof(Some(at(9)), at(69))), None);
    assert_eq!(refused.refuses(&proof(Some(at(3_604)), at(3_664))), Some(at(3_607)));
    let second = Leap { from: at(20), to: at(1_800) };
    let refused = refused.and_the_clock_back(at(25), Some(at(1_810)), Some(second), at(1_805));
    assert_eq!(refused.ahead, Some((at(1_800), at(3_607))));
    assert_eq!(refused.cut_off, Some(at(25)));
}

#[test]
fn a_cut_off_from_before_the_leap_stays_and_one_from_under_it_goes() {
    let leap = Leap { from: at(2), to: at(3_600) };
    let set_back = |cut_off| {
        let refused = Refused { cut_off: Some(at(cut_off)), ..Refused::default() };
        refused.and_the_clock_back(at(8), Some(at(3_607)), Some(leap), at(3_605)).cut_off
    };
    assert_eq!(
        set_back(30),
        Some(at(30)),
        "a restore half a minute before: what was accepted then may come again"
    );
    assert_eq!(set_back(3_599), Some(at(3_599)));
    assert_eq!(
        set_back(3_600),
        Some(at(8)),
        "it would refuse all for an hour, and the leap tells those apart"
    );
    assert_eq!(set_back(3_607), Some(at(8)));
}

#[test]
fn a_mark_far_ahead_of_the_last_is_a_leap_and_the_next_ones_are_none() {
    let proofs = Proofs::new(Found {
        ledger: Ledger::default(),
        mark: Some(at(2)),
        shown: at(0),
        refused: Refused::default(),
        forgets_before: None,
    });
    let clock = countersign::time::ManualClock::new(at(1));
    let wanted = |proofs: &Proofs| {
        proofs.wanted.store(true, Ordering::SeqCst);
        proofs.mark_due(&clock).unwrap()
    };
    assert_eq!(wanted(&proofs), NextMark { mark: at(3), leap: None });
    clock.set(at(3_600));
    let next = wanted(&proofs);
    assert_eq!(next.leap, Some(Leap { from: at(2), to: at(3_596) }));
    proofs.mark_is_durable(next.mark);
    clock.set(at(3_610));
    assert_eq!(wanted(&proofs), NextMark { mark: at(3_612), leap: None });
}

#[tokio::test]
async fn whoever_waits_for_a_mark_that_cannot_be_written_is_told_at_once() {
    let found = Found {
        ledger: Ledger::default(),
        mark: None,
        shown: at(0),
        refused: Refused::default(),
        forgets_before: None,
    };
    let proofs = Proofs::new(found);
    let start = std::time::Instant::now();
    let waited = proofs.wait_for_mark(at(1), || {
        proofs.mark_failed();
        Ok(())
    });
    assert!(matches!(waited.await, Err(StoreError::Unavailable(_))));
    assert!(start.elapsed() < MARK_TIME_OUT / 2, "{:?}", start.elapsed());
}
