//! Unix sockets that carry frames and descriptors.

use crate::error::{check, Context, Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::path::Path;
use std::time::Duration;

/// Most descriptors in one frame.
const MAX_FDS: usize = 4;

/// A connected pair of sequenced-packet sockets: one frame per send, never merged, never torn.
///
/// # Errors
/// EMFILE, ENFILE: too many files are open.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: socketpair writes two descriptors into fds.
    check(libc::c_long::from(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC,
            0,
            fds.as_mut_ptr(),
        )
    }))
    .call(|| "socketpair(AF_UNIX, SOCK_SEQPACKET)")?;
    // SAFETY: both descriptors are new and ours.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

fn address(path: &Path) -> Result<(libc::sockaddr_un, libc::socklen_t)> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: sockaddr_un is plain data, all-zero is a valid value.
    let mut addr: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    addr.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() >= addr.sun_path.len() {
        return Err(Error::new(
            format!("socket path {} ({} bytes, limit 107)", path.display(), bytes.len()),
            Errno::NAMETOOLONG,
        ));
    }
    for (to, from) in addr.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let len = std::mem::offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
    Ok((addr, len as libc::socklen_t))
}

fn unix_socket(kind: libc::c_int) -> Result<OwnedFd> {
    // SAFETY: plain integers; the returned descriptor is ours.
    check(libc::c_long::from(unsafe { libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) }))
        // SAFETY: a new descriptor that nobody else owns.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
        .call(|| "socket(AF_UNIX)")
}

/// What kind of socket [`connect`] and [`listen`] make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SOCK_STREAM: console, pidfd and seccomp listeners of engines.
    Stream,
    /// SOCK_SEQPACKET: our own protocol.
    SeqPacket,
    /// SOCK_DGRAM: sd_notify.
    Datagram,
}

impl Kind {
    fn raw(self) -> libc::c_int {
        match self {
            Self::Stream => libc::SOCK_STREAM,
            Self::SeqPacket => libc::SOCK_SEQPACKET,
            Self::Datagram => libc::SOCK_DGRAM,
        }
    }
}

/// How long connecting and each sending may wait for the other side.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connect to the socket file `path` (at most 107 bytes). Where nobody accepts connections or reads, EAGAIN after half a minute.
///
/// # Errors
/// ENAMETOOLONG; ENOENT; ECONNREFUSED: nobody listens; EACCES: no right to write to it; EPROTOTYPE:
/// of another kind; EAGAIN: see above.
pub fn connect(path: &Path, kind: Kind) -> Result<OwnedFd> {
    connect_within(path, kind, PATIENCE)
}

fn connect_within(path: &Path, kind: Kind, patience: Duration) -> Result<OwnedFd> {
    use rustix::net::sockopt::{set_socket_timeout, Timeout};
    let (addr, len) = address(path)?;
    let fd = unix_socket(kind.raw())?;
    set_socket_timeout(&fd, Timeout::Send, Some(patience)).call(|| "setsockopt(SO_SNDTIMEO)")?;
    // SAFETY: addr is a sockaddr_un of at least len bytes.
    check(libc::c_long::from(unsafe {
        libc::connect(fd.as_raw_fd(), (&raw const addr).cast(), len)
    }))
    .call(|| format!("connect(\"{}\")", path.display()))?;
    Ok(fd)
}

/// Make the socket file `path` and listen on it (a datagram socket only binds).
///
/// # Errors
/// ENAMETOOLONG; EADDRINUSE: the file is there; ENOENT, EACCES, EROFS of its directory.
pub fn listen(path: &Path, kind: Kind) -> Result<OwnedFd> {
    let (addr, len) = address(path)?;
    let fd = unix_socket(kind.raw())?;
    // SAFETY: addr is a sockaddr_un of at least len bytes.
    check(libc::c_long::from(unsafe { libc::bind(fd.as_raw_fd(), (&raw const addr).cast(), len) }))
        .call(|| format!("bind(\"{}\")", path.display()))?;
    if kind != Kind::Datagram {
        // SAFETY: plain integers.
        check(libc::c_long::from(unsafe { libc::listen(fd.as_raw_fd(), 16) }))
            .call(|| format!("listen(\"{}\")", path.display()))?;
    }
    Ok(fd)
}

/// Take the next connection.
///
/// # Errors
/// EMFILE, ENFILE; EINVAL: it does not listen; EAGAIN: nobody is there, on a non-blocking one.
pub fn accept(fd: impl AsFd) -> Result<OwnedFd> {
    loop {
        // SAFETY: no address is asked for; the returned descriptor is ours.
        let ret = check(libc::c_long::from(unsafe {
            libc::accept4(
                fd.as_fd().as_raw_fd(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                libc::SOCK_CLOEXEC,
            )
        }));
        match ret {
            Err(Errno::INTR) => {}
            other => {
                let raw = other.call(|| "accept4()")?;
                // SAFETY: a new descriptor that nobody else owns.
                return Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) });
            }
        }
    }
}

/// Room for the control message of MAX_FDS descriptors, aligned for cmsghdr.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Send one frame with descriptors; exactly as many control bytes as descriptors need (go-runc demands that).
///
/// # Errors
/// EPIPE, ECONNRESET, ECONNREFUSED: the peer is gone; EAGAIN: it does not read, on a non-blocking
/// socket or one with a timeout; EMSGSIZE: larger than the send buffer; ETOOMANYREFS: too many
/// descriptors on their way; EIO: a part was sent.
pub fn send(fd: impl AsFd, frame: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut control = Control([0; 64]);
    let mut iov =
        libc::iovec { iov_base: frame.as_ptr() as *mut libc::c_void, iov_len: frame.len() };
    // SAFETY: msghdr is plain data, all-zero is a valid value.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &mut iov;
    msg.msg_iovlen = 1;
    if !fds.is_empty() {
        let bytes = (fds.len().min(MAX_FDS) * 4) as libc::c_uint;
        msg.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE and CMSG_LEN compute sizes only; control is large and aligned enough for MAX_FDS
        // descriptors, so the first header and its data lie inside it.
        unsafe {
            msg.msg_controllen = libc::CMSG_SPACE(bytes) as _;
            let header = libc::CMSG_FIRSTHDR(&msg);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(bytes) as _;
            for (i, one) in fds.iter().take(MAX_FDS).enumerate() {
                libc::CMSG_DATA(header)
                    .cast::<libc::c_int>()
                    .add(i)
                    .write_unaligned(one.as_raw_fd());
            }
        }
    }
    loop {
        // SAFETY: msg points to live buffers of the stated sizes.
        let ret = check(unsafe { libc::sendmsg(fd.as_fd().as_raw_fd(), &msg, libc::MSG_NOSIGNAL) }
            as libc::c_long);
        match ret {
            Err(Errno::INTR) => {}
            other => {
                // A frame goes as a whole. Who answers otherwise is not the kernel, and nobody would ever hear of this one.
                let whole = |sent| if sent == frame.len() { Ok(()) } else { Err(Errno::IO) };
                return other
                    .and_then(|sent| whole(sent as usize))
                    .call(|| format!("sendmsg({}, {} bytes)", crate::fd::label(&fd), frame.len()));
            }
        }
    }
}

/// Nothing comes or goes any more, whoever else has a copy of the descriptor: the peer finds the end.
///
/// # Errors
/// ENOTSOCK: no socket; ENOTCONN: not connected, of other families than unix(7).
pub fn end(fd: impl AsFd) -> Result<()> {
    rustix::net::shutdown(fd, rustix::net::Shutdown::Both).call(|| "shutdown()")
}

/// Receive one frame into `buf`; returns its length (0: the peer is gone) and the descriptors that came with it.
///
/// # Errors
/// EAGAIN: nothing is there, on a non-blocking socket; ENOTCONN. A lost peer is no error.
pub fn receive(fd: impl AsFd, buf: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; 64]);
    let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: msghdr is plain data, all-zero is a valid value.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &mut iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.0.as_mut_ptr().cast();
    msg.msg_controllen = control.0.len() as _;
    let mut reset = false;
    let n = loop {
        // SAFETY: msg points to live buffers of the stated sizes.
        let ret =
            check(
                unsafe { libc::recvmsg(fd.as_fd().as_raw_fd(), &mut msg, libc::MSG_CMSG_CLOEXEC) }
                    as libc::c_long,
            );
        match ret {
            Err(Errno::INTR) => {}
            // The peer died with data unread. The kernel tells that before what the peer had said last: why it ends.
            Err(Errno::CONNRESET) if !reset => reset = true,
            Err(Errno::CONNRESET) => break 0,
            other => break other.call(|| format!("recvmsg({})", crate::fd::label(&fd)))? as usize,
        }
    };
    Ok((n, take_fds(&msg)))
}

fn take_fds(msg: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel filled msg's control buffer; the CMSG macros walk it inside msg_controllen; each SCM_RIGHTS
    // descriptor is new and ours.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(msg);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                for i in 0..bytes / 4 {
                    let raw = libc::CMSG_DATA(header).cast::<libc::c_int>().add(i).read_unaligned();
                    fds.push(OwnedFd::from_raw_fd(raw));
                }
            }
            header = libc::CMSG_NXTHDR(msg, header);
        }
    }
    fds
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{bind, listen, socket, AddressFamily, SocketAddrUnix, SocketType};

    #[test]
    fn where_nobody_accepts_connecting_comes_to_an_end() {
        let path = std::env::temp_dir().join(format!("casemate-backlog-{}", std::process::id()));
        let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 0).unwrap();
        let patience = Duration::from_millis(50);
        let one = || connect_within(&path, Kind::Stream, patience);
        let waiting: Vec<_> = std::iter::from_fn(|| one().ok()).take(8).collect();
        let error = one().unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(waiting.len() < 8);
        assert_eq!(error.errno(), Errno::AGAIN);
    }
    #[test]
    fn the_last_word_of_a_peer_that_did_not_listen_is_heard() {
        let (ours, theirs) = pair().unwrap();
        send(&ours, b"go", &[]).unwrap();
        send(&theirs, b"why not", &[]).unwrap();
        drop(theirs);
        let mut word = [0; 16];
        let (n, _) = receive(&ours, &mut word).unwrap();
        assert_eq!(&word[..n], b"why not");
        assert_eq!(receive(&ours, &mut word).unwrap().0, 0);
    }
}
