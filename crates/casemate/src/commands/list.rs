//! `list`: a table, JSON, or bare ids.

use super::style::clean;
use super::{Context, Outcome};
use crate::cli::observe::ListArgs;
use crate::{backend, output};
use anyhow::{bail, Context as _};
use casemate_runtime::report::{bounded, StateReport};
use std::io::Write;

#[inline(never)]
pub(crate) fn execute(args: &ListArgs, context: &mut Context<'_>) -> Outcome {
    let report = backend::list(&context.global)?;
    for problem in &report.problems {
        // runc prints these to standard error too, and they are no failure.
        let problem = clean(&bounded(problem.clone()));
        let _unwritable = writeln!(std::io::stderr(), "{problem}");
    }
    let text =
        if args.quiet { ids(&report.containers) } else { formatted(args, &report.containers)? };
    Ok(output::print(&text)?)
}

fn formatted(args: &ListArgs, containers: &[StateReport]) -> anyhow::Result<String> {
    match args.format.as_str() {
        "table" | "" => Ok(table(containers)),
        "json" => json(containers),
        _ => bail!("invalid format option\nhint: one of table, json"),
    }
}

fn ids(containers: &[StateReport]) -> String {
    containers.iter().map(|container| format!("{}\n", container.id)).collect()
}

/// One line; `null` for none, as a nil slice of Go prints.
fn json(containers: &[StateReport]) -> anyhow::Result<String> {
    if containers.is_empty() {
        return Ok("null\n".to_owned());
    }
    let text = serde_json::to_string(containers).context("encode the list as JSON")?;
    Ok(text + "\n")
}

fn table(containers: &[StateReport]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(header)
        .chain(containers.iter().map(|container| {
            let c = container;
            let pid = c.pid.to_string();
            // A path may be anybody's text; without an escape it would speak to the terminal, or look like another line.
            [&c.id, &pid, &c.status, &c.bundle, &c.created, &c.owner].map(|cell| clean(cell))
        }))
        .collect();
    align(&rows)
}

/// Columns as wide as their widest cell and three spaces, at least twelve; the last one stays open.
fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max();
        (widest.unwrap_or(0) + 3).max(12)
    };
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < N {
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

    fn container(id: &str) -> StateReport {
        StateReport {
            oci_version: "1.3.0".into(),
            id: id.into(),
            pid: 42,
            status: "running".into(),
            bundle: "/bundles/a-rather-long-name".into(),
            rootfs: "/bundles/a-rather-long-name/rootfs".into(),
            created: "2026-01-02T03:04:05.6Z".into(),
            annotations: Default::default(),
            owner: "root".into(),
        }
    }

    #[test]
    fn table_has_the_columns_of_runc() {
        let text = table(&[container("a"), container("longer-than-twelve")]);
        let lines: Vec<&str> = text.lines().collect();
        let columns: Vec<&str> = lines[0].split_whitespace().collect();
        assert_eq!(columns, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
        assert!(lines.iter().all(|line| line.find("42").is_none_or(|at| at == 21)), "{text}");
        assert!(lines[1].ends_with("   root"));
        assert_eq!(table(&[]).lines().count(), 1);
    }

    #[test]
    fn control_bytes_of_a_bundle_reach_no_terminal() {
        let bundle = "/b\u{1b}[2J\nfake 1 running\u{9b}".to_owned();
        let text = table(&[StateReport { bundle, ..container("a") }]);
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
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn quiet_prints_bare_ids() {
        assert_eq!(ids(&[container("a"), container("b")]), "a\nb\n");
    }
}
