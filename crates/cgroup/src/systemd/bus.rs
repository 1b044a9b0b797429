//! A connection to a message bus: one call at a time, with a deadline, and the signals that arrive meanwhile.
//!
//! Written by hand, because five method calls are all that is needed and no library at hand fits: the
//! asynchronous ones bring an executor and threads, which a process about to clone must not have; the small
//! synchronous one authenticates with getuid(2), which is refused in a user namespace (the peer sees the host's uid), and
//! reads without a time limit. Here the peer takes the uid from the socket's credentials (EXTERNAL with empty
//! data, as systemd's own library does) and every wait ends at the deadline.

use super::wire::{self, Call, Message, Writer, FIXED_HEADER};
use crate::error::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
const MAX_AUTH_LINE: usize = 4096;

/// Whose systemd: the system's or the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manager {
    /// PID 1, over the system bus.
    System,
    /// `systemd --user`, over the session bus.
    User,
}

/// A D-Bus address, to be kept with the container: later commands come without the environment that named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusAddress(String);

impl BusAddress {
    /// The bus of `manager`: $DBUS_SYSTEM_BUS_ADDRESS or the usual socket; $DBUS_SESSION_BUS_ADDRESS or
    /// $XDG_RUNTIME_DIR/bus.
    ///
    /// # Errors
    /// [`Error::Bus`]: no session bus is named by the environment.
    pub fn of(manager: Manager) -> Result<Self> {
        // A name that is no text names no bus.
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let address = match manager {
            Manager::System => {
                get("DBUS_SYSTEM_BUS_ADDRESS").or_else(|| Some(SYSTEM_BUS.to_owned()))
            }
            Manager::User => get("DBUS_SESSION_BUS_ADDRESS").or_else(|| {
                get("XDG_RUNTIME_DIR").map(|dir| format!("unix:path={}/bus", escape(&dir)))
            }),
        };
        address.map(Self).ok_or_else(|| Error::Bus {
            address: "the user's session bus".to_owned(),
            why: "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set: \
                  log in with a systemd user session (loginctl enable-linger makes one that stays), or use the cgroupfs driver"
                .to_owned(),
        })
    }

    /// The sockets that the address names, in order: `unix:path=` and `unix:abstract=`.
    fn sockets(&self) -> Vec<SocketAddrUnix> {
        self.0.split(';').filter_map(socket_of).collect()
    }
}

impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `None`: another kind of address, or one that is too long; without any left, connecting says so.
fn socket_of(entry: &str) -> Option<SocketAddrUnix> {
    let options = entry.strip_prefix("unix:")?;
    options.split(',').find_map(|option| match option.split_once('=')? {
        ("path", path) => SocketAddrUnix::new(unescape(path)?).ok(),
        ("abstract", name) => SocketAddrUnix::new_abstract_name(&unescape(name)?).ok(),
        _ => None,
    })
}

/// Undo `%xx` of the specification's "Server Addresses".
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_/.\\*".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") })
        .collect()
}

/// An authenticated connection.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    address: BusAddress,
    serial: u32,
    deadline: Instant,
    signals: Vec<Message>,
}

impl Bus {
    /// Connect and say hello; everything on this connection has to be done within `limit`.
    pub(super) fn connect(address: &BusAddress, limit: Duration) -> Result<Self> {
        let deadline = Instant::now() + limit;
        Self::open(address, deadline)?.greet()
    }

    fn open(address: &BusAddress, deadline: Instant) -> Result<Self> {
        let fail = |why: String| Error::Bus { address: address.0.clone(), why };
        let mut reason = "the address names no unix socket".to_owned();
        for socket in address.sockets() {
            match connect_socket(&socket) {
                Ok(stream) => {
                    return Ok(Self {
                        stream,
                        address: address.clone(),
                        serial: 0,
                        deadline,
                        signals: Vec::new(),
                    });
                }
                Err(errno) => reason = format!("connect: {}", casemate_sys::errno_text(errno)),
            }
        }
        Err(fail(reason))
    }

    fn greet(mut self) -> Result<Self> {
        // One write for the whole of it, as systemd's library does; the answer is DATA and OK, or REJECTED.
        self.send(b"\0AUTH EXTERNAL\r\nDATA\r\n")?;
        let line = self.auth_line()?;
        let line = if line.starts_with("DATA") { self.auth_line()? } else { line };
        if !line.starts_with("OK ") {
            return Err(self.fail(format!("authentication refused: {line}")));
        }
        self.send(b"BEGIN\r\n")?;
        self.bus_call("Hello", "", Writer::default())?;
        Ok(self)
    }

    /// Have signals that match `rule` delivered.
    pub(super) fn add_match(&mut self, rule: &str) -> Result<()> {
        let mut body = Writer::default();
        body.string(rule);
        self.bus_call("AddMatch", "s", body).map(drop)
    }

    /// Call a method and return its answer, which may be an error of the peer ([`Message::ERROR`]).
    pub(super) fn call(&mut self, call: &Call<'_>, body: Writer) -> Result<Message> {
        self.serial += 1;
        let serial = self.serial;
        self.send(&wire::method_call(serial, call, &body.into_bytes()))?;
        loop {
            let message = self.receive()?;
            match message.kind {
                Message::METHOD_RETURN | Message::ERROR if message.reply_serial == serial => {
                    return Ok(message);
                }
                Message::SIGNAL => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// The next signal named `member`, those received during calls first.
    pub(super) fn wait_signal(&mut self, member: &str) -> Result<Message> {
        loop {
            let message =
                if self.signals.is_empty() { self.receive()? } else { self.signals.remove(0) };
            if message.kind == Message::SIGNAL && message.member == member {
                return Ok(message);
            }
        }
    }

    fn fail(&self, why: impl Into<String>) -> Error {
        Error::Bus { address: self.address.0.clone(), why: why.into() }
    }

    fn receive(&mut self) -> Result<Message> {
        let mut fixed = [0u8; FIXED_HEADER];
        self.fill(&mut fixed)?;
        let length = wire::message_length(&fixed);
        let Some(length) = length.filter(|length| *length >= FIXED_HEADER) else {
            return Err(self.fail("the peer sent something that is no D-Bus message"));
        };
        let mut bytes = fixed.to_vec();
        bytes.resize(length, 0);
        self.fill(&mut bytes[FIXED_HEADER..])?;
        wire::parse(&bytes).ok_or_else(|| self.fail("the peer sent a malformed message"))
    }

    fn auth_line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        // Byte by byte, so that nothing of what follows is taken away; these lines are short and few.
        while !line.ends_with(b"\r\n") {
            if line.len() > MAX_AUTH_LINE {
                return Err(self.fail("the peer sent an endless authentication line"));
            }
            let mut byte = [0u8; 1];
            self.fill(&mut byte)?;
            line.extend(byte);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            match self.stream.read(buffer) {
                Ok(0) => return Err(self.fail("the peer closed the connection")),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) => self.retry(&error, PollFlags::IN)?,
            }
        }
        Ok(())
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) => self.retry(&error, PollFlags::OUT)?,
            }
        }
        Ok(())
    }

    /// Wait until the socket is ready again, if that is what `error` asks for.
    fn retry(&self, error: &std::io::Error, ready: PollFlags) -> Result<()> {
        match error.kind() {
            ErrorKind::Interrupted => return Ok(()),
            ErrorKind::WouldBlock => {}
            _ => return Err(self.fail(error.to_string())),
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.fail("no answer in time"));
        }
        let timeout =
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = [PollFd::new(&self.stream, ready)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(self.fail(format!("poll: {}", casemate_sys::errno_text(errno)))),
        }
    }
}

/// A call to the bus itself.
const BUS_CALL: Call<'_> = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "",
    signature: "",
};

impl Bus {
    /// Call a method of the bus itself; its errors are ours.
    fn bus_call(&mut self, member: &str, signature: &str, body: Writer) -> Result<Message> {
        let answer = self.call(&Call { member, signature, ..BUS_CALL }, body)?;
        if answer.kind == Message::ERROR {
            let why = format!("{member}: {}: {}", answer.error_name, answer.text());
            return Err(self.fail(why));
        }
        Ok(answer)
    }

    /// The host uid behind a name on the bus, as the bus sees it.
    pub(super) fn uid_of(&mut self, name: &str) -> Result<u32> {
        let mut body = Writer::default();
        body.string(name);
        let answer = self.bus_call("GetConnectionUnixUser", "s", body)?;
        answer.body().u32().ok_or_else(|| self.fail("GetConnectionUnixUser: no number"))
    }
}

/// Whether the system bus belongs to root as the caller sees it. For root of a user namespace that tells a container with a
/// systemd of its own (LXC, systemd-nspawn) from rootless podman, where the bus is the host's and its root is not mapped.
/// The bus's own answers count uids as the bus sees them, so the kernel is asked. A bus that cannot be reached is nobody's
/// to make units with: then the caller counts as rootless, who uses his own.
pub fn system_bus_is_roots() -> bool {
    let Ok(address) = BusAddress::of(Manager::System) else { return false };
    address.sockets().iter().any(|socket| {
        let peer = connect_socket(socket).map(rustix::net::sockopt::socket_peercred);
        matches!(peer, Ok(Ok(credentials)) if credentials.uid.is_root())
    })
}

fn connect_socket(address: &SocketAddrUnix) -> rustix::io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, address)?;
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_sockets_in_order() {
        let address = BusAddress("tcp:host=x;unix:path=/run/a%20b,guid=1;unix:abstract=/c".into());
        let sockets = address.sockets();
        assert_eq!(sockets.len(), 2);
        assert_eq!(sockets[0].path_bytes().unwrap(), b"/run/a b");
        assert_eq!(sockets[1].abstract_name().unwrap(), b"/c");
        assert_eq!(escape("/run/a b"), "/run/a%20b");
    }

    #[test]
    fn an_unreachable_bus_is_named() {
        let address = BusAddress("unix:path=/nonexistent/bus".into());
        let error = Bus::connect(&address, Duration::from_secs(1)).unwrap_err().to_string();
        assert_eq!(
            error,
            "D-Bus at unix:path=/nonexistent/bus: connect: no such file or directory"
        );
    }

    #[test]
    fn a_silent_peer_is_given_up_on() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + Duration::from_millis(30);
        let address = BusAddress("unix:path=/test".into());
        let bus = Bus { stream: ours, address, serial: 0, deadline, signals: Vec::new() };
        let error = bus.greet().unwrap_err().to_string();
        assert!(error.ends_with("no answer in time"), "{error}");
        drop(theirs);
    }
}
