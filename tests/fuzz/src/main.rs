//! `casemate-fuzz TARGET [--seconds N] [--seed S] [--number N]`: reads mutated inputs until the time is over, or only input
//! number N of the seed, and ends with one line. What an input that ends the process was, the file `target/fuzz/TARGET` says.

use casemate_fuzz::{corpus, run, watch, Target, TARGETS};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: watch::Counting = watch::Counting;

fn number(words: &[String], name: &str) -> Option<u64> {
    let at = words.iter().position(|word| word == name)?;
    Some(
        words
            .get(at + 1)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{name} needs a number")),
    )
}

/// Writes the input itself, to be looked at, and reads it.
fn show(target: &Target, seed: u64, number: u64) {
    let bytes = run::input(target, &corpus::of(target), seed, number);
    std::io::stdout().write_all(&bytes).expect("standard output");
    let taken = run::once(target, &bytes);
    eprintln!("{}: {}", target.name, if taken { "taken" } else { "refused" });
}

/// The number of the last input, in a file, since nothing can be said any more once the stack or the memory is used up.
fn search(target: &Target, seed: u64, time: Duration) {
    let dir = std::env::var_os("CASEMATE_FUZZ_DIR").unwrap_or_else(|| "target/fuzz".into());
    std::fs::create_dir_all(&dir).expect("a directory for the number of the last input");
    let path = std::path::Path::new(&dir).join(target.name);
    let file = std::fs::File::create(&path).expect("a file for the number of the last input");
    let begun = Instant::now();
    let counts = run::all(target, seed, 0..u64::MAX, |number| {
        file.write_all_at(format!("--seed {seed} --number {number}\n").as_bytes(), 0)
            .expect("write");
        begun.elapsed() < time
    });
    let (name, run::Counts { read, taken }) = (target.name, counts);
    println!("{name}: {read} inputs of seed {seed}, {taken} of them taken; nothing found");
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--list"] {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    let target = words.first().and_then(|name| TARGETS.iter().find(|target| target.name == name));
    let Some(target) = target else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("casemate-fuzz: a target, one of {}", names.join(", "));
        return ExitCode::FAILURE;
    };
    let seed = number(&words, "--seed").unwrap_or(1);
    match number(&words, "--number") {
        Some(number) => show(target, seed, number),
        None => {
            search(target, seed, Duration::from_secs(number(&words, "--seconds").unwrap_or(60)))
        }
    }
    ExitCode::SUCCESS
}
