//! Names of overrides and of profiles, and patterns of them, as a policy file has them.

use crate::control::{self, Allow, CONTROLS};
use crate::error::PolicyError;
use crate::profile::ProfileName;

/// What callers may ask for by annotation when no file says otherwise. The measure is what an
/// image's author may decide, because some engines (podman 4) copy the annotations of an image to
/// its containers: how programs run inside, not what the container can reach outside.
/// `profiles/policy.toml` has the reasons, one by one.
pub(crate) const PERMITTED: &[&str] = &[
    "rootfs.writable",
    "root.no-tmpfs",
    "process.new-privileges",
    "capabilities.audit_write",
    "capabilities.mknod",
    "capabilities.setfcap",
    "capabilities.setpcap",
    "capabilities.sys_chroot",
    "seccomp.kcmp",
    "seccomp.lsm",
    "seccomp.numa",
    "seccomp.personality",
    "seccomp.ptrace",
];

/// In a list of permitted names: those of [`PERMITTED`].
const DEFAULTS: &str = "@default";

/// In a list of permitted names: nothing of what was permitted before. An empty list says the same.
pub(super) const NOTHING: &str = "@none";

/// A name of an override or of a profile (`profile.baseline`), or a pattern with `*`, and where it
/// stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(super) text: String,
    place: String,
}

impl Pattern {
    fn new(text: &str, place: &str) -> Result<Self, PolicyError> {
        let pattern = Self { text: text.to_owned(), place: place.to_owned() };
        if text.contains('*') {
            if all_names().any(|name| pattern.matches(&name)) {
                return Ok(pattern);
            }
            return Err(PolicyError::new(format!("pattern {text:?} matches no override")));
        }
        if let Some(name) = text.strip_prefix(PROFILE) {
            return ProfileName::parse(name).map(|_| pattern);
        }
        // A control's id would permit nothing: names are compared, and nobody asks by it here.
        let allow = Allow::parse(text)?;
        match allow.names.as_slice() {
            [only] => Ok(Self { text: only.clone(), ..pattern }),
            several => Err(PolicyError::new(format!(
                "{text:?} is a control; name its overrides: {}",
                several.join(", ")
            ))),
        }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        matches_glob(&self.text, name)
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }
}

/// Overrides that stand for a looser profile.
pub(crate) const PROFILE: &str = "profile.";

/// Every name that can be permitted.
pub(super) fn all_names() -> impl Iterator<Item = String> {
    let overrides = CONTROLS.iter().flat_map(control::all_names);
    overrides.chain(ProfileName::ALL.map(|name| format!("{PROFILE}{name}")))
}

/// `*` stands for any text, everything else for itself.
pub(crate) fn matches_glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The patterns of a name, which [`DEFAULTS`] has several of.
pub(crate) fn patterns(text: &str, place: &str) -> Result<Vec<Pattern>, PolicyError> {
    match text {
        DEFAULTS => PERMITTED.iter().map(|name| Pattern::new(name, place)).collect(),
        _ => Ok(vec![Pattern::new(text, place)?]),
    }
}
