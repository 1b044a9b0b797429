//! The report for people: what is in force and who decided, what to think of it, and one line at the end.

use super::super::style::{clean, wrap, Style, Tone};
use casemate_inspect::observe::Origin;
use casemate_inspect::report::{ControlReport, Finding, Level, Report, Status, Subject};
use casemate_inspect::standards::{Answer, ItemReport, StandardReport};

/// Widest cells of the middle columns.
const ASKED: usize = 26;
const EFFECTIVE: usize = 38;

/// What of the last column has to be seen.
const DECIDED: usize = 24;

/// The least that a column in the middle is cut to.
const LEAST: usize = 14;

/// What the report is written on.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub(super) style: Style,
    pub(super) width: usize,
    /// Without what is in order.
    pub(super) brief: bool,
}

pub(super) fn render(report: &Report, page: Page) -> String {
    let Page { style, width, brief } = page;
    let mut text = head(report, style);
    if !brief {
        text.push_str(&controls(report, style, width));
    }
    if !brief || report.floor.as_ref().is_some_and(|floor| !floor.violations.is_empty()) {
        text.push_str(&floor(report, style, width));
    }
    for standard in &report.standards {
        text.push_str(&items(standard, page));
    }
    text.push_str(&findings(&report.findings, style, width));
    let tone = match report.worst {
        Some(Level::High) => Tone::Bad,
        Some(Level::Medium) => Tone::Warn,
        _ => Tone::Good,
    };
    text.push_str(&format!("\n{}\n", style.paint(tone, &report.verdict)));
    text
}

fn head(report: &Report, style: Style) -> String {
    let Subject { kind, id, bundle, pid, status, .. } = &report.subject;
    let mut title = match (id, bundle, pid) {
        (Some(id), _, _) => format!("{kind} {id}"),
        (None, Some(bundle), _) => format!("{kind} {bundle}"),
        (None, None, Some(pid)) => format!("{kind} {pid}"),
        _ => (*kind).to_owned(),
    };
    if let Some(first) = title.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    let mut rest = Vec::new();
    rest.extend(status.clone());
    rest.extend(pid.filter(|_| id.is_some()).map(|pid| format!("pid {pid}")));
    rest.push(match report.profile {
        Some(profile) => format!("profile {profile}"),
        None => "not made by casemate".to_owned(),
    });
    rest.extend(bundle.clone().filter(|_| id.is_some()));
    let rest = rest.join(", ");
    format!("{}: {}\n\n", style.paint(Tone::Strong, &clean(&title)), clean(&rest))
}

/// A cell of at most `most` characters.
fn cut(text: &str, most: usize) -> String {
    let text = clean(text);
    match text.char_indices().nth(most) {
        None => text,
        Some(_) => text.chars().take(most.saturating_sub(3)).chain("...".chars()).collect(),
    }
}

fn controls(report: &Report, style: Style, width: usize) -> String {
    let last = if report.seen == Origin::Kernel { "NOW" } else { "IN FORCE" };
    let ids = report.controls.iter().map(|control| control.id.chars().count()).max().unwrap_or(0);
    let room = width.saturating_sub(12 + ids + 2 + DECIDED);
    // What was asked for goes first where the terminal is narrow: the JSON has it.
    let has_asked =
        room >= 4 + ASKED + LEAST && report.controls.iter().any(|control| control.asked.is_some());
    let left = room.saturating_sub(if has_asked { ASKED + 4 } else { 2 });
    let most = left.clamp(LEAST, EFFECTIVE);
    let cells = |control: &ControlReport| {
        let asked = control.asked.as_deref().unwrap_or("-");
        [control.id.clone(), cut(asked, ASKED), cut(&control.effective, most)]
    };
    let rows: Vec<[String; 3]> = report.controls.iter().map(cells).collect();
    let widest = |column: usize, title: &str| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([title.len()]).max().unwrap_or(0) + 2
    };
    let widths =
        [widest(0, "CONTROL"), if has_asked { widest(1, "ASKED FOR") } else { 0 }, widest(2, last)];
    let before = 12 + widths.iter().sum::<usize>();
    let rest = width.saturating_sub(before).max(LEAST);
    let title = |text: &str, width: usize| style.padded(Tone::Dim, text, width);
    let asked = if has_asked { title("ASKED FOR", widths[1]) } else { String::new() };
    let mut text = format!(
        "{}{}{asked}{}{}\n",
        title("", 12),
        title("CONTROL", widths[0]),
        title(last, widths[2]),
        style.paint(Tone::Dim, "DECIDED BY")
    );
    for (control, [id, asked, effective]) in report.controls.iter().zip(&rows) {
        let (word, tone) = word(control.status);
        let asked = if has_asked { format!("{asked:<0$}", widths[1]) } else { String::new() };
        let (by, first, third) = (cut(&control.decided_by, rest), widths[0], widths[2]);
        let status = style.padded(tone, word, 12);
        text.push_str(&format!("{status}{id:<first$}{asked}{effective:<third$}{by}\n"));
    }
    text
}

/// What the kernel shows that the profile has no place for, whatever the controls say.
fn floor(report: &Report, style: Style, width: usize) -> String {
    let Some(floor) = report.floor.as_ref().filter(|floor| floor.profile != "privileged") else {
        return String::new();
    };
    let title = format!("Floor of {}", floor.profile);
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, &title));
    if floor.violations.is_empty() {
        text.push_str("  nothing below it\n");
    }
    let names = floor.violations.iter().map(|violation| violation.invariant.len());
    let column = names.max().unwrap_or(0) + 2;
    for violation in &floor.violations {
        let allow = violation.allow.map(|name| format!(" (override: {name})"));
        let what = format!("{}{}", violation.what, allow.unwrap_or_default());
        let room = width.saturating_sub(column + 11).max(30);
        let joint = format!("\n{}", " ".repeat(column + 11));
        let lines = wrap(&clean(&what), room).join(&joint);
        let status = style.padded(Tone::Bad, "BELOW", 9);
        text.push_str(&format!("  {status}{:<column$}{lines}\n", violation.invariant));
    }
    for mount in &floor.propagated {
        let status = style.padded(Tone::Note, "later", 9);
        let what = format!("{} on {} may have come from the host since", mount.kind, mount.point);
        text.push_str(&format!("  {status}{}\n", clean(&what)));
    }
    text
}

fn word(status: Status) -> (&'static str, Tone) {
    match status {
        Status::Enforced => ("enforced", Tone::Good),
        Status::Requested => ("requested", Tone::Good),
        Status::Loosened => ("loosened", Tone::Warn),
        Status::Overridden => ("OVERRIDDEN", Tone::Warn),
        Status::Waived => ("WAIVED", Tone::Warn),
        Status::Warned => ("WARNED", Tone::Warn),
        Status::Off => ("off", Tone::Note),
        Status::Refused => ("REFUSED", Tone::Bad),
        Status::Violated => ("VIOLATED", Tone::Bad),
        Status::Unknown => ("not seen", Tone::Dim),
    }
}

fn items(standard: &StandardReport, Page { style, width, brief }: Page) -> String {
    let ids = standard.items.iter().map(|item| item.id.chars().count()).max().unwrap_or(0) + 2;
    let count = |answer| standard.items.iter().filter(|item| item.answer == answer).count();
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, standard.title));
    let in_order = |answer| matches!(answer, Answer::Enforced | Answer::ByRequest);
    for item in standard.items.iter().filter(|item| !(brief && in_order(item.answer))) {
        text.push_str(&one_item(item, ids, style, width));
    }
    let met = count(Answer::Enforced) + count(Answer::ByRequest);
    let line = format!(
        "{} of {} met ({} enforced, {} by request), {} not met, {} not seen, {} not a runtime's to decide",
        met,
        standard.items.len(),
        count(Answer::Enforced),
        count(Answer::ByRequest),
        count(Answer::NotMet),
        count(Answer::Unknown),
        count(Answer::NotARuntimes)
    );
    text.push_str(&format!("  {line}\n"));
    text
}

fn one_item(item: &ItemReport, ids: usize, style: Style, width: usize) -> String {
    let (word, tone) = match item.answer {
        Answer::Enforced => ("enforced", Tone::Good),
        Answer::ByRequest => ("by request", Tone::Good),
        Answer::NotMet => ("NOT MET", Tone::Bad),
        Answer::Unknown => ("not seen", Tone::Note),
        Answer::NotARuntimes => ("elsewhere", Tone::Dim),
    };
    let indent = 14 + ids;
    let joint = format!("\n{}", " ".repeat(indent));
    let room = width.saturating_sub(indent).max(30);
    let title = wrap(item.title, room).join(&joint);
    let mut text = format!("  {}{:<ids$}{title}\n", style.padded(tone, word, 12), item.id);
    let because = match item.answer {
        Answer::NotARuntimes => format!("not a runtime's to decide: {}", item.because),
        _ => item.because.clone(),
    };
    if !because.is_empty() {
        let lines = wrap(&clean(&because), room).join(&joint);
        text.push_str(&format!("{}{}\n", " ".repeat(indent), style.paint(Tone::Dim, &lines)));
    }
    text
}

fn findings(findings: &[Finding], style: Style, width: usize) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let ids = findings.iter().map(|finding| finding.control.chars().count()).max().unwrap_or(0) + 2;
    let mut text = format!("\n{}\n", style.paint(Tone::Strong, "Findings"));
    for finding in findings {
        let tone = match finding.level {
            Level::High => Tone::Bad,
            Level::Medium => Tone::Warn,
            Level::Low | Level::Note => Tone::Note,
        };
        let indent = 10 + ids;
        let lines = wrap(&clean(&finding.message), width.saturating_sub(indent).max(30));
        let message = lines.join(&format!("\n{}", " ".repeat(indent)));
        let level = style.padded(tone, finding.level.as_str(), 8);
        text.push_str(&format!("  {level}{:<ids$}{message}\n", finding.control));
    }
    text
}
