//! What every command gets, and what it answers.

use crate::report::Reporter;
use casemate_runtime::request::Global;

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) global: Global,
    pub(crate) reporter: &'a mut Reporter,
}

/// An exit status, or why there is none.
pub(crate) type Outcome = anyhow::Result<u8>;

/// The exit status of a process as an exit status of ours: the kernel keeps eight bits, and so do we.
pub(crate) fn status_of(code: i32) -> u8 {
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}
