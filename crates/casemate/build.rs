//! Records the commit that the binary is built from, for `casemate --version`, and says how it is linked.
//!
//! A release tarball has no `.git`: then `CASEMATE_COMMIT` from the environment counts, else "unknown".

use std::path::Path;
use std::process::Command;

#[path = "../boot/link.rs"]
mod link;

fn main() {
    link::settings();
    println!("cargo::rerun-if-env-changed=CASEMATE_COMMIT");
    let commit = from_environment().or_else(from_git).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=CASEMATE_COMMIT_ID={commit}");
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
