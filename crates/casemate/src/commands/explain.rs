//! `explain`: a report as JSON, or the same report for people (`text`).

mod inspect;
pub(super) mod text;

use super::{locate, Context, Outcome};
use crate::cli::observe::ExplainArgs;
use crate::{backend, output, request};
use casemate_inspect::locate::Search;
use serde_json::Value;
use std::path::Path;

#[inline(never)]
pub(crate) fn execute(args: &ExplainArgs, context: &mut Context<'_>) -> Outcome {
    let as_json = match args.format.as_str() {
        "json" => true,
        "text" | "" => false,
        _ => return Err(anyhow::anyhow!("invalid format option\nhint: one of text, json").into()),
    };
    let mut report = match &args.inspect {
        Some(file) => inspect::report(args, file, context)?,
        None => report(args, context)?,
    };
    if as_json {
        return Ok(output::print_json(&report)?);
    }
    if let (true, Some(report)) = (args.brief, report.as_object_mut()) {
        report.remove("spec");
    }
    Ok(output::print(&text::render(&report))?)
}

/// A word alone is a container of this host, or one that has gone, or the id that is to be assumed for the bundle in the working
/// directory.
fn report(args: &ExplainArgs, context: &mut Context<'_>) -> anyhow::Result<Value> {
    let word = args.id.as_deref().filter(|_| args.bundle.is_none() && args.config.is_none());
    let of_bundle = |context: &Context<'_>| {
        backend::explain(&context.global, &request::lifecycle::explain(args)?)
    };
    let is_assumed = Path::new("config.json").exists();
    let Some(word) = word.filter(|_| !is_assumed) else { return of_bundle(context) };
    let mut unseen = Vec::new();
    if !locate::is_here(word, &context.global) {
        let Search { found, problems } = locate::elsewhere(word, &context.global)?;
        if let Some(found) = found {
            let id = locate::own(word, &found, context)?;
            let args = ExplainArgs { id: Some(id.into()), ..args.clone() };
            return backend::explain(&context.global, &request::lifecycle::explain(&args)?);
        }
        unseen = problems;
    }
    match (locate::gone(word, &context.global)?, locate::missing(&unseen)) {
        (Some(gone), _) => Ok(gone.explained()),
        (None, Some(error)) => Err(error),
        (None, None) => of_bundle(context),
    }
}
