//! SHA-256 of files that are run with the runtime's privilege, for records and for lists of them.

use casemate_sys::errno_text;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags};

/// A larger file is named without a digest.
const LARGEST: u64 = 64 << 20;

/// Of these bytes, hexadecimal.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex(hmac_sha256::Hash::hash(bytes))
}

/// Of a regular file, links followed. `None` for one that cannot be read: no list that asks for a digest lets it through, and
/// records name it without one.
pub(crate) fn of_file(path: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    of_open(&rustix::fs::open(path, flags, Mode::empty()).ok()?).ok()
}

/// Of an open regular file; reading anything else could take forever.
///
/// # Errors
/// It is none, or is too large, or cannot be read.
pub(crate) fn of_open(file: &OwnedFd) -> Result<String, String> {
    let about = |call: &str, error| format!("{call}: {}", errno_text(error));
    let stat = rustix::fs::fstat(file).map_err(|error| about("fstat", error))?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("is not a regular file".to_owned());
    }
    if size > LARGEST {
        return Err(format!("has {size} bytes, more than {LARGEST} get no digest"));
    }
    let (mut sum, mut block, mut at) = (hmac_sha256::Hash::new(), [0; 16384], 0u64);
    loop {
        let read = || rustix::io::pread(file, &mut block, at);
        match rustix::io::retry_on_intr(read).map_err(|error| about("read", error))? {
            0 => return Ok(hex(sum.finalize())),
            n => {
                sum.update(&block[..n]);
                at += n as u64;
            }
        }
    }
}

fn hex(sum: [u8; 32]) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_sha256sum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of_bytes(b""), empty);
        assert_eq!(of_file("/dev/null"), None);
        assert_eq!(of_file("/"), None);
    }
}
