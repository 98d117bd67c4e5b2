//! From samples to Markdown: medians, and ratios that were taken within a round.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::Failure;
use crate::contender::{Bench, Contender, Guard};
use crate::load::{CONNECTIONS, Sample};
use crate::machine;
use crate::memory::Memory;
use crate::process::Place;

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) quick: bool,
    /// Keys in most stores.
    pub(crate) keys: usize,
    /// Keys in the smallest.
    pub(crate) few_keys: usize,
    /// Keys in the largest.
    pub(crate) many_keys: usize,
    /// Routes where there are many.
    pub(crate) routes: usize,
    /// Idle connections.
    pub(crate) connections: usize,
}

impl Plan {
    pub(crate) fn new(rounds: usize, seconds: u64, quick: bool) -> Self {
        let (few_keys, routes) = (10, 1000);
        match quick {
            true => Self {
                rounds: 1,
                seconds: 1,
                quick,
                keys: 1_000,
                few_keys,
                many_keys: 2_000,
                routes,
                connections: 500,
            },
            false => Self {
                rounds: rounds.max(1),
                seconds: seconds.max(1),
                quick,
                keys: 10_000,
                few_keys,
                many_keys: 100_000,
                routes,
                connections: 10_000,
            },
        }
    }
}

/// A comparison within each round.
struct Comparison {
    of: Contender,
    with: Contender,
    aim: &'static str,
}

fn comparisons(plan: &Plan) -> Vec<Comparison> {
    let keyed = Guard::keyed(plan.keys);
    let (public, key) = (Contender::Gateway(Guard::public(plan.keys)), Contender::Gateway(keyed));
    let of = |of, with, aim| Comparison { of, with, aim };
    vec![
        of(public, Contender::Bare, "≥ 0.90"),
        of(key, public, "≥ 0.95"),
        of(key, Contender::Nginx, "≥ 1.0"),
        of(key, Contender::HaProxy, ""),
        of(Contender::Bare, Contender::Nginx, ""),
        of(Contender::Gateway(Guard { audit: true, ..keyed }), key, ""),
        of(Contender::Gateway(Guard { assertion: true, ..keyed }), key, ""),
        of(Contender::Gateway(Guard { routes: plan.routes, ..keyed }), key, "flat"),
        of(
            Contender::Gateway(Guard::keyed(plan.many_keys)),
            Contender::Gateway(Guard::keyed(plan.few_keys)),
            "flat",
        ),
    ]
}

/// Prints what was measured, and how.
pub(crate) fn print(
    plan: &Plan,
    bench: &Bench,
    rounds: &[Vec<Sample>],
    memory: &Memory,
) -> Result<(), Failure> {
    let mut text = heading(plan);
    text.push_str("\n| through | requests a second | CPU µs a request | memory, MiB |\n|---|--:|--:|--:|\n");
    for (index, contender) in bench.contenders.iter().enumerate() {
        let of =
            |value: fn(&Sample) -> f64| median(rounds.iter().map(|round| value(&round[index])).collect());
        writeln!(
            text,
            "| {} | {} | {:.1} | {:.1} |",
            contender.name(),
            grouped(of(|sample| sample.rate) as usize),
            of(|sample| sample.cpu),
            of(|sample| sample.resident as f64 / 1024.0),
        )?;
    }
    text.push_str(
        "\nRatios: each taken within a round, then the median, and the lowest and highest in brackets. \
         Above 1 the first is better.\n\n\
         | this | against | by requests a second | by CPU a request | aim |\n|---|---|--:|--:|---|\n",
    );
    let place = |contender| bench.contenders.iter().position(|known| *known == contender);
    for Comparison { of, with, aim } in comparisons(plan) {
        let (Some(of_index), Some(with_index)) = (place(of), place(with)) else { continue };
        let ratios = |ratio: fn(&Sample, &Sample) -> f64| {
            spread(rounds.iter().map(|round| ratio(&round[of_index], &round[with_index])).collect())
        };
        writeln!(
            text,
            "| {} | {} | {} | {} | {aim} |",
            of.name(),
            with.name(),
            ratios(|of, with| of.rate / with.rate),
            ratios(|of, with| with.cpu / of.cpu),
        )?;
    }
    writeln!(
        text,
        "\nMemory of a gateway with {} keys: {:.1} MiB at its start, {:.1} MiB with {} idle connections after one \
         request each (aim: at most 64 MiB with 10,000 and 100,000 keys).",
        grouped(memory.keys),
        memory.at_start as f64 / 1024.0,
        memory.with_connections as f64 / 1024.0,
        grouped(memory.connections),
    )?;
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn heading(plan: &Plan) -> String {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments = if arguments.is_empty() { String::new() } else { format!(" -- {}", arguments.join(" ")) };
    let mut text = format!(
        "`cargo run --profile {} -p countersign-bench{}` on {}; {}.\n\n\
         Rounds: {}, of {} s each after 1 s of warming up, interleaved, every contender started anew. wrk with one \
         thread and {CONNECTIONS} keep-alive connections sends the same requests to everybody: `GET /orders/1`, with \
         each key of the store in turn. ",
        machine::profile(),
        arguments,
        machine::machine(),
        machine::versions(),
        plan.rounds,
        plan.seconds,
    );
    if machine::has("taskset") {
        let [server, load, upstream] = [Place::Server, Place::Load, Place::Upstream].map(Place::core);
        let _ = write!(
            text,
            "What is measured has core {server}, wrk core {load}, the upstream core {upstream}. "
        );
    } else {
        text.push_str("Nothing was pinned to a core: `taskset` is not there. ");
    }
    text.push_str(
        "No access log anywhere; the gateway's audit log only where the table says so. \
         When keys were used is written down every 30 s, which these rounds are too short to see.\n",
    );
    if plan.quick {
        text.push_str("\n**Quick: this shows that the bench runs. The figures mean nothing.**\n");
    }
    text
}

/// A row of [`beside`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The number of the row that it is compared with.
    pub(crate) against: usize,
}

/// A table of contenders, each beside another or itself.
pub(crate) fn beside(rows: &[Row], samples: &[Vec<Sample>]) -> Result<String, Failure> {
    let of =
        |value: &dyn Fn(&[Sample]) -> f64| samples.iter().map(|round| value(round)).collect::<Vec<f64>>();
    let mut text = String::from(
        "| | requests a second | CPU µs a request | CPU µs added | ratio by requests | ratio by CPU |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for (index, row) in rows.iter().enumerate() {
        let (rate, cpu) = (median(of(&|round| round[index].rate)), median(of(&|round| round[index].cpu)));
        write!(text, "| {} | {rate:.0} | {cpu:.1} ", row.name)?;
        if row.against == index {
            text.push_str("| | | |\n");
            continue;
        }
        let added = of(&|round| round[index].cpu - round[row.against].cpu);
        let by_rate = of(&|round| round[index].rate / round[row.against].rate);
        let by_cpu = of(&|round| round[row.against].cpu / round[index].cpu);
        writeln!(text, "| {} | {} | {} |", spread(added), spread(by_rate), spread(by_cpu))?;
    }
    Ok(text)
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// The median, and the lowest and highest in brackets.
pub(crate) fn spread(values: Vec<f64>) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.2} [{low:.2}, {high:.2}]", median(values))
}

/// `100,000`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert_eq!(spread(vec![1.0, 3.0, 2.0]), "2.00 [1.00, 3.00]");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 100_000].map(grouped), ["0", "999", "1,000", "100,000"]);
    }
}
