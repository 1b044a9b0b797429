//! `explain`: a report as JSON, or the same report for people (`text`).

mod text;

use super::{Context, Outcome};
use crate::cli::observe::ExplainArgs;
use crate::{backend, output, request};

#[inline(never)]
pub(crate) fn execute(args: &ExplainArgs, context: &mut Context<'_>) -> Outcome {
    let as_json = match args.format.as_str() {
        "json" => true,
        "text" | "" => false,
        _ => return Err(anyhow::anyhow!("invalid format option\nhint: one of text, json").into()),
    };
    let mut report = backend::explain(&context.global, &request::lifecycle::explain(args)?)?;
    if as_json {
        return Ok(output::print_json(&report)?);
    }
    if let (true, Some(report)) = (args.brief, report.as_object_mut()) {
        report.remove("spec");
    }
    Ok(output::print(&text::render(&report))?)
}
