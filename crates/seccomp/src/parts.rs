//! A filter in two parts, one of which is recorded. Used when the default filter is built as well as at run time.

use crate::model::{Action, Filter};

/// errno(3): "Function not implemented", of the architectures that the default filter is for.
const ENOSYS: u16 = 38;

/// The filter that refuses what the whole refuses and lets pass what it answers "no such call" (ENOSYS), and the one that refuses
/// only that. The kernel takes the stricter of two answers, so together they are the whole. Calls of other architectures are the
/// first one's.
pub(crate) fn split<'a>(whole: &Filter<'a>) -> [Filter<'a>; 2] {
    let part = |passes: fn(Action) -> bool, bad_arch_action: Action| {
        let let_pass = |action| if passes(action) { Action::Allow } else { action };
        let mut part = whole.clone();
        part.default_action = let_pass(part.default_action);
        part.bad_arch_action = bad_arch_action;
        part.rules.iter_mut().for_each(|rule| rule.action = let_pass(rule.action));
        part
    };
    [
        part(is_no_such_call, whole.bad_arch_action),
        part(|action| !is_no_such_call(action), Action::Allow),
    ]
}

/// Whether a call is answered as by a kernel that does not have it.
fn is_no_such_call(action: Action) -> bool {
    action == Action::Errno(ENOSYS)
}
