//! The payload's environment: variables, and a HOME from the container's own /etc/passwd.

use rustix::fs::{FileType, Mode, OFlags};
use std::ffi::{CStr, CString};

pub(crate) fn lookup<'e>(env: &'e [CString], key: &str) -> Option<&'e [u8]> {
    env.iter().find_map(|entry| entry.as_bytes().strip_prefix(key.as_bytes())?.strip_prefix(b"="))
}

/// HOME from the container's own /etc/passwd, as every engine's users expect; `/` when it has none.
pub(crate) fn add_home(env: &mut Vec<CString>, uid: u32) {
    if lookup(env, "HOME").is_some_and(|home| !home.is_empty()) {
        return;
    }
    env.retain(|entry| !entry.as_bytes().starts_with(b"HOME="));
    let home = home_of(uid).unwrap_or_else(|| b"/".to_vec());
    env.extend(CString::new([b"HOME=".as_slice(), &home].concat()));
}

/// The home field of the line with this uid. The ids themselves never come from this file (CVE-2016-3697). Whatever is wrong
/// with it is the image's business: then it has no home.
fn home_of(uid: u32) -> Option<Vec<u8>> {
    let text = read_passwd(c"/etc/passwd")?;
    text.split(|b| *b == b'\n').find_map(|line| {
        let fields: Vec<_> = line.split(|b| *b == b':').collect();
        let number: u32 = std::str::from_utf8(fields.get(2)?).ok()?.parse().ok()?;
        let home = fields.get(5)?;
        (number == uid && home.starts_with(b"/") && !home.contains(&0)).then(|| home.to_vec())
    })
}

/// The image decides what lies at this path: a pipe that nobody writes to, an endless device, a file that is larger than our
/// memory. So only the beginning of a regular file is read, and nothing is waited for.
fn read_passwd(path: &CStr) -> Option<Vec<u8>> {
    use std::io::Read;
    const MOST: u64 = 1 << 20;
    let is_file =
        |st: &rustix::fs::Stat| FileType::from_raw_mode(st.st_mode) == FileType::RegularFile;
    // Looked at before it is opened: opening a device alone can have effects.
    let before = rustix::fs::stat(path).ok().filter(is_file)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let same = |st: &rustix::fs::Stat| (st.st_dev, st.st_ino) == (before.st_dev, before.st_ino);
    rustix::fs::fstat(&file).ok().filter(is_file).filter(same)?;
    let mut text = Vec::with_capacity(usize::try_from(before.st_size.clamp(0, 4096)).ok()? + 1);
    std::fs::File::from(file).take(MOST).read_to_end(&mut text).ok()?;
    Some(text)
}
