//! `/proc/PID/mountinfo` (proc_pid_mountinfo(5)), line by line, without copies.

use crate::words::words;
use crate::{attr, ParseError};
use std::borrow::Cow;

/// Number of a file system as mountinfo has it. Not always `st_dev`: btrfs shows another one for each subvolume there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Superblock {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// One mount. Paths are as the kernel escapes them; [`unescape`] undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'t> {
    /// Number of the mount, `stx_mnt_id` of statx(2).
    pub id: u64,
    /// The mount that it lies on.
    pub parent: u64,
    /// The file system.
    pub superblock: Superblock,
    /// What of the file system is shown.
    pub root: &'t [u8],
    /// Where, seen from the root of the process.
    pub point: &'t [u8],
    /// Options of this mount.
    pub options: &'t str,
    /// Peer group that it passes mounts on to and receives them from.
    pub shared: Option<u64>,
    /// Peer group that it receives mounts from.
    pub master: Option<u64>,
    /// File system type; a subtype follows after a dot.
    pub fstype: &'t str,
    /// What the file system says it was made of.
    pub source: &'t [u8],
    /// Options of the file system.
    pub super_options: &'t [u8],
}

impl Mount<'_> {
    /// True when this is among the mount's own options.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        words(self.options.as_bytes(), b',').any(|one| one == option.as_bytes())
    }

    /// The mount's restrictions as [`attr`] bits: ro, nosuid, nodev, noexec, nosymfollow.
    #[must_use]
    pub fn restrictions(&self) -> u64 {
        words(self.options.as_bytes(), b',').fold(0, |bits, option| {
            bits | match option {
                b"ro" => attr::RDONLY,
                b"nosuid" => attr::NOSUID,
                b"nodev" => attr::NODEV,
                b"noexec" => attr::NOEXEC,
                b"nosymfollow" => attr::NOSYMFOLLOW,
                _ => 0,
            }
        })
    }

    /// The file system type without its subtype: `fuse.sshfs` is `fuse`.
    #[must_use]
    pub fn base_type(&self) -> &str {
        self.fstype.split_once('.').map_or(self.fstype, |(base, _)| base)
    }
}

/// All mounts, in the order of the file: what is mounted later stands later, and covers what stands before at its place.
///
/// # Errors
/// A line that does not have the form: what cannot be read cannot be judged.
pub fn parse(table: &[u8]) -> Result<Vec<Mount<'_>>, ParseError> {
    // A line of a file system that lies somewhere on a host has about a hundred bytes.
    let mut mounts = Vec::with_capacity(table.len() / 80);
    for line in lines(table) {
        mounts.push(mount(line).ok_or_else(|| error(line))?);
    }
    Ok(mounts)
}

/// The mount with this number.
///
/// # Errors
/// As [`parse`], for that line.
pub fn find(table: &[u8], id: u64) -> Result<Option<Mount<'_>>, ParseError> {
    let prefix = format!("{id} ");
    let line = lines(table).find(|line| line.starts_with(prefix.as_bytes()));
    line.map(|line| mount(line).ok_or_else(|| error(line))).transpose()
}

fn lines(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    words(table, b'\n').filter(|line| !line.is_empty())
}

fn error(line: &[u8]) -> ParseError {
    ParseError::new("/proc/PID/mountinfo", line)
}

fn mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut fields = words(line, b' ');
    let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
    let superblock = superblock(fields.next()?)?;
    let (root, point) = (fields.next()?, fields.next()?);
    let options = text(fields.next()?)?;
    let (mut shared, mut master) = (None, None);
    loop {
        match fields.next()? {
            b"-" => break,
            tag => {
                if let Some(group) = tag.strip_prefix(b"shared:") {
                    shared = Some(number(group)?);
                } else if let Some(group) = tag.strip_prefix(b"master:") {
                    master = Some(number(group)?);
                }
            }
        }
    }
    let (fstype, source) = (text(fields.next()?)?, fields.next()?);
    // Some file systems have no options at all.
    let super_options = fields.next().unwrap_or_default();
    Some(Mount {
        id,
        parent,
        superblock,
        root,
        point,
        options,
        shared,
        master,
        fstype,
        source,
        super_options,
    })
}

fn superblock(field: &[u8]) -> Option<Superblock> {
    let mut numbers = words(field, b':').map(number);
    let (major, minor) = (numbers.next()??, numbers.next()??);
    if numbers.next().is_some() {
        return None;
    }
    // A number that is none makes the whole line an error.
    Some(Superblock { major: u32::try_from(major).ok()?, minor: u32::try_from(minor).ok()? })
}

/// Decimal, as the kernel prints it: digits and nothing else.
fn number(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        let more = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        (digit < 10).then_some(more)
    })
}

fn text(field: &[u8]) -> Option<&str> {
    // As above.
    std::str::from_utf8(field).ok()
}

/// A path or option as it is, without the kernel's escapes: `\` and three octal digits (seq_escape, mangle_path).
#[must_use]
pub fn unescape(escaped: &[u8]) -> Cow<'_, [u8]> {
    if !escaped.contains(&b'\\') {
        return Cow::Borrowed(escaped);
    }
    let mut out = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((first, behind)) = rest.split_first() {
        match (first, octal(behind)) {
            (b'\\', Some(byte)) => {
                out.push(byte);
                rest = &behind[3..];
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    Cow::Owned(out)
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = digits.get(..3)?;
    let value = digits.iter().try_fold(0_u32, |value, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u32::from(digit - b'0')),
        _ => None,
    })?;
    // Above 0o377 it is no byte, and no escape of the kernel's.
    u8::try_from(value).ok()
}

/// A path as mountinfo shows it: the reverse of [`unescape`].
#[must_use]
pub fn escape(path: &[u8]) -> Cow<'_, [u8]> {
    let is_escaped = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\\');
    if !path.iter().any(is_escaped) {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len() + 3);
    for byte in path {
        match is_escaped(byte) {
            true => out.extend(format!("\\{byte:03o}").into_bytes()),
            false => out.push(*byte),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /run rw,nosuid,nodev shared:13 master:2 propagate_from:4 - tmpfs tmpfs rw,size=10%
31 22 8:2 /vol /data\\040x ro,noexec unbindable - fuse.sshfs a:/b\\134c rw,user_id=0
32 22 0:99 / /ns rw - nsfs nsfs
";

    #[test]
    fn fields_are_found_around_the_optional_ones() {
        let mounts = parse(TABLE).unwrap();
        assert_eq!(mounts.len(), 4);
        assert_eq!((mounts[0].shared, mounts[0].master), (Some(1), None));
        assert_eq!((mounts[1].shared, mounts[1].master), (Some(13), Some(2)));
        assert_eq!(mounts[1].restrictions(), attr::NOSUID | attr::NODEV);
        assert_eq!(mounts[2].restrictions(), attr::RDONLY | attr::NOEXEC);
        assert_eq!((mounts[2].fstype, mounts[2].base_type()), ("fuse.sshfs", "fuse"));
        assert_eq!(mounts[2].superblock, Superblock { major: 8, minor: 2 });
        assert_eq!(unescape(mounts[2].point).as_ref(), b"/data x");
        assert_eq!(unescape(mounts[2].source).as_ref(), b"a:/b\\c");
        assert_eq!(mounts[3].super_options, b"");
        assert_eq!(find(TABLE, 30).unwrap().unwrap().point, b"/run");
        assert_eq!(find(TABLE, 3).unwrap(), None);
    }

    #[test]
    fn a_line_of_another_form_is_an_error_and_not_left_out() {
        for line in [
            "22 1 8:1 / /",
            "x 1 8:1 / / rw - ext4 d rw",
            "+1 1 8:1 / / rw - ext4 d rw",
            "18446744073709551616 1 8:1 / / rw - ext4 d rw",
            "1 1 8 / / rw - ext4 d rw",
            "1 1 8:1:2 / / rw - ext4 d rw",
            "1 1 4294967296:1 / / rw - ext4 d rw",
        ] {
            let table = [TABLE, line.as_bytes()].concat();
            let text = parse(&table).unwrap_err().to_string();
            assert!(text.contains("mountinfo: unexpected text"), "{text}");
        }
    }

    #[test]
    fn escapes_are_undone_and_done() {
        for path in [&b"/a b"[..], b"/t\tn\nb\\", b"/plain", b"/\xff\xfe"] {
            assert_eq!(unescape(&escape(path)).as_ref(), path);
        }
        assert_eq!(unescape(b"/a\\04").as_ref(), b"/a\\04");
        assert_eq!(unescape(b"/a\\777").as_ref(), b"/a\\777");
        assert_eq!(unescape(b"/a\\054b").as_ref(), b"/a,b");
    }
}
