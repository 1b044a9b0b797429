//! `casemate-faults RUNTIME WORK MODE [OPTION...] [-- GLOBAL-OPTION...]`: has each system call of each command of a runtime
//! fail in turn, or kills the process that makes it, and looks at what comes of it. hack/faults starts it on a host of its
//! own, with a bundle in WORK/bundle whose program is `/bin/sleep`.
//!
//! As `casemate-faults --trace ...` it is the tracer of one command.

// Nothing of the tests runs beside it.
#![allow(clippy::disallowed_methods)]

mod attempt;
mod cases;
mod host;
mod line;
mod points;
mod registers;
mod report;
mod runtime;
mod trace;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// `--trace FAULT ALSO FOLLOW REPORT PROGRAM ARGUMENT...`
fn tracer(words: &[String]) -> ! {
    let at = match words[0].split(':').collect::<Vec<_>>().as_slice() {
        [process, call, fault] => {
            let number = |text: &str| text.parse::<usize>().expect("a number");
            let fault = match *fault {
                "kill" => trace::Fault::Kill,
                errno => trace::Fault::Errno(errno.parse().expect("an errno")),
            };
            Some((trace::Place { process: number(process), call: number(call) }, fault))
        }
        _ => None,
    };
    let request = trace::Request {
        at,
        also: Some(words[1].parse().expect("a pid")).filter(|pid| *pid != 0),
        follow: words[2] == "true",
        report: PathBuf::from(&words[3]),
    };
    let status = trace::run(request, Path::new(&words[4]), &words[5..]).expect("ptrace");
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 255 };
    std::process::exit(code)
}

/// The option `--NAME VALUE`, if it is there.
fn option(words: &[String], name: &str) -> Option<String> {
    let at = words.iter().position(|word| word == name)?;
    Some(words.get(at + 1).unwrap_or_else(|| panic!("{name} needs a value")).clone())
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "--trace") {
        tracer(&words[1..]);
    }
    let split = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (own, globals) = words.split_at(split);
    let [program, work, mode, options @ ..] = own else {
        panic!("casemate-faults RUNTIME WORK errors|kills [OPTION...] [-- GLOBAL-OPTION...]")
    };
    let number =
        |name: &str| option(options, name).map(|text| text.parse::<usize>().expect("a number"));
    let runtime = runtime::Runtime {
        program: PathBuf::from(program),
        globals: globals.iter().skip(1).cloned().collect(),
        work: PathBuf::from(work),
        id: option(options, "--id").unwrap_or_else(|| "faults".to_owned()),
        limit: Duration::from_secs(number("--limit").unwrap_or(600) as u64),
    };
    let lab = attempt::Lab::new(runtime);
    let plan = report::Plan {
        kill: mode == "kills",
        sample: number("--sample"),
        only: option(options, "--only"),
        place: option(options, "--place"),
    };
    let clean = report::run(&lab, &plan);
    std::process::exit(i32::from(!clean));
}
