//! `explain`: a report as JSON, or the same report for people (`text`).

mod text;

use super::{locate, Context, Outcome};
use crate::cli::observe::ExplainArgs;
use crate::{backend, output, request};
use casemate_runtime::request::ExplainRequest;
use casemate_runtime::ContainerId;

#[inline(never)]
pub(crate) fn execute(args: &ExplainArgs, context: &mut Context<'_>) -> Outcome {
    let as_json = match args.format.as_str() {
        "json" => true,
        "text" | "" => false,
        _ => return Err(anyhow::anyhow!("invalid format option\nhint: one of text, json").into()),
    };
    let request = request(args, context)?;
    let mut report = backend::explain(&context.global, &request)?;
    if as_json {
        return Ok(output::print_json(&report)?);
    }
    if let (true, Some(report)) = (args.brief, report.as_object_mut()) {
        report.remove("spec");
    }
    Ok(output::print(&text::render(&report))?)
}

/// A word alone is a container of this host, or the id that is to be assumed for the bundle in the working directory.
fn request(args: &ExplainArgs, context: &mut Context<'_>) -> anyhow::Result<ExplainRequest> {
    let word = args.id.as_deref().filter(|_| args.bundle.is_none() && args.config.is_none());
    let Some(word) = word else { return request::lifecycle::explain(args) };
    let is_assumed = std::path::Path::new("config.json").exists();
    if locate::is_here(word, &context.global) || is_assumed {
        return request::lifecycle::explain(args);
    }
    let id: ContainerId = locate::container(word, context)?;
    request::lifecycle::explain(&ExplainArgs { id: Some(id.into()), ..args.clone() })
}
