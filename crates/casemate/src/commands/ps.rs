//! `ps`: the container's pids as JSON, or the host's `ps` filtered by them.

use super::format::{table_or_json, Format};
use super::locate;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::{backend, output};
use anyhow::{ensure, Context as _};
use casemate_runtime::hinted::hinted;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where `ps` is looked for when the caller has no PATH, as podman's calls have none.
const DEFAULT_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) const VERB: Verb =
    Verb::of::<Ps>("ps", Group::Inspect, "Show the processes of a container", Arity::AtLeast(1))
        .flags_end_after_id()
        .more(MORE);

const MORE: &str = "\
Examples:
  casemate ps web
  casemate ps web -o pid,user,args
  casemate ps --format json web";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Ps {
    /// table (the host's ps, filtered) or json (the pids)
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = table_or_json)]
    format: Format,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    id: String,

    /// Options for ps; its output must have a PID column [default: -ef]
    #[arg(value_name = "PS-OPTION", trailing_var_arg = true)]
    ps_options: Vec<OsString>,
}

impl Execute for Ps {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let id = locate::container(&self.id, context)?;
        match self.format {
            Format::Json => {
                let pids = backend::ps(&context.global, &id)?;
                let text = serde_json::to_string(&pids).context("encode the pids as JSON")?;
                output::print(&(text + "\n"))
            }
            _ => {
                let pids = backend::ps(&context.global, &id)?;
                output::print(&only_pids(&host_ps(&self.ps_options)?, &pids)?)
            }
        }
    }
}

fn host_ps(options: &[OsString]) -> anyhow::Result<String> {
    let program = find_ps()?;
    let default = [OsString::from("-ef")];
    let options = if options.is_empty() { &default } else { options };
    let answer = Command::new(&program)
        .args(options)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", program.display()))?;
    let complaint = String::from_utf8_lossy(&answer.stderr);
    ensure!(answer.status.success(), "{}: {}: {complaint}", program.display(), answer.status);
    Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
}

fn find_ps() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").filter(|path| !path.is_empty());
    let path = path.as_deref().unwrap_or(OsStr::new(DEFAULT_PATH));
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("ps"))
        // As a shell looks: what cannot be executed is passed over.
        .find(|program| rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok())
        .ok_or_else(|| {
            hinted("ps: executable file not found in $PATH", "--format json needs no ps")
        })
}

/// The header, and the rows whose PID column holds one of `pids`.
fn only_pids(table: &str, pids: &[i32]) -> anyhow::Result<String> {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let Some(column) = header.split_whitespace().position(|title| title == "PID") else {
        return Err(hinted(
            "couldn't find PID field in ps output",
            "the options for ps must print that column",
        ));
    };
    let mut text = format!("{header}\n");
    for line in lines {
        let Some(cell) = line.split_whitespace().nth(column) else { continue };
        let pid: i32 = cell.parse().with_context(|| format!("unable to parse pid: {cell:?}"))?;
        if pids.contains(&pid) {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "UID          PID    PPID CMD\nroot           1       0 init\nroot           7       1 sh -c 1\n";

    #[test]
    fn only_rows_of_the_container_are_kept() {
        let text = only_pids(TABLE, &[7]).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with("sh -c 1\n"), "{text}");
        assert_eq!(only_pids(TABLE, &[]).unwrap().lines().count(), 1);
    }

    #[test]
    fn output_without_pid_column_is_an_error() {
        for table in ["", "USER CMD\nroot init\n"] {
            let error = only_pids(table, &[1]).unwrap_err().to_string();
            assert!(error.starts_with("couldn't find PID field in ps output"), "{error}");
        }
    }
}
