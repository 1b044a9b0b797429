//! `create`.

use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use casemate_runtime::request::CreateRequest;

pub(super) const VERB: Verb = Verb::of::<Create>(
    "create",
    Group::Life,
    "Create a container from a bundle without starting its program",
    Arity::Exactly(1),
)
.failing("casemate create failed", 1)
.more(MORE);

const MORE: &str = "\
Example:
  casemate create --bundle /var/lib/web --pid-file /run/web.pid web && casemate start web

A bundle whose process has a terminal needs --console-socket here.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Create {
    #[command(flatten)]
    request: CreateRequest,

    /// Accepted for compatibility with crun and older callers; has no effect here
    #[arg(long, hide = true)]
    no_subreaper: bool,
}

impl Execute for Create {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        backend::create(&context.global, &self.request)?;
        Ok(0)
    }
}
