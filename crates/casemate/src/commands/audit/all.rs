//! `audit --all`: one line a container, and how many there are of which kind.

use super::super::style::{clean, Style, Tone};
use casemate_inspect::overview::{Overview, Row};
use casemate_inspect::report::Level;
use std::collections::BTreeMap;

/// How much of an id people read.
const SHORT: usize = 12;

pub(super) fn render(overview: &Overview, style: Style) -> String {
    let title = ["ENGINE", "NAME", "ID", "PROFILE", "FINDINGS", "VIOLATIONS", "SCORE", "OVERRIDES"];
    let rows: Vec<[String; 8]> = overview.containers.iter().map(cells).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([title[column].len()]).max().unwrap_or(0) + 2
    };
    let line = |row: [&str; 8], tone: Option<Tone>| {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            7 => (*cell).to_owned(),
            4 | 5 if tone.is_some() => style.padded(tone.unwrap_or(Tone::Dim), cell, width(column)),
            _ => format!("{cell:<0$}", width(column)),
        });
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    let mut text = line(title, None);
    for (row, cells) in overview.containers.iter().zip(&rows) {
        text.push_str(&line(std::array::from_fn(|n| cells[n].as_str()), Some(tone(row))));
    }
    text.push_str(&problems(overview, style));
    text.push_str(&format!("\n{}\n", counts(overview)));
    text
}

fn cells(row: &Row) -> [String; 8] {
    let number = |number: Option<usize>| number.map_or("?".to_owned(), |n| n.to_string());
    let overrides = if row.overrides.is_empty() { "-".to_owned() } else { row.overrides.join(",") };
    [
        clean(row.engine.unwrap_or("-")),
        clean(row.name.as_deref().unwrap_or("-")),
        clean(&row.id).chars().take(SHORT).collect(),
        profile(row),
        number(row.findings),
        number(row.violations),
        row.score.map_or("?".to_owned(), |score| format!("{score:.1}")),
        clean(&overrides),
    ]
}

/// Of what casemate did not make, the runtime that did.
fn profile(row: &Row) -> String {
    match row.profile {
        Some(profile) => profile.to_owned(),
        None if row.runtime == "casemate" => "?".to_owned(),
        None => format!("({})", row.runtime),
    }
}

fn tone(row: &Row) -> Tone {
    match (row.violations, row.worst) {
        (Some(1..), _) | (_, Some(Level::High)) => Tone::Bad,
        (_, Some(Level::Medium)) => Tone::Warn,
        _ => Tone::Good,
    }
}

fn problems(overview: &Overview, style: Style) -> String {
    let of_row = |row: &Row| row.problem.as_ref().map(|why| format!("{}: {why}", row.id));
    let all = overview.problems.iter().cloned();
    let all: Vec<String> = all.chain(overview.containers.iter().filter_map(of_row)).collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, "Not looked at"));
    for problem in all {
        text.push_str(&format!("  {}\n", clean(&problem)));
    }
    text
}

/// The totals in one line: by profile, then what is wrong.
fn counts(overview: &Overview) -> String {
    let mut profiles: BTreeMap<String, usize> = BTreeMap::new();
    for row in &overview.containers {
        *profiles.entry(profile(row)).or_default() += 1;
    }
    let profiles: Vec<String> = profiles.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let with = |count, what| format!("{count} with {what}");
    let parts = [
        with(overview.count(|row| !row.overrides.is_empty()), "overrides"),
        with(overview.count(|row| row.worst == Some(Level::High)), "high findings"),
        with(overview.count(|row| row.violations > Some(0)), "violations"),
    ];
    let of =
        if profiles.is_empty() { String::new() } else { format!(" ({})", profiles.join(", ")) };
    format!("{} containers{of}: {}", overview.containers.len(), parts.join(", "))
}
