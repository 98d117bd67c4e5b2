//! Two ways to compare what things cost on a machine that others use too: times, taken in turn so that a
//! slow hour is slow for all, and instructions, which are the same at every hour.

use std::process::Command;
use std::time::{Duration, Instant};

/// How long one contender runs before it is the next one's turn.
const TURN: Duration = Duration::from_millis(3);

/// One of several that are compared.
pub(crate) struct Contender<'a> {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnMut() + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: impl Into<String>, run: impl FnMut() + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// For each contender, the microseconds that one run took in each round.
pub(crate) fn measure(contenders: &mut [Contender<'_>], rounds: usize) -> Vec<Vec<f64>> {
    let runs: Vec<u32> = contenders.iter_mut().map(runs_in_a_turn).collect();
    let mut took = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for ((contender, runs), took) in contenders.iter_mut().zip(&runs).zip(&mut took) {
            let begun = Instant::now();
            counted(&mut contender.run, *runs);
            took.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(*runs));
        }
    }
    took
}

fn runs_in_a_turn(contender: &mut Contender<'_>) -> u32 {
    let mut runs = 1;
    loop {
        let begun = Instant::now();
        counted(&mut contender.run, runs);
        if begun.elapsed() > TURN {
            return runs;
        }
        runs *= 2;
    }
}

/// The middle of some values, and the quarters below and above it.
pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

/// What callgrind counts: the name is its `--toggle-collect`.
#[inline(never)]
fn counted(run: &mut dyn FnMut(), runs: u32) {
    for _ in 0..runs {
        run();
    }
}

/// Asked by [`instructions`], in a process of its own: the contender that the arguments name, run so often.
/// `None`: nobody asks.
pub(crate) fn asked() -> Option<(String, u32)> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "count");
    arguments.next()?;
    Some((arguments.next()?, arguments.next()?.parse().ok()?))
}

/// Runs the one that was asked for.
pub(crate) fn answer(contender: &mut Contender<'_>, runs: u32) {
    (contender.run)();
    counted(&mut contender.run, runs);
}

/// How many instructions one run of a contender takes, by callgrind. `None` where it is not installed.
pub(crate) fn instructions(name: &str) -> Option<u64> {
    const RUNS: u64 = 20;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*timing::counted*")
        .arg(std::env::current_exe().ok()?)
        .args(["count", name, &RUNS.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : "))?.1;
    Some(collected.trim().parse::<u64>().ok()? / RUNS)
}
