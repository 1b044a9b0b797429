//! Pseudo-terminals: pty pairs without paths, controlling terminals, window sizes.

use crate::error::{check, Context, Error, Result};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

/// Rows and columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Height in characters.
    pub rows: u16,
    /// Width in characters.
    pub cols: u16,
}

/// Unlock the master `ptmx` and open its other side without a path: TIOCSPTLCK, TIOCGPTPEER (CVE-2025-52565: a path
/// such as /dev/pts/0 may be a link by the time it is opened).
///
/// # Errors
/// ENOTTY: no master, or a kernel before Linux 4.13; EMFILE.
pub fn open_peer(ptmx: impl AsFd) -> Result<OwnedFd> {
    let raw = ptmx.as_fd().as_raw_fd();
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int.
    check(libc::c_long::from(unsafe { libc::ioctl(raw, libc::TIOCSPTLCK, &raw const unlock) }))
        .call(|| "ioctl(ptmx, TIOCSPTLCK)")?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags by value; the returned descriptor is ours.
    check(libc::c_long::from(unsafe { libc::ioctl(raw, libc::TIOCGPTPEER, flags) }))
        // SAFETY: a new descriptor that nobody else owns.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
        .call(|| "ioctl(ptmx, TIOCGPTPEER)")
}

/// The number N of the master's /dev/pts/N.
///
/// # Errors
/// ENOTTY: no master of a devpts.
pub fn number(ptmx: impl AsFd) -> Result<u32> {
    let mut n: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one unsigned int.
    check(libc::c_long::from(unsafe {
        libc::ioctl(ptmx.as_fd().as_raw_fd(), libc::TIOCGPTN, &raw mut n)
    }))
    .call(|| "ioctl(ptmx, TIOCGPTN)")?;
    Ok(n)
}

/// Make `tty` the controlling terminal of the calling session leader.
///
/// # Errors
/// EPERM: no session leader, one that has a terminal, or the terminal of another session; ENOTTY;
/// EIO: hung up.
pub fn make_controlling(tty: impl AsFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an integer: 0 = never steal.
    check(libc::c_long::from(unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }))
        .map(drop)
        .call(|| "ioctl(tty, TIOCSCTTY)")
}

/// Set the window size.
///
/// # Errors
/// ENOTTY: no terminal; EIO: hung up.
pub fn set_size(tty: impl AsFd, size: Size) -> Result<()> {
    let ws = libc::winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize.
    check(libc::c_long::from(unsafe {
        libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const ws)
    }))
    .map(drop)
    .call(|| "ioctl(tty, TIOCSWINSZ)")
}

/// The window size, `None` when `tty` is no terminal.
pub fn size(tty: impl AsFd) -> Option<Size> {
    // SAFETY: winsize is plain data, all-zero is a valid value.
    let mut ws: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes one winsize.
    let ret = unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut ws) };
    (ret == 0).then_some(Size { rows: ws.ws_row, cols: ws.ws_col })
}

/// The terminal settings of a host terminal, to be put back.
#[derive(Clone, Copy)]
pub struct Saved(libc::termios);

impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Saved(termios)")
    }
}

fn get(tty: impl AsFd) -> Result<libc::termios> {
    // SAFETY: termios is plain data, all-zero is a valid value.
    let mut t: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: tcgetattr writes one termios.
    check(libc::c_long::from(unsafe { libc::tcgetattr(tty.as_fd().as_raw_fd(), &mut t) }))
        .call(|| "tcgetattr()")?;
    Ok(t)
}

fn put(tty: impl AsFd, t: &libc::termios) -> Result<()> {
    // SAFETY: tcsetattr reads one termios.
    check(libc::c_long::from(unsafe { libc::tcsetattr(tty.as_fd().as_raw_fd(), libc::TCSANOW, t) }))
        .map(drop)
        .call(|| "tcsetattr()")
}

/// Switch a host terminal to raw mode, but for its output, in which it goes on making carriage returns; [`restore`] undoes it.
///
/// # Errors
/// ENOTTY: no terminal; EIO: hung up, or the caller is in an orphaned background group.
pub fn make_raw(tty: impl AsFd) -> Result<Saved> {
    let saved = get(&tty)?;
    let mut raw = saved;
    // SAFETY: cfmakeraw changes the given structure only.
    unsafe { libc::cfmakeraw(&mut raw) };
    raw.c_oflag = saved.c_oflag;
    put(&tty, &raw)?;
    Ok(Saved(saved))
}

/// Put saved settings back.
///
/// # Errors
/// As [`make_raw`].
pub fn restore(tty: impl AsFd, saved: &Saved) -> Result<()> {
    put(tty, &saved.0)
}

/// Clear ONLCR on a pty whose bytes are copied to a terminal that adds the carriage returns itself.
///
/// # Errors
/// As [`make_raw`].
pub fn clear_onlcr(tty: impl AsFd) -> Result<()> {
    let mut t = get(&tty)?;
    t.c_oflag &= !libc::ONLCR;
    put(tty, &t)
}

/// The byte that ends the input of whoever reads from `tty` (VEOF of termios(3)); `None` also when the other side is closed, and
/// nobody reads.
pub fn end_of_input(tty: impl AsFd) -> Option<u8> {
    get(&tty).ok().map(|t| t.c_cc[libc::VEOF]).filter(|end| *end != 0)
}

/// Check that `fd` is the multiplexer of a devpts file system and nothing that was put in its place: devpts magic,
/// inode 2, character device 5:2 (CVE-2025-52565).
///
/// # Errors
/// EPERM: it is another file.
pub fn verify_ptmx(fd: impl AsFd) -> Result<()> {
    const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
    let fs = rustix::fs::fstatfs(&fd).call(|| "fstatfs(ptmx)")?;
    let st = rustix::fs::fstat(&fd).call(|| "fstat(ptmx)")?;
    let is_ptmx = fs.f_type as u64 == DEVPTS_SUPER_MAGIC
        && st.st_ino == 2
        && rustix::fs::major(st.st_rdev) == 5
        && rustix::fs::minor(st.st_rdev) == 2;
    if is_ptmx {
        Ok(())
    } else {
        Err(Error::new(
            format!("{} is not the ptmx of a devpts", crate::fd::label(&fd)),
            Errno::PERM,
        ))
    }
}
