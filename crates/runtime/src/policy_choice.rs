//! Which profile is in force: the caller's choice, the node's, the built-in default, in that order.

use crate::bundle::{read_capped, say};
use anyhow::{bail, Context as _, Result};
use casemate_policy::{parse_node_policy, Profile, ProfileName};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The node's policy.
pub(crate) const NODE_POLICY: &str = "/etc/casemate/policy.toml";

/// Choose the profile; `asked` is `--profile`.
pub(crate) fn choose(asked: Option<&str>) -> Result<&'static Profile> {
    if let Some(name) = asked {
        return Ok(ProfileName::parse(name).context("--profile")?.profile());
    }
    Ok(node_choice(Path::new(NODE_POLICY))?.unwrap_or(ProfileName::DEFAULT).profile())
}

/// What the node's policy says. A file that others than root can write decides nothing: it is refused, not skipped.
fn node_choice(path: &Path) -> Result<Option<ProfileName>> {
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| say(&e)).with_context(|| format!("stat {shown}"))?,
    };
    if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        bail!("{shown}: must belong to root and be writable by nobody else (hint: chown root:root, chmod 0644)");
    }
    let bytes = read_capped(path)?;
    let text = std::str::from_utf8(&bytes).with_context(|| shown.to_string())?;
    Ok(Some(parse_node_policy(text).with_context(|| shown.to_string())?.profile))
}
