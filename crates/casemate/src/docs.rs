//! Writes man pages and shell completions, from the definitions that parse and help use.
//!
//! Only in builds with the feature `docs`: `hack/docs` makes such a build, the released binary has no
//! trace of it.

use crate::cli::help::{command_list, described};
use crate::cli::parse::global_command;
use crate::cli::verb::Verb;
use crate::commands::VERBS;
use anyhow::{Context, Result};
use clap_complete::{generate_to, Shell};
use clap_mangen::Man;
use std::io::Write;
use std::path::Path;

/// Section 8 holds administration commands, runc's among them.
const SECTION: &str = "8";

/// Writes `man/*.8` and `completions/*` below `directory`.
pub(crate) fn write(directory: &Path) -> Result<()> {
    let man = directory.join("man");
    let completions = directory.join("completions");
    for directory in [&man, &completions] {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("create {}", directory.display()))?;
    }
    write_page(&man, "casemate", described(global_command(), &VERBS), &overview_sections())?;
    for verb in &VERBS {
        let name = format!("casemate-{}", verb.name);
        let page = verb.command().display_name(&name).bin_name(format!("casemate {}", verb.name));
        write_page(&man, &name, page, &verb_sections(verb))?;
    }
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut whole_command(), "casemate", &completions)
            .with_context(|| format!("write completions for {shell}"))?;
    }
    Ok(())
}

fn write_page(directory: &Path, name: &str, command: clap::Command, more: &str) -> Result<()> {
    let path = directory.join(format!("{name}.{SECTION}"));
    let page = Man::new(command)
        .title(name)
        .section(SECTION)
        .source(format!("casemate {}", crate::version::RELEASE))
        .manual("casemate");
    let mut text = Vec::new();
    page.render_title(&mut text)
        .and_then(|()| page.render_name_section(&mut text))
        .and_then(|()| match name {
            // The overview's commands are pages of their own, so clap does not know of them here.
            "casemate" => text.write_all(section("SYNOPSIS", OVERVIEW_SYNOPSIS).as_bytes()),
            _ => page.render_synopsis_section(&mut text),
        })
        .and_then(|()| page.render_options_section(&mut text))
        .with_context(|| format!("render {}", path.display()))?;
    text.extend(more.as_bytes());
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

/// What the overview says beyond its options.
fn overview_sections() -> String {
    let pages: Vec<String> =
        VERBS.iter().map(|verb| format!("casemate-{}({SECTION})", verb.name)).collect();
    section("COMMANDS", &command_list(&VERBS))
        + &section("EXIT STATUS", EXIT_STATUS)
        + &section("FILES", FILES)
        + &section("ENVIRONMENT", ENVIRONMENT)
        + &section("SEE ALSO", &pages.join(",\n"))
}

fn verb_sections(verb: &Verb) -> String {
    let notes = if verb.more.is_empty() { String::new() } else { section("NOTES", verb.more) };
    notes + &section("SEE ALSO", &format!("casemate({SECTION})"))
}

/// A section whose lines stay as they are.
fn section(title: &str, body: &str) -> String {
    let escaped = body.replace('\\', "\\e").replace('-', "\\-");
    let lines: String = escaped
        .lines()
        // A dot or quote in the first column would be a request to roff.
        .map(|line| {
            if line.starts_with(['.', '\'']) {
                format!("\\&{line}\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    format!(".SH {title:?}\n.nf\n{lines}.fi\n")
}

const OVERVIEW_SYNOPSIS: &str = "casemate [OPTIONS] COMMAND [ARGS]...";

const EXIT_STATUS: &str = "\
0    success
1    failure, or an invalid command line
255  'exec' could not run the process
else the status of the process ('run' and 'exec' in the foreground), or 128 plus its signal";

const FILES: &str = "\
/run/casemate                the state of containers; --root names another directory
/etc/casemate/policy.toml    the node policy";

const ENVIRONMENT: &str = "\
XDG_RUNTIME_DIR  an ordinary user's state directory is its subdirectory casemate
LISTEN_FDS       with LISTEN_PID: file descriptors that 'create' and 'run' pass on
NOTIFY_SOCKET    socket of systemd to which the container's readiness is passed on";

/// All commands in one definition, which no invocation needs.
fn whole_command() -> clap::Command {
    described(global_command(), &VERBS).subcommands(VERBS.iter().map(|verb| verb.command()))
}
