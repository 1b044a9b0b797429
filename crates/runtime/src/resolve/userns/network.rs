//! What a network namespace needs so that a container finds in it what it would find without a user namespace of its own.
//!
//! Capabilities count in the user namespace that owns the network namespace, and engines make that one themselves, on the
//! host. So a container that may bind low ports is given them by a parameter of the network namespace. Other members of the
//! pod get them too, without the capability; engines set the same parameter for the same reason.

use crate::resolve::ids::IdMaps;
use anyhow::{anyhow, Context as _, Result};
use casemate_kernel::InnerId;
use casemate_policy::spec::{Capability, Spec};
use casemate_sandbox::plan::Sysctl;

const LOW_PORTS: &str = "net/ipv4/ip_unprivileged_port_start";
const PING: &str = "net/ipv4/ping_group_range";

/// Who writes the parameters, and so whose group ids they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// A process in the container's user namespace.
    Inside,
    /// The runtime.
    Host,
}

/// Low ports for a container that may have them, in a network namespace whose owner does not ask for its capability.
pub(crate) fn low_ports(spec: &Spec, sysctls: &mut Vec<Sysctl>) {
    let held = spec.process.as_ref().and_then(|process| process.capabilities.as_ref());
    let bind = Capability::from_name("NET_BIND_SERVICE");
    let may = bind.zip(held).is_some_and(|(bind, held)| held.permitted.contains(bind));
    if may && !sysctls.iter().any(|sysctl| sysctl.path == LOW_PORTS) {
        sysctls.push(Sysctl { path: LOW_PORTS.to_owned(), value: "0".to_owned() });
    }
}

/// Groups that may send echo requests: written as the container's ids, to be read as those of the writer. A range that goes
/// beyond what the container has ends where that ends: "everybody" stays everybody.
pub(crate) fn translate_ping(sysctls: &mut [Sysctl], writer: Writer, maps: &IdMaps) -> Result<()> {
    let Some(sysctl) = sysctls.iter_mut().find(|sysctl| sysctl.path == PING) else { return Ok(()) };
    let about = || format!("linux.sysctl {PING} {:?}", sysctl.value);
    let mut numbers = sysctl.value.split_whitespace().map(str::parse::<u32>);
    let (Some(Ok(first)), Some(Ok(last)), None) = (numbers.next(), numbers.next(), numbers.next())
    else {
        // The kernel's to refuse.
        return Ok(());
    };
    if first > last {
        return Ok(());
    }
    let range = maps.gid.iter().find(|range| range.contains(InnerId(first)));
    let range = range.ok_or_else(|| anyhow!("group {first} is not mapped")).with_context(about)?;
    let last = last.min(range.container_id.0 + (range.size - 1));
    let shown = |id: u32| match writer {
        Writer::Inside => id,
        // Inside of the range, both of them.
        Writer::Host => range.to_host(InnerId(id)).map_or(id, |host| host.0),
    };
    sysctl.value = format!("{} {}", shown(first), shown(last));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_kernel::HostId;
    use casemate_policy::spec::IdMapping;

    fn translated(value: &str, writer: Writer) -> Result<String> {
        let map =
            vec![IdMapping { container_id: InnerId(0), host_id: HostId(100_000), size: 65536 }];
        let maps = IdMaps { uid: map.clone(), gid: map };
        let mut list = [Sysctl { path: PING.to_owned(), value: value.to_owned() }];
        translate_ping(&mut list, writer, &maps)?;
        Ok(std::mem::take(&mut list[0].value))
    }

    #[test]
    fn the_groups_that_may_ping_are_the_containers() {
        for (asked, inside, host) in [
            ("0 0", "0 0", "100000 100000"),
            ("0 2147483647", "0 65535", "100000 165535"),
            ("0\t65535", "0 65535", "100000 165535"),
            ("1 0", "1 0", "1 0"),
        ] {
            assert_eq!(translated(asked, Writer::Inside).unwrap(), inside);
            assert_eq!(translated(asked, Writer::Host).unwrap(), host);
        }
        assert!(translated("70000 70001", Writer::Host).is_err());
    }
}
