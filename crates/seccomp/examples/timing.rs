//! Prints what compiling costs: the profile that podman puts into its bundles, for three
//! architectures, and casemate's default filter. `cargo run --release --example timing`.

#[path = "../tests/common/mod.rs"]
mod common;

use casemate_seccomp::{compile, default_filter, default_program, Arch, Filter, Variant};
use std::time::Instant;

const ROUNDS: usize = 2000;

fn main() {
    let podman = common::podman_filter();
    report("podman's profile", || podman.clone(), true);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(default_program(
            Arch::X86_64,
            Variant::of_caps(std::hint::black_box(0x5fb)),
        ))
        .ok();
    }
    let each = start.elapsed().as_nanos() / ROUNDS as u128;
    println!("default program as the build made it: {each} ns");
    report(
        "default filter, rules included",
        || default_filter(Arch::X86_64, Variant::of_caps(0x5fb)),
        false,
    );
}

/// Times `compile`, and with `given` false the making of the filter too.
fn report(what: &str, make: impl Fn() -> Filter<'static>, given: bool) {
    let mut times = Vec::with_capacity(ROUNDS);
    let mut insns = 0;
    let kept = make();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let compiled =
            if given { compile(&kept, Arch::X86_64) } else { compile(&make(), Arch::X86_64) };
        let took = start.elapsed();
        insns = compiled.map_or(0, |compiled| compiled.program.insns().len());
        times.push(took.as_nanos());
    }
    let first = times[0] / 1000;
    times.sort_unstable();
    let median = times[ROUNDS / 2] as f64 / 1000.0;
    println!("{what}: median {median:.1} µs, first {first} µs, {insns} instructions");
}
