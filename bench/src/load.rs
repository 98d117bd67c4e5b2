//! `wrk`, and what it found.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::Failure;
use crate::process::{Place, Process, pinned};

/// Connections that stay open.
pub(crate) const CONNECTIONS: usize = 64;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Requests a second.
    pub(crate) rate: f64,
    /// CPU microseconds a request of what was measured.
    pub(crate) cpu: f64,
    /// Its memory afterwards, in KiB.
    pub(crate) resident: u64,
}

/// Loads `process` and measures it, after a second of warming up with a script that may be another.
pub(crate) fn measure(
    process: &Process,
    address: SocketAddr,
    warm: &Path,
    script: &Path,
    seconds: u64,
) -> Result<Sample, Failure> {
    run(address, warm, 1)?;
    let before = process.cpu_time()?;
    let (requests, took) = run(address, script, seconds)?;
    let spent = process.cpu_time()?.saturating_sub(before);
    Ok(Sample {
        rate: requests / took.as_secs_f64(),
        cpu: spent.as_secs_f64() * 1e6 / requests,
        resident: process.resident()?,
    })
}

/// Takes a sample of each of so many contenders once a round. Whoever was first is last in the next round.
pub(crate) fn rounds(
    rounds: usize,
    contenders: usize,
    mut sample: impl FnMut(usize) -> Result<Sample, Failure>,
) -> Result<Vec<Vec<Sample>>, Failure> {
    let mut samples = Vec::new();
    for round in 0..rounds.max(1) {
        eprintln!("round {} of {}", round + 1, rounds.max(1));
        let mut row = vec![None; contenders];
        for turn in 0..contenders {
            let index = (turn + round) % contenders;
            row[index] = Some(sample(index)?);
        }
        samples.push(row.into_iter().flatten().collect());
    }
    Ok(samples)
}

/// How many requests were answered, and in what time. Anything but an answer of 2xx is a failure: a
/// refusal is quick, and would look like speed.
fn run(address: SocketAddr, script: &Path, seconds: u64) -> Result<(f64, Duration), Failure> {
    let output = pinned(Place::Load, "wrk")
        .args(["-t", "1", "-c", &CONNECTIONS.to_string(), "-d", &format!("{seconds}s"), "-s"])
        .arg(script)
        .arg(format!("http://{address}/orders/1"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines().map(str::trim);
    let unwanted = lines.clone().find(|line| {
        line.starts_with("Non-2xx")
            || (line.starts_with("Socket errors") && !line.contains("connect 0, read 0, write 0"))
    });
    if let Some(line) = unwanted {
        return Err(format!("wrk against {address}: {line}").into());
    }
    // What `done` in the script wrote: requests, microseconds.
    let numbers = lines.find_map(|line| line.strip_prefix("measured ")?.split_once(' '));
    let Some((Ok(requests), Ok(micros))) =
        numbers.map(|(requests, micros)| (requests.parse(), micros.parse()))
    else {
        return Err(format!("wrk said: {text}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    Ok((requests, Duration::from_micros(micros)))
}
