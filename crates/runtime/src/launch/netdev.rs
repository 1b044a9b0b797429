//! `linux.netDevices`: devices of the host's network namespace move into the container's, with their permanent
//! addresses, and back when making the container fails. After that they are the container's; when its network
//! namespace ends, the kernel returns physical devices to the host and destroys virtual ones.

use anyhow::{anyhow, bail, Context, Result};
use casemate_policy::spec::NetDevice;
use casemate_sys::netlink::{Address, Link, Route};
use casemate_sys::ns::{self, flag};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;

/// Most numbers that are tried for a `%d` in a name.
const MAX_TEMPLATE: u32 = 1024;

/// Both sides of the move, and what has been moved so far.
#[derive(Debug)]
pub(crate) struct Moves {
    host: Side,
    container: Side,
    done: Vec<Done>,
}

#[derive(Debug)]
struct Side {
    namespace: OwnedFd,
    route: Route,
}

#[derive(Debug)]
struct Done {
    outside: String,
    inside: String,
    link: Link,
    addresses: Vec<Address>,
}

/// Move all devices into the network namespace `target`. When one cannot be moved, none is.
pub(crate) fn move_all(
    devices: &BTreeMap<String, NetDevice>,
    proc: impl AsFd,
    target: OwnedFd,
) -> Result<Moves> {
    let own =
        rustix::fs::openat(proc, "self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| {
                anyhow!("openat(/proc, \"self/ns/net\"): {}", casemate_sys::errno_text(e))
            })?;
    let route = Route::open()?;
    let inside = route_in(&target, &own)?;
    let mut moves = Moves {
        host: Side { namespace: own, route },
        container: Side { namespace: target, route: inside },
        done: Vec::new(),
    };
    for (name, device) in devices {
        if let Err(error) = moves.move_in(name, device.name.as_deref().unwrap_or(name)) {
            let error = error.context(format!("linux.netDevices.{name}"));
            return Err(match moves.give_back() {
                Ok(()) => error,
                Err(back) => anyhow!("{error:#} (and could not take back: {back:#})"),
            });
        }
    }
    Ok(moves)
}

/// A socket that belongs to the other namespace: made in a short visit.
fn route_in(target: &OwnedFd, own: &OwnedFd) -> Result<Route> {
    ns::setns(target, flag::NET).context("visit the container's network namespace")?;
    let route = Route::open();
    ns::setns(own, flag::NET).context("leave the container's network namespace")?;
    Ok(route?)
}

impl Moves {
    fn move_in(&mut self, outside: &str, wanted: &str) -> Result<()> {
        let link =
            self.host.route.link(outside)?.ok_or_else(|| anyhow!("no such network device"))?;
        let addresses = self.host.route.addresses(link.index)?;
        let inside = free_name(&self.container.route, wanted)?;
        let done = Done { outside: outside.to_owned(), inside, link, addresses };
        self.host.route.move_link(link.index, &self.container.namespace, &done.inside)?;
        self.done.push(done);
        match self.done.last() {
            Some(done) => settle(&self.container.route, &done.inside, &done.addresses, true),
            None => Ok(()),
        }
    }

    /// Move everything back, with name, addresses and state as they were.
    pub(crate) fn give_back(self) -> Result<()> {
        let mut failed = Vec::new();
        for done in self.done.iter().rev() {
            if let Err(e) = self.move_out(done) {
                failed.push(format!("network device {}: {e:#}", done.outside));
            }
        }
        match failed.is_empty() {
            true => Ok(()),
            false => bail!("{}", failed.join("; ")),
        }
    }

    fn move_out(&self, done: &Done) -> Result<()> {
        let link = self
            .container
            .route
            .link(&done.inside)?
            .ok_or_else(|| anyhow!("is gone from the container"))?;
        self.container.route.move_link(link.index, &self.host.namespace, &done.outside)?;
        settle(&self.host.route, &done.outside, &done.addresses, done.link.up)
    }
}

/// Give a device that has just arrived its addresses, and set it up.
fn settle(route: &Route, name: &str, addresses: &[Address], up: bool) -> Result<()> {
    let link = route.link(name)?.ok_or_else(|| anyhow!("{name} did not arrive"))?;
    addresses.iter().try_for_each(|address| route.add_address(link.index, address))?;
    if up {
        route.set_up(link.index)?;
    }
    Ok(())
}

/// `wanted`, with the first free number for a `%d`; a plain name that is taken is an error.
fn free_name(route: &Route, wanted: &str) -> Result<String> {
    let Some((before, after)) = wanted.split_once("%d") else {
        return match route.link(wanted)? {
            None => Ok(wanted.to_owned()),
            Some(_) => bail!("the container has a network device {wanted} already"),
        };
    };
    for number in 0..MAX_TEMPLATE {
        let name = format!("{before}{number}{after}");
        if route.link(&name)?.is_none() {
            return Ok(name);
        }
    }
    bail!("no free name for {wanted}")
}
