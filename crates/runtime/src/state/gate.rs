//! The gate of a created container: a socket that exists exactly while the container is created and not started.

use super::dir::{StateDir, GATE};
use anyhow::{Context as _, Result};
use casemate_sys::{socket, Context as _};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::path::PathBuf;

impl StateDir {
    /// Whether init waits behind the gate: created and not started. A `start` that was killed may have left the gate
    /// standing with nobody behind it, so it is knocked at: init lets a caller without a word go, and waits on.
    ///
    /// # Errors
    /// Whether the gate is there cannot be told, or connecting to it fails in a way that does not
    /// say that nobody is behind it.
    pub fn has_gate(&self) -> Result<bool> {
        let knock = || -> rustix::io::Result<()> {
            // Not blocking: the queue may be full while startContainer hooks run.
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
            let socket = rustix::net::socket_with(family, kind, flags, None)?;
            rustix::net::connect(&socket, &SocketAddrUnix::new(self.gate_path())?)
        };
        if !self.exists(GATE)? {
            return Ok(false);
        }
        match knock() {
            Ok(()) | Err(Errno::AGAIN) => Ok(true),
            Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
            Err(e) => Err(e).call(|| "connect()").with_context(|| format!("gate of {}", self.id)),
        }
    }

    /// Make the gate. Through /proc/self/fd, because a socket's path may have 107 bytes and a state root more.
    ///
    /// # Errors
    /// The socket cannot be bound: EADDRINUSE where there is one already, or ENOSPC.
    pub fn make_gate(&self) -> Result<OwnedFd> {
        socket::listen(&self.gate_path(), socket::Kind::SeqPacket)
            .with_context(|| format!("gate of {}", self.id))
    }

    /// Connect to the gate.
    ///
    /// # Errors
    /// ENOENT: there is no gate; ECONNREFUSED: nobody is behind it; EAGAIN: the queue stays full.
    pub fn connect_gate(&self) -> casemate_sys::Result<OwnedFd> {
        socket::connect(&self.gate_path(), socket::Kind::SeqPacket)
    }

    /// Take the gate away: the container is running.
    ///
    /// # Errors
    /// It cannot be removed; it is no error that it is gone already.
    pub fn remove_gate(&self) -> Result<()> {
        match rustix::fs::unlinkat(&self.dir, GATE, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => {
                Err(e).call(|| "unlinkat(gate)").with_context(|| format!("gate of {}", self.id))
            }
        }
    }

    fn gate_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/gate", self.dir.as_fd().as_raw_fd()))
    }
}
