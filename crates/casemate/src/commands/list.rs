//! `list`: a table, JSON, or bare ids.
//!
//! Table and JSON begin with what runc has, so that its readers find it in its place. What follows is casemate's.

use super::format::{table_or_json, Format};
use super::style::clean;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::{backend, output};
use anyhow::{bail, Context as _};
use casemate_inspect::census::{self, Member};
use casemate_inspect::{overview, roots};
use casemate_runtime::report::{bounded, ListReport, StateReport};
use casemate_runtime::request::Global;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// A container as it is listed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(flatten)]
    state: StateReport,
    /// The profile in force, and how many findings `audit` has; absent where the container cannot be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<usize>,
    /// The engine and its name for the container, where they can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The state root.
    root: PathBuf,
}

pub(super) const VERB: Verb = Verb::of::<List>(
    "list",
    Group::Inspect,
    "List the containers of this state directory",
    Arity::Exactly(0),
);

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct List {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = table_or_json)]
    format: Format,

    /// Print only the container ids, one per line
    #[arg(short, long)]
    quiet: bool,

    /// List the containers of all state directories of this host, for every engine
    #[arg(short, long)]
    all_roots: bool,
}

impl Execute for List {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let global = &context.global;
        let roots = if self.all_roots { all_roots(global)? } else { vec![global.root.clone()] };
        let (mut entries, mut problems) = (Vec::new(), Vec::new());
        for root in roots {
            let here = Global { root, ..global.clone() };
            let report = match backend::list(&here) {
                // Another user's, for instance: the other roots are listed nevertheless.
                Err(error) if self.all_roots => {
                    problems.push(format!("{error:#}"));
                    continue;
                }
                report => report?,
            };
            let ListReport { containers, problems: more } = report;
            problems.extend(more);
            for state in containers {
                entries.push(match self.quiet {
                    true => bare(state, &here),
                    false => entry(state, &here, &mut problems),
                });
            }
        }
        for problem in &problems {
            // runc prints these to standard error too, and they are no failure.
            let problem = clean(&bounded(problem.clone()));
            let _unwritable = writeln!(std::io::stderr(), "{problem}");
        }
        let text = if self.quiet { ids(&entries) } else { formatted(&self, &entries)? };
        output::print(&text)
    }
}

/// State roots of this host that casemate has containers in, and those that cannot be read.
fn all_roots(global: &Global) -> anyhow::Result<Vec<PathBuf>> {
    if global.root_is_explicit {
        bail!("--all-roots and --root cannot both be meant");
    }
    let all = roots::everywhere(global);
    let own: BTreeSet<PathBuf> = census::take(&all)
        .members
        .into_iter()
        .filter_map(|member| member.foreign.is_none().then_some(member.root))
        .collect();
    Ok(all
        .into_iter()
        .filter(|root| own.contains(root) || std::fs::read_dir(root).is_err())
        .collect())
}

fn bare(state: StateReport, global: &Global) -> Entry {
    let root = global.root.clone();
    Entry { state, profile: None, findings: None, engine: None, name: None, root }
}

fn entry(state: StateReport, global: &Global, problems: &mut Vec<String>) -> Entry {
    let (id, root) = (state.id.clone(), global.root.clone());
    // Why it is unreadable was told.
    let is_told = state.status == "unreadable";
    let member = Member { dir: root.join(&id), id, root, foreign: None };
    let bare = bare(state, global);
    let Some(row) = overview::row(global, &member) else { return bare };
    problems.extend(row.problem.filter(|_| !is_told).map(|why| format!("{}: {why}", row.id)));
    let (profile, findings, engine, name) = (row.profile, row.findings, row.engine, row.name);
    Entry { profile, findings, engine, name, ..bare }
}

fn formatted(args: &List, entries: &[Entry]) -> anyhow::Result<String> {
    match args.format {
        Format::Json => json(entries),
        _ => Ok(table(entries, args.all_roots)),
    }
}

fn ids(entries: &[Entry]) -> String {
    entries.iter().map(|entry| format!("{}\n", entry.state.id)).collect()
}

/// One line; `null` for none, as a nil slice of Go prints.
fn json(entries: &[Entry]) -> anyhow::Result<String> {
    if entries.is_empty() {
        return Ok("null\n".to_owned());
    }
    let text = serde_json::to_string(entries).context("encode the list as JSON")?;
    Ok(text + "\n")
}

const TITLES: [&str; 11] = [
    "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER", "PROFILE", "FINDINGS", "ENGINE", "NAME",
    "ROOT",
];

/// Where the containers of several roots are listed, with what tells them apart.
fn table(entries: &[Entry], of_all_roots: bool) -> String {
    let columns = if of_all_roots { TITLES.len() } else { 8 };
    let header: Vec<String> = TITLES[..columns].iter().map(|title| (*title).to_owned()).collect();
    let cells = |entry: &Entry| {
        let (c, pid, dash) = (&entry.state, entry.state.pid.to_string(), || "-".to_owned());
        let all = [
            c.id.clone(),
            pid,
            c.status.clone(),
            c.bundle.clone(),
            c.created.clone(),
            c.owner.clone(),
            entry.profile.map_or_else(dash, ToOwned::to_owned),
            entry.findings.map_or_else(dash, |count| count.to_string()),
            entry.engine.map_or_else(dash, ToOwned::to_owned),
            entry.name.clone().unwrap_or_else(dash),
            entry.root.display().to_string(),
        ];
        // A path may be anybody's text; without an escape it would speak to the terminal, or look like another line.
        all[..columns].iter().map(|cell| clean(cell)).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(entries.iter().map(cells)).collect();
    align(&rows)
}

/// Columns as wide as their widest cell and three spaces, at least twelve; the last one stays open.
fn align(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max();
        (widest.unwrap_or(0) + 3).max(12)
    };
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let padding = width(column) - cell.chars().count();
                text.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str) -> Entry {
        let state = StateReport {
            oci_version: "1.3.0".into(),
            id: id.into(),
            pid: 42,
            status: "running".into(),
            bundle: "/bundles/a-rather-long-name".into(),
            rootfs: "/bundles/a-rather-long-name/rootfs".into(),
            created: "2026-01-02T03:04:05.6Z".into(),
            annotations: Default::default(),
            owner: "root".into(),
        };
        let (profile, findings) = (Some("hardened"), Some(3));
        let (engine, name) = (Some("docker"), Some("web".into()));
        Entry { state, profile, findings, engine, name, root: "/r".into() }
    }

    #[test]
    fn table_begins_with_the_columns_of_runc() {
        let text = table(&[container("a"), container("longer-than-twelve")], false);
        let lines: Vec<&str> = text.lines().collect();
        let columns: Vec<&str> = lines[0].split_whitespace().collect();
        assert_eq!(columns[..6], ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
        assert_eq!(columns[6..], ["PROFILE", "FINDINGS"]);
        assert!(lines.iter().all(|line| line.find("42").is_none_or(|at| at == 21)), "{text}");
        let cells: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(cells[5..], ["root", "hardened", "3"]);
        assert_eq!(table(&[], false).lines().count(), 1);
        let all = table(&[container("a")], true);
        assert!(all.lines().all(|line| line.ends_with("/r") || line.ends_with("ROOT")), "{all}");
    }

    #[test]
    fn control_bytes_of_a_bundle_reach_no_terminal() {
        let bundle = "/b\u{1b}[2J\nfake 1 running\u{9b}".to_owned();
        let mut entry = container("a");
        entry.state.bundle = bundle;
        let text = table(&[entry], false);
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("/b\\u{1b}[2J\\nfake 1 running\\u{9b}"), "{text}");
    }

    #[test]
    fn json_of_no_containers_is_null() {
        assert_eq!(json(&[]).unwrap(), "null\n");
        let text = json(&[container("a")]).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[0]["id"], "a");
        assert_eq!(value[0]["owner"], "root");
        assert_eq!((&value[0]["findings"], &value[0]["name"]), (&3.into(), &"web".into()));
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn quiet_prints_bare_ids() {
        assert_eq!(ids(&[container("a"), container("b")]), "a\nb\n");
    }
}
