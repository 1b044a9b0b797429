//! rtnetlink (rtnetlink(7)), the four requests that moving a device between network namespaces takes: look a link up,
//! list its addresses, change it, add an address. Requests are built and answers parsed as plain bytes.
//!
//! A [`Route`] socket belongs to the network namespace that its maker was in, wherever the process goes later.

use crate::error::{Context, Error, Result};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;

/// Set by the user and never expires, as opposed to what router advertisements bring.
const IFA_F_PERMANENT: u32 = 0x80;
/// What a user can ask for; the other flags are the kernel's to report.
const IFA_F_ASKED: u32 = 0x002 | 0x010 | 0x100 | 0x200 | 0x400;
const IFF_UP: u32 = 1;

/// Length of `struct nlmsghdr`, `ifinfomsg` and `ifaddrmsg`.
const HEADER: usize = 16;
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;

/// A NETLINK_ROUTE socket.
#[derive(Debug)]
pub struct Route {
    fd: OwnedFd,
}

/// A network device as its namespace knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in this namespace.
    pub index: u32,
    /// Whether it is set up.
    pub up: bool,
}

/// An address of a device, with what is needed to add it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    family: u8,
    prefix: u8,
    scope: u8,
    flags: u32,
    local: Vec<u8>,
    peer: Vec<u8>,
    broadcast: Vec<u8>,
}

impl Route {
    /// A socket in the caller's present network namespace.
    ///
    /// # Errors
    /// EMFILE; EAFNOSUPPORT or EPROTONOSUPPORT: a kernel without it, or a filter.
    pub fn open() -> Result<Self> {
        rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )
        .map(|fd| Self { fd })
        .call(|| "socket(AF_NETLINK, NETLINK_ROUTE)")
    }

    /// The device called `name`; `None` when there is none.
    ///
    /// # Errors
    /// ERANGE: a name of more than 15 bytes; EPROTO: an error of the kernel's that cannot be read.
    pub fn link(&self, name: &str) -> Result<Option<Link>> {
        let mut request = Request::new(RTM_GETLINK, 0, &[0; IFINFOMSG]);
        request.attribute(IFLA_IFNAME, &c_string(name));
        match self.transact(request, |_, body| parse_link(body)) {
            Ok(mut links) => Ok(links.pop()),
            Err(Errno::NODEV) => Ok(None),
            Err(e) => Err(Error::new(format!("rtnetlink RTM_GETLINK \"{name}\""), e)),
        }
    }

    /// The permanent addresses of global scope that a device has.
    ///
    /// # Errors
    /// ENOBUFS: answers were lost; EPROTO: an error of the kernel's that cannot be read.
    pub fn addresses(&self, index: u32) -> Result<Vec<Address>> {
        let request = Request::new(RTM_GETADDR, NLM_F_DUMP, &[0; IFADDRMSG]);
        let kept = |kind: u16, body: &[u8]| {
            let (owner, address) = (kind == RTM_NEWADDR).then(|| parse_address(body)).flatten()?;
            let global = address.scope == 0 && address.flags & IFA_F_PERMANENT != 0;
            (owner == index && global).then_some(address)
        };
        self.transact(request, kept).call(|| format!("rtnetlink RTM_GETADDR of device {index}"))
    }

    /// Move a device into the network namespace `target`, where it is called `name` (a `%d` in it becomes the first free
    /// number). Moving sets it down and takes its addresses.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN over both namespaces; ENODEV: no such device; EEXIST: the name
    /// is taken there; EINVAL: a device that has to stay (`lo`), or `target` is no network
    /// namespace; ERANGE: a name of more than 15 bytes.
    pub fn move_link(&self, index: u32, target: impl AsFd, name: &str) -> Result<()> {
        let mut request = Request::new(RTM_NEWLINK, NLM_F_ACK, &ifinfomsg(index, 0, IFF_UP));
        request.attribute(IFLA_NET_NS_FD, &target.as_fd().as_raw_fd().to_ne_bytes());
        request.attribute(IFLA_IFNAME, &c_string(name));
        self.transact(request, |_, _| None::<()>).map(drop).call(|| {
            format!("rtnetlink RTM_NEWLINK device {index}, IFLA_NET_NS_FD, IFLA_IFNAME \"{name}\"")
        })
    }

    /// Set a device up.
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN; ENODEV: no such device; else what its driver says.
    pub fn set_up(&self, index: u32) -> Result<()> {
        let request = Request::new(RTM_NEWLINK, NLM_F_ACK, &ifinfomsg(index, IFF_UP, IFF_UP));
        self.transact(request, |_, _| None::<()>)
            .map(drop)
            .call(|| format!("rtnetlink RTM_NEWLINK device {index}, IFF_UP"))
    }

    /// Add an address to a device.
    ///
    /// # Errors
    /// EEXIST: it has it; EPERM without CAP_NET_ADMIN; ENODEV: no such device; EACCES: IPv6 is off
    /// on it.
    pub fn add_address(&self, index: u32, address: &Address) -> Result<()> {
        let mut body = [address.family, address.prefix, 0, address.scope, 0, 0, 0, 0];
        body[4..].copy_from_slice(&index.to_ne_bytes());
        let mut request = Request::new(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &body);
        let attributes = [
            (IFA_LOCAL, &address.local),
            (IFA_ADDRESS, &address.peer),
            (IFA_BROADCAST, &address.broadcast),
        ];
        for (kind, value) in attributes.into_iter().filter(|(_, value)| !value.is_empty()) {
            request.attribute(kind, value);
        }
        request.attribute(IFA_FLAGS, &(address.flags & IFA_F_ASKED).to_ne_bytes());
        self.transact(request, |_, _| None::<()>)
            .map(drop)
            .call(|| format!("rtnetlink RTM_NEWADDR of device {index}"))
    }

    /// Send one request and collect what `pick` makes of the answers.
    fn transact<T>(
        &self,
        request: Request,
        pick: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> rustix::io::Result<Vec<T>> {
        let many = request.flags & (NLM_F_DUMP | NLM_F_ACK) != 0;
        rustix::net::send(&self.fd, &request.finish(), SendFlags::empty())?;
        let mut found = Vec::new();
        // The kernel makes no answer to a dump larger than the largest read it has seen, up to 32 KiB.
        let mut buffer = vec![0u8; 32 << 10];
        loop {
            let (n, _) = rustix::io::retry_on_intr(|| {
                rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::empty())
            })?;
            let mut rest = &buffer[..n];
            while let Some((kind, body, behind)) = split_message(rest) {
                match kind {
                    NLMSG_DONE => return Ok(found),
                    NLMSG_ERROR => match i32::from_ne_bytes(array(body, 0).ok_or(Errno::PROTO)?) {
                        0 => return Ok(found),
                        error @ -4095..0 => return Err(Errno::from_raw_os_error(-error)),
                        _ => return Err(Errno::PROTO),
                    },
                    kind => found.extend(pick(kind, body)),
                }
                rest = behind;
            }
            if !many {
                return Ok(found);
            }
        }
    }
}

fn c_string(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn ifinfomsg(index: u32, flags: u32, change: u32) -> [u8; IFINFOMSG] {
    let mut body = [0; IFINFOMSG];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..].copy_from_slice(&change.to_ne_bytes());
    body
}

/// A request being built: header, fixed part, attributes.
struct Request {
    flags: u16,
    bytes: Vec<u8>,
}

impl Request {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(body);
        Self { flags, bytes }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let len = (value.len() + 4) as u16;
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Kind and body of the first message, and what is behind it.
fn split_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = u32::from_ne_bytes(array(bytes, 0)?) as usize;
    let kind = u16::from_ne_bytes(array(bytes, 4)?);
    let body = bytes.get(HEADER..len)?;
    Some((kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// Kind and value of the first attribute, and what is behind it.
fn split_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = usize::from(u16::from_ne_bytes(array(bytes, 0)?));
    let kind = u16::from_ne_bytes(array(bytes, 2)?);
    let value = bytes.get(4..len)?;
    Some((kind, value, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let flags = u32::from_ne_bytes(array(body, 8)?);
    Some(Link { index: u32::from_ne_bytes(array(body, 4)?), up: flags & IFF_UP != 0 })
}

/// The owner's number and the address.
fn parse_address(body: &[u8]) -> Option<(u32, Address)> {
    let [family, prefix, flags, scope] = array(body, 0)?;
    let owner = u32::from_ne_bytes(array(body, 4)?);
    let mut address = Address {
        family,
        prefix,
        scope,
        flags: u32::from(flags),
        local: Vec::new(),
        peer: Vec::new(),
        broadcast: Vec::new(),
    };
    let mut rest = body.get(IFADDRMSG..)?;
    while let Some((kind, value, behind)) = split_attribute(rest) {
        match kind {
            IFA_LOCAL => address.local = value.to_vec(),
            IFA_ADDRESS => address.peer = value.to_vec(),
            IFA_BROADCAST => address.broadcast = value.to_vec(),
            IFA_FLAGS => address.flags = u32::from_ne_bytes(array(value, 0)?),
            _ => {}
        }
        rest = behind;
    }
    Some((owner, address))
}

/// Reads bytes as an answer of the kernel's; how many links and addresses they hold. For tests/fuzz.
#[doc(hidden)]
#[must_use]
pub fn read_answer(bytes: &[u8]) -> usize {
    let (mut rest, mut found) = (bytes, 0);
    while let Some((_, body, behind)) = split_message(rest) {
        found += usize::from(parse_link(body).is_some());
        found += usize::from(parse_address(body).is_some());
        rest = behind;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_found_and_another_is_not() {
        let route = Route::open().unwrap();
        assert_eq!(route.link("lo").unwrap().unwrap().index, 1);
        assert_eq!(route.link("cm-nosuch0").unwrap(), None);
    }

    #[test]
    fn addresses_of_host_scope_stay_behind() {
        let route = Route::open().unwrap();
        // 127.0.0.1 and ::1.
        assert_eq!(route.addresses(1).unwrap(), Vec::new());
    }

    #[test]
    fn a_request_is_laid_out_as_the_kernel_reads_it() {
        let mut request = Request::new(RTM_GETLINK, 0, &[0; IFINFOMSG]);
        request.attribute(IFLA_IFNAME, b"lo\0");
        let bytes = request.finish();
        assert_eq!(bytes.len(), 40);
        let (kind, body, rest) = split_message(&bytes).unwrap();
        assert_eq!((kind, rest.len()), (RTM_GETLINK, 0));
        assert_eq!(split_attribute(&body[IFINFOMSG..]).unwrap().1, b"lo\0");
    }

    #[test]
    fn a_cut_answer_ends_the_parsing_quietly() {
        assert!(split_message(&[200, 0, 0, 0, 2, 0, 0, 0]).is_none());
        assert!(split_attribute(&[2, 0, 1, 0]).is_none());
        assert!(parse_address(&[2, 24, 0]).is_none());
    }
}
