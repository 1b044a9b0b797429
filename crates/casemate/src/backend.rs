//! The one door to the crate that does the work.

pub(crate) use casemate_runtime::ops::{
    create, delete, events, exec, explain, kill, list, pause, permit, policy, ps, resume, run,
    start, state, update,
};
