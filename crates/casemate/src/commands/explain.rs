//! `explain`: a report as JSON, or the same report for people (`text`).

mod inspect;
pub(super) mod text;

use super::format::{text_or_json, Format};
use super::locate;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::{backend, output};
use casemate_inspect::locate::Search;
use casemate_runtime::bundle::container_of;
use casemate_runtime::request::{path, ExplainRequest};
use casemate_runtime::ContainerId;
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(super) const VERB: Verb = Verb::of::<Explain>(
    "explain",
    Group::Bundle,
    "Show what would be done with a bundle and why, without doing it",
    Arity::Between(0, 1),
)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate explain --bundle /var/lib/web
  casemate explain web                       # the container of that name, even if it is gone
  docker inspect web | casemate explain --brief --inspect -
  casemate --profile privileged explain --bundle /var/lib/web --format json";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Explain {
    /// Bundle: the directory that holds config.json [default: the working directory]
    #[arg(short, long, value_name = "DIR", value_parser = path::dir())]
    bundle: Option<PathBuf>,

    /// Read this file instead of the bundle's config.json
    #[arg(short = 'c', long, value_name = "FILE", value_parser = path::file())]
    config: Option<PathBuf>,

    /// Read the output of 'docker inspect' or 'podman inspect' from this file, or from standard
    /// input (-), instead of a bundle
    #[arg(short, long, value_name = "FILE")]
    inspect: Option<OsString>,

    /// Omit the configuration at the end of the text
    #[arg(long)]
    brief: bool,

    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = text_or_json)]
    format: Format,

    /// Id to assume for the container [default: the bundle directory's name]
    #[arg(value_name = "CONTAINER-ID")]
    id: Option<String>,
}

impl Execute for Explain {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let mut report = match &self.inspect {
            Some(file) => inspect::report(&self, file, context)?,
            None => report(&self, context)?,
        };
        if self.format == Format::Json {
            return output::print_json(&report);
        }
        if let (true, Some(report)) = (self.brief, report.as_object_mut()) {
            report.remove("spec");
        }
        output::print(&text::render(&report))
    }
}

/// A word alone is a container of this host, or one that has gone, or the id that is to be assumed for the bundle in the working
/// directory.
fn report(args: &Explain, context: &mut Context<'_>) -> anyhow::Result<Value> {
    let word = args.id.as_deref().filter(|_| args.bundle.is_none() && args.config.is_none());
    let of_bundle = |context: &Context<'_>| {
        backend::explain(&context.global, &request(args, args.id.as_deref())?)
    };
    let is_assumed = Path::new("config.json").exists();
    let Some(word) = word else { return of_bundle(context) };
    if is_assumed {
        // Where there is a bundle, an id that nobody knows is the one to assume for it.
        let is_known = locate::is_here(word, &context.global);
        return match if is_known { None } else { locate::gone(word, &context.global)? } {
            Some(gone) => Ok(gone.explained()),
            None => of_bundle(context),
        };
    }
    let mut unseen = Vec::new();
    if !locate::is_here(word, &context.global) {
        let Search { found, problems } = locate::elsewhere(word, &context.global)?;
        if let Some(found) = found {
            let id = locate::own(word, &found, context)?;
            return backend::explain(&context.global, &request(args, Some(&id))?);
        }
        unseen = problems;
    }
    match (locate::gone(word, &context.global)?, locate::missing(&unseen)) {
        (Some(gone), _) => Ok(gone.explained()),
        (None, Some(error)) => Err(error),
        (None, None) => of_bundle(context),
    }
}

/// What is asked of the runtime, for the container `id` or a name to assume for one.
fn request(args: &Explain, id: Option<&str>) -> anyhow::Result<ExplainRequest> {
    let bundle = args.bundle.clone().map_or_else(|| path::directory("."), Ok)?;
    let of_container = id.is_some() && args.bundle.is_none() && args.config.is_none();
    let id = match id {
        Some(id) => ContainerId::parse(id)?,
        // A bundle's directory is usually named after its container; any valid id will do.
        None => match container_of(&bundle).map(|id| ContainerId::parse(&id)) {
            Some(Ok(id)) => id,
            _ => ContainerId::parse("explained")?,
        },
    };
    Ok(ExplainRequest { bundle, config: args.config.clone(), id, of_container })
}
