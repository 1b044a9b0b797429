//! Room for descriptors: a container with many volumes takes one for each while its mounts are prepared, however few the caller
//! may have open by its soft limit. That is raised to the hard one meanwhile, as runc's language does for it.

use anyhow::Result;
use casemate_sandbox::plan::Early;
use casemate_sys::process;

/// RLIMIT_NOFILE of getrlimit(2).
const RLIMIT_NOFILE: u32 = 7;

/// The soft limit is raised as long as this exists.
#[derive(Debug)]
pub(crate) struct Room {
    soft: u64,
    hard: u64,
}

impl Room {
    /// Raise the limit.
    pub(crate) fn make() -> Result<Self> {
        let (soft, hard) = process::rlimit(RLIMIT_NOFILE)?;
        if soft < hard {
            process::set_rlimit(RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(Self { soft, hard })
    }

    /// The program has the caller's own limit, if the configuration sets none.
    pub(crate) fn keep_from(&self, early: &mut Early) {
        let is_set = early.rlimits.iter().any(|(resource, ..)| *resource == RLIMIT_NOFILE);
        if self.soft < self.hard && !is_set {
            early.rlimits.push((RLIMIT_NOFILE, self.soft, self.hard));
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.soft < self.hard {
            // To lower it takes no right, and the little that follows does with either.
            process::set_rlimit(RLIMIT_NOFILE, self.soft, self.hard).ok();
        }
    }
}
