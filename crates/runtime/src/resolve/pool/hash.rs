//! Short names for long ones.

use std::path::Path;

pub(super) fn hash_of(state: &Path) -> u64 {
    hash(state.as_os_str().as_encoded_bytes())
}

/// FNV-1a: no secret depends on it, it only has to be the same tomorrow.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
