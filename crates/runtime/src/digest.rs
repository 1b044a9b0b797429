//! SHA-256 of files that are run with the runtime's privilege, for records and for lists of them.

use rustix::fd::AsFd;
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::Read;

/// A larger file is named without a digest.
const LARGEST: u64 = 64 << 20;

/// Of these bytes, hexadecimal.
pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex(hmac_sha256::Hash::hash(bytes))
}

/// Of a regular file, links followed; reading anything else could take forever. `None` too for one that cannot be read: no
/// list that asks for a digest lets it through, and records name it without one.
pub(crate) fn of_file(path: &str) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(fd.as_fd()).ok()?;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || size > LARGEST {
        return None;
    }
    let (mut file, mut sum, mut block) = (File::from(fd), hmac_sha256::Hash::new(), [0; 16384]);
    loop {
        match file.read(&mut block) {
            Ok(0) => return Some(hex(sum.finalize())),
            Ok(n) => sum.update(&block[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
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
