//! Prints how long reading, hardening and writing one configuration takes, in microseconds:
//! `cargo run --release -p casemate-policy --example parse_time -- config.json`.

use casemate_policy::spec::Spec;
use casemate_policy::{harden, HostFacts, ProfileName};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 2000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: parse_time CONFIG_JSON")?;
    let bytes = std::fs::read(path)?;
    let facts = HostFacts { cgroup_controllers: vec!["pids".to_owned()], ..HostFacts::default() };
    let spec = Spec::parse(&bytes)?;
    let hardened = harden(spec.clone(), ProfileName::Hardened.profile(), &facts)?;
    report("parse and check", || drop(black_box(Spec::parse(black_box(&bytes)))));
    report("clone", || drop(black_box(black_box(&spec).clone())));
    report("clone and harden", || {
        drop(black_box(harden(spec.clone(), ProfileName::Hardened.profile(), &facts)));
    });
    report("write hardened", || drop(black_box(serde_json::to_vec(&hardened.spec))));
    report("write decisions", || drop(black_box(serde_json::to_vec(&hardened.decisions))));
    Ok(())
}

/// Median over all rounds.
fn report(name: &str, mut work: impl FnMut()) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:18} {:8.1} us", times[times.len() / 2]);
}
