//! The kernel's audit system (NETLINK_AUDIT, audit(8)): what becomes of records. One request; records are read elsewhere.

use crate::error::{Context, Error, Result};
use rustix::io::Errno;
use rustix::net::netlink::AUDIT;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// <linux/audit.h>: the status.
const AUDIT_GET: u16 = 1000;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;

/// What the kernel does when it has to lose a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing.
    Silent,
    /// It says so in its log.
    Print,
    /// The machine stops.
    Panic,
}

/// How records are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What happens when one is lost.
    pub failure: Failure,
    /// Most records in a second; 0 is no limit.
    pub rate_limit: u32,
}

/// Asks for the status.
///
/// # Errors
/// EPERM without CAP_AUDIT_CONTROL or outside of the initial pid namespace, ECONNREFUSED outside of the initial user namespace,
/// EPROTONOSUPPORT without an audit system in the kernel; EPROTO: an answer that is none.
pub fn status() -> Result<Status> {
    let about = || "netlink AUDIT_GET";
    let flags = SocketFlags::CLOEXEC;
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(AUDIT))
            .call(|| "socket(AF_NETLINK, NETLINK_AUDIT)")?;
    let mut request = [0u8; HEADER];
    request[..4].copy_from_slice(&(HEADER as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&AUDIT_GET.to_ne_bytes());
    request[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    rustix::net::send(&socket, &request, SendFlags::empty()).call(about)?;
    let mut buffer = [0u8; 512];
    let (read, _) = rustix::io::retry_on_intr(|| {
        rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())
    })
    .call(about)?;
    parse(&buffer[..read]).map_err(|errno| Error::new(about().to_owned(), errno))
}

/// `struct audit_status`: mask, enabled, failure, pid, rate_limit, ...
fn parse(answer: &[u8]) -> std::result::Result<Status, Errno> {
    let kind = answer.get(4..6).ok_or(Errno::PROTO)?;
    let word = |at: usize| -> std::result::Result<u32, Errno> {
        let bytes = answer.get(HEADER + 4 * at..HEADER + 4 * at + 4).ok_or(Errno::PROTO)?;
        Ok(u32::from_ne_bytes(bytes.try_into().map_err(|_| Errno::PROTO)?))
    };
    match u16::from_ne_bytes([kind[0], kind[1]]) {
        AUDIT_GET => {
            let failure = match word(2)? {
                0 => Failure::Silent,
                1 => Failure::Print,
                2 => Failure::Panic,
                _ => return Err(Errno::PROTO),
            };
            Ok(Status { failure, rate_limit: word(4)? })
        }
        NLMSG_ERROR => Err(Errno::from_raw_os_error((word(0)? as i32).wrapping_neg())),
        _ => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, words: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0u8; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn a_status_and_an_error_are_told_apart() {
        let status = parse(&answer(AUDIT_GET, &[0, 1, 2, 0, 100, 64])).unwrap();
        assert_eq!(status, Status { failure: Failure::Panic, rate_limit: 100 });
        let refused = (-1i32) as u32;
        assert_eq!(parse(&answer(NLMSG_ERROR, &[refused])), Err(Errno::PERM));
        assert_eq!(parse(&answer(AUDIT_GET, &[0, 1])), Err(Errno::PROTO));
        assert_eq!(parse(&answer(AUDIT_GET, &[0, 1, 9, 0, 0])), Err(Errno::PROTO));
        assert_eq!(parse(&[]), Err(Errno::PROTO));
    }
}
