//! What is kept beside the record of a container: the decisions, and what was read back before its program ran.
//!
//! A file that is not there was not written by an older release, or not yet: it says nothing. One that cannot be read or
//! understood is no such file: what it said is missing from the report, and the report tells so.

use crate::observe::Unread;
use crate::report::Decision;
use anyhow::{Context as _, Result};
use casemate_runtime::state::past::decisions_in;
use casemate_runtime::state::StateDir;
use casemate_runtime::verify::Posture;
use serde::de::DeserializeOwned;

/// What was found.
pub(crate) struct Kept {
    /// What was decided.
    pub(crate) decisions: Vec<Decision>,
    /// What was read back; empty when nothing is kept, `None` when it cannot be read.
    pub(crate) posture: Option<Posture>,
    /// What cannot be read.
    pub(crate) unread: Vec<Unread>,
}

impl Kept {
    pub(crate) fn read(state: &StateDir) -> Self {
        let decisions = decisions(state).map(Option::unwrap_or_default);
        let posture = parsed(state, "posture.json").map(Option::unwrap_or_default);
        let unread = [
            decisions
                .as_ref()
                .err()
                .map(|why| Unread::of("record.decisions", &[], &format!("{why:#}"))),
            posture
                .as_ref()
                .err()
                .map(|why| Unread::of("record.posture", &[], &format!("{why:#}"))),
        ];
        Self {
            // The reasons are in `unread`.
            decisions: decisions.unwrap_or_default(),
            posture: posture.ok(),
            unread: unread.into_iter().flatten().collect(),
        }
    }
}

/// `None`: none are kept.
pub(crate) fn decisions(state: &StateDir) -> Result<Option<Vec<Decision>>> {
    const FILE: &str = "decisions.json";
    let Some(bytes) = state.read_if_there(FILE)? else { return Ok(None) };
    decisions_in(&bytes).and_then(Decision::list).map(Some).context(FILE)
}

fn parsed<T: DeserializeOwned>(state: &StateDir, file: &'static str) -> Result<Option<T>> {
    let Some(bytes) = state.read_if_there(file)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).context(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_runtime::state::StateRoot;
    use casemate_runtime::ContainerId;
    use std::os::unix::fs::DirBuilderExt;

    #[test]
    fn a_file_that_is_not_there_says_nothing_and_a_damaged_one_is_told() {
        let root = std::env::temp_dir().join(format!("casemate-kept-{}", std::process::id()));
        let dir = root.join("c1");
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&dir).unwrap();
        let id = ContainerId::parse("c1").unwrap();
        let state = StateRoot::open(&root).unwrap().container(&id).unwrap();
        let kept = || {
            let Kept { decisions, posture, unread } = Kept::read(&state);
            let unread: Vec<String> =
                unread.iter().map(|one| format!("{}: {}", one.what, one.why)).collect();
            (decisions.len(), posture.is_some(), unread)
        };
        assert_eq!(kept(), (0, true, Vec::new()));
        let one = r#"{"rule": "pids.limit", "verdict": "added"}"#;
        std::fs::write(dir.join("decisions.json"), format!("[{one}]")).unwrap();
        assert_eq!(kept(), (1, true, Vec::new()));
        // A list with an entry that is none is not the list that was decided.
        std::fs::write(dir.join("decisions.json"), format!("[{one}, {{}}]")).unwrap();
        std::fs::write(dir.join("posture.json"), "{").unwrap();
        let (decisions, posture, unread) = kept();
        assert_eq!((decisions, posture), (0, false));
        assert!(
            unread[0].starts_with("record.decisions: decisions.json: missing field"),
            "{unread:?}"
        );
        assert!(unread[1].starts_with("record.posture: posture.json: EOF"), "{unread:?}");
        std::fs::remove_file(dir.join("posture.json")).unwrap();
        std::fs::create_dir(dir.join("posture.json")).unwrap();
        assert!(kept().2[1].contains("posture.json"), "{:?}", kept());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
