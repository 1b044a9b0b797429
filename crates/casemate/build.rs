//! Records the commit that the binary is built from, for `casemate --version`.
//!
//! A release tarball has no `.git`: then `CASEMATE_COMMIT` from the environment counts, else "unknown".

use std::path::Path;
use std::process::Command;

/// The order of functions, for the linker.
const HOT: &str = "hot.ld";

fn main() {
    link_early_entry();
    println!("cargo::rerun-if-env-changed=CASEMATE_COMMIT");
    let commit = from_environment().or_else(from_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=CASEMATE_COMMIT_ID={commit}");
}

/// Static, optimised builds start in `casemate_sys::early`, before the C library; its head says why.
fn link_early_entry() {
    let is = |name: &str, wanted: &str| {
        std::env::var(name).is_ok_and(|value| value.split(',').any(|v| v == wanted))
    };
    let known = is("CARGO_CFG_TARGET_ARCH", "x86_64") || is("CARGO_CFG_TARGET_ARCH", "aarch64");
    let optimised = ["2", "3", "s", "z"].iter().any(|level| is("OPT_LEVEL", level));
    // What `hack/bench --ablate` measures the lack of.
    let without = |name: &str| is("CARGO_CFG_CASEMATE_WITHOUT", name);
    if known && optimised && is("CARGO_CFG_TARGET_FEATURE", "crt-static") && !without("early") {
        println!("cargo::rustc-link-arg-bins=-Wl,-e,casemate_entry,-u,casemate_entry");
    }
    let x86_64 = is("CARGO_CFG_TARGET_ARCH", "x86_64");
    println!("cargo::rerun-if-changed={HOT}");
    if x86_64 && optimised && is("CARGO_CFG_TARGET_FEATURE", "crt-static") && !without("hot-order")
    {
        // What making and entering containers executes lies together at the front (hack/hot writes the list). The kernel
        // maps 64 KiB at a fault, and a third of the program is used, a little of it everywhere otherwise. A name that the
        // linker does not find is nothing to it.
        let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        for argument in ["-T", &format!("{directory}/{HOT}")] {
            println!("cargo::rustc-link-arg-bins=-Xlinker");
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
    if x86_64 && is("CARGO_CFG_TARGET_FEATURE", "crt-static") && !without("packed-relocations") {
        // Seven thousand relocations in 2 KiB instead of 170, which every start would read. GNU ld knows it for this
        // architecture since 2.38, the C library since 2.36.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

fn from_environment() -> Option<String> {
    std::env::var("CASEMATE_COMMIT").ok().filter(|commit| !commit.is_empty())
}

fn from_git() -> Option<String> {
    let git_dir = ask_git(&["rev-parse", "--absolute-git-dir"])?;
    // Committing and switching branches both append to the log of HEAD; before the first commit there is none.
    let head_log = Path::new(&git_dir).join("logs/HEAD");
    if head_log.exists() {
        println!("cargo::rerun-if-changed={}", head_log.display());
    }
    ask_git(&["rev-parse", "--short=12", "HEAD"])
}

fn ask_git(arguments: &[&str]) -> Option<String> {
    let answer = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let text = text.trim();
    (answer.status.success() && !text.is_empty()).then(|| text.to_owned())
}
