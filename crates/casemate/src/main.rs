//! `casemate`, an OCI container runtime that is hardened by default.
//!
//! This crate is the only one that reads argv, prints, and has exit statuses. It reads the command
//! line (`cli`), hands what was asked for to `casemate-runtime` (`commands`, `backend`), and prints the
//! answer or the failure (`report`). It holds no container logic.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
mod backend;
mod cause;
mod cli;
mod commands;
mod context;
#[cfg(feature = "docs")]
mod docs;
mod output;
mod report;
mod steps;
mod usage;
mod values;
mod version;

use casemate_sys::signals;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = casemate_boot::protect().and_then(|()| signals::watch_children()) {
        eprintln!("casemate: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::from(app::run(std::env::args_os().collect()))
}
