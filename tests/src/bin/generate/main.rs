//! `casemate-generate CASEMATE WORK COUNT SEED`: runs generated bundles and holds what the kernel shows of each container, and
//! what its payload can do, against the floor. hack/attack starts it on a host of its own.
//!
//! As `casemate-generate --payload`, the container's program.

// Nothing of the tests runs beside it.
#![allow(clippy::disallowed_methods)]

mod checks;
mod payload;
mod places;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What was found, by kind.
#[derive(Debug, Default)]
struct Counts {
    made: u64,
    run: u64,
    refused: BTreeMap<String, u64>,
    /// Let in by the controls and stopped by the floor: nothing ran, but the two do not say the same.
    floor: BTreeMap<String, (u64, u64)>,
    failed: BTreeMap<String, u64>,
    violations: Vec<String>,
    leftovers: Vec<String>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--payload"] => payload::run(),
        [casemate, work, count, seed] => {
            let number = |text: &str| text.parse::<u64>().expect("a number");
            let (count, seed) = (number(count), number(seed));
            let setup = run::Setup::new(PathBuf::from(casemate), PathBuf::from(work));
            let mut counts = Counts::default();
            let seeds = seed..seed + count;
            for seed in seeds.clone() {
                run::one(&setup, seed, &mut counts);
            }
            run::leftovers(&setup, &seeds, &mut counts);
            report(&counts);
        }
        _ => panic!("generate: CASEMATE WORK COUNT SEED, or --payload"),
    }
}

fn report(counts: &Counts) {
    let total = |map: &BTreeMap<String, u64>| map.values().sum::<u64>();
    let floor: u64 = counts.floor.values().map(|(n, _)| n).sum();
    println!(
        "generated {}: {} run, {} refused, {floor} stopped by the floor, {} failed; \
         {} violations, {} leftovers",
        counts.made,
        counts.run,
        total(&counts.refused),
        total(&counts.failed),
        counts.violations.len(),
        counts.leftovers.len()
    );
    for (what, n) in &counts.refused {
        println!("refused {n} {what}");
    }
    for (what, (n, seed)) in &counts.floor {
        println!("floor {n} {what} (seed {seed})");
    }
    for (what, n) in &counts.failed {
        println!("failed {n} {what}");
    }
    for text in counts.violations.iter().chain(&counts.leftovers) {
        println!("FAULT {text}");
    }
    let clean = counts.violations.is_empty() && counts.leftovers.is_empty();
    std::process::exit(i32::from(!clean || counts.run == 0));
}
