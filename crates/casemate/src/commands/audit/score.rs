//! `audit --score`: the number, and each term of it.

use super::super::style::{clean, Style, Tone};
use casemate_inspect::report::Report;
use casemate_inspect::score::{Score, Term};

pub(super) fn render(report: &Report, score: &Score, style: Style) -> String {
    let ids = score.terms.iter().map(|term| term.control.len()).max().unwrap_or(0) + 2;
    let mut text = format!("{}\n", style.paint(Tone::Dim, "        EXPOSED  OF  CONTROL"));
    for term in &score.terms {
        let (word, tone) = word(term);
        text.push_str(&format!(
            "{}{:>7}{:>4}  {:<ids$}{}\n",
            style.padded(tone, word, 8),
            term.exposed,
            term.weight,
            term.control,
            clean(term.what)
        ));
    }
    let subject = &report.subject;
    let whose = subject.id.as_ref().or(subject.bundle.as_ref()).cloned();
    let whose =
        whose.or_else(|| subject.pid.map(|pid| format!("process {pid}"))).unwrap_or_default();
    let line = format!("{}: exposure {:.1} of 10, {}", clean(&whose), score.exposure, score.word);
    text.push_str(&format!("\n{}\n", style.paint(Tone::Strong, &line)));
    text
}

fn word(term: &Term) -> (&'static str, Tone) {
    match (term.met, term.exposed) {
        (None, _) => ("unseen", Tone::Dim),
        (Some(true), 0) => ("met", Tone::Good),
        (Some(true), _) => ("partly", Tone::Warn),
        (Some(false), 0) => ("not met", Tone::Note),
        (Some(false), _) => ("NOT MET", Tone::Bad),
    }
}
