//! `exec`.

use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{status_of, Context, Outcome};
use casemate_runtime::hinted::hinted;
use casemate_runtime::request::ExecRequest;

/// Tells a failure of the runtime from one of the process, which mostly ends with less.
const FAILED: u8 = 255;

pub(super) const VERB: Verb = Verb::of::<Exec>(
    "exec",
    Group::Inside,
    "Run another process inside a container",
    Arity::AtLeast(1),
)
.flags_end_after_id()
.failing("exec failed", FAILED)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate exec --tty web sh
  casemate exec --user 1000:1000 --env TERM=xterm web id
  casemate exec --process process.json --detach --pid-file p.pid web

The exit status is that of the process, or 128 plus the signal that ended it; 255 if it could not
be run.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Exec {
    #[command(flatten)]
    request: ExecRequest,

    /// Accepted for compatibility with older callers; has no effect here
    #[arg(long, hide = true)]
    no_subreaper: bool,
}

impl Execute for Exec {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let request = self.request;
        if request.process.is_none() && request.args.is_empty() {
            return Err(hinted(
                "process args cannot be empty",
                "name a command after the container id, or use --process",
            ));
        }
        Ok(status_of(backend::exec(&context.global, &request)?))
    }
}
