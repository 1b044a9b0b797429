//! User and group ids, and the mappings they pass through.

use crate::spec::{IdMapping, Linux, Process, SpecError};
use casemate_kernel::InnerId;

/// Most lines that `/proc/PID/uid_map` takes (user_namespaces(7), Linux 4.15).
const MAX_MAPPINGS: usize = 340;

/// Highest id that no tool mistakes for a negative number.
const HIGHEST: u32 = i32::MAX as u32;

/// Refuses ids of a process that wrap or that nothing maps (CVE-2024-40635, CVE-2026-46680: an id above
/// 2^31-1 taken for a name, or wrapped to 0).
pub(crate) fn container_ids(process: &Process, linux: &Linux) -> Result<(), SpecError> {
    let user = &process.user;
    one_id("process.user.uid", user.uid, &linux.uid_mappings)?;
    one_id("process.user.gid", user.gid, &linux.gid_mappings)?;
    for (i, gid) in user.additional_gids.iter().enumerate() {
        if *gid > HIGHEST {
            let path = format!("process.user.additionalGids[{i}]");
            one_id(&path, *gid, &linux.gid_mappings)?;
        }
    }
    Ok(())
}

fn one_id(path: &str, id: u32, mappings: &[IdMapping]) -> Result<(), SpecError> {
    if id <= HIGHEST || (id != u32::MAX && mappings.iter().any(|range| range.contains(InnerId(id))))
    {
        return Ok(());
    }
    Err(SpecError::new(
        path,
        format!("{id} is above {HIGHEST} and no mapping of the container has it"),
    ))
}

/// Refuses mappings that the kernel would refuse with a bare EINVAL.
pub(super) fn mappings(path: &str, mappings: &[IdMapping]) -> Result<(), SpecError> {
    if mappings.len() > MAX_MAPPINGS {
        let message = format!("{} lines, the kernel takes {MAX_MAPPINGS}", mappings.len());
        return Err(SpecError::new(path, message));
    }
    for (i, range) in mappings.iter().enumerate() {
        let fail = |message: &str| Err(SpecError::new(format!("{path}[{i}]"), message));
        if range.size == 0 {
            return fail("size must not be 0");
        }
        let (inside, outside) =
            (span(range.container_id.0, range.size), span(range.host_id.0, range.size));
        if inside.1 > u64::from(u32::MAX) || outside.1 > u64::from(u32::MAX) {
            return fail("the range goes beyond 4294967294");
        }
        for earlier in &mappings[..i] {
            if overlap(inside, span(earlier.container_id.0, earlier.size)) {
                return fail("container ids overlap those of an earlier mapping");
            }
            if overlap(outside, span(earlier.host_id.0, earlier.size)) {
                return fail("host ids overlap those of an earlier mapping");
            }
        }
    }
    Ok(())
}

/// First id, and the one after the last.
fn span(first: u32, size: u32) -> (u64, u64) {
    (u64::from(first), u64::from(first) + u64::from(size))
}

fn overlap(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 < b.1 && b.0 < a.1
}
