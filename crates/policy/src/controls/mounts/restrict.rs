//! Adding options to a mount.

use super::super::flags::{missing, NAMES};
use super::super::prelude::*;
use crate::mount_options::{attr, MountPlanFlags};
use crate::spec::Mount;

/// Adds the options for these bits of [`attr`]; false if there is nothing to add.
pub(super) fn restrict(
    draft: &mut Draft<'_>,
    (control, index): (ControlId, usize),
    mount: &mut Mount,
    bits: u64,
    reason: String,
) -> bool {
    // What cannot be read was refused when the configuration was checked.
    let flags = MountPlanFlags::parse(&mount.options).unwrap_or_default();
    let names = NAMES.iter().copied().chain([(attr::RDONLY, "ro")]);
    let wanted = names.filter(|(bit, _)| bits & bit != 0);
    let options: Vec<String> = wanted.flat_map(|(bit, name)| missing(&flags, bit, name)).collect();
    if options.is_empty() {
        return false;
    }
    mount.options.extend(options.iter().cloned());
    let pointer = format!("/mounts/{index}/options/-");
    draft.log.change(control, pointer, Verdict::Tightened, values(&(), &options), reason);
    true
}
