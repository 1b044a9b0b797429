//! Hooks that nothing depends on any more.

use casemate_sandbox::hooks;
use casemate_sandbox::plan::{Hook, HookState};

/// "the runtime MUST log a warning, but the remaining hooks and lifecycle continue" (runtime-spec).
pub(crate) fn run_poststop(list: &[Hook], state: &HookState) {
    for hook in list {
        if let Err(failure) = hooks::run(hook, &state.render("stopped", 0)) {
            crate::warnings::add(failure.to_string());
        }
    }
}
