//! Ids above the range: a configuration may name any, and each gets a place of its own inside the range.
//!
//! The places are taken from ids that no distribution gives to anybody in an image (61440 to 65019): so the range stays
//! one of 65536 ids. Which one follows from the id, so that containers of a pod agree.

use crate::resolve::ids::IdMaps;
use crate::resolve::pool::ids::{Range, SIZE};
use anyhow::{bail, Result};
use casemate_kernel::{HostId, InnerId};
use casemate_policy::spec::{IdMapping, Spec};
use std::collections::{BTreeMap, BTreeSet};

const SPARE: u32 = 61440;
const SPARES: u32 = 3580;
/// A map has 340 lines (user_namespaces(7)), and each of these needs two.
const MOST: usize = 160;

/// Ids that a configuration names and a plain range does not have.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    uid: BTreeSet<u32>,
    gid: BTreeSet<u32>,
}

/// Look through the configuration: users and groups of the process, owners of devices and of new file systems.
pub(super) fn wanted(spec: &Spec) -> Wanted {
    let mut found = Wanted::default();
    if let Some(process) = &spec.process {
        found.uid.insert(process.user.uid);
        found.gid.insert(process.user.gid);
        found.gid.extend(&process.user.additional_gids);
    }
    for device in &spec.linux.devices {
        found.uid.extend(device.uid);
        found.gid.extend(device.gid);
    }
    for option in spec.mounts.iter().filter(|mount| !mount.is_bind()).flat_map(|m| &m.options) {
        match option.split_once('=') {
            // What is no number is for the file system to refuse.
            Some(("uid", id)) => found.uid.extend(id.parse::<u32>().ok()),
            Some(("gid", id)) => found.gid.extend(id.parse::<u32>().ok()),
            _ => {}
        }
    }
    found.uid.retain(|id| *id >= SIZE);
    found.gid.retain(|id| *id >= SIZE);
    found
}

impl Wanted {
    /// The maps for a range.
    pub(super) fn maps(&self, range: Range) -> Result<IdMaps> {
        Ok(IdMaps { uid: map(range.uid, &self.uid)?, gid: map(range.gid, &self.gid)? })
    }

    /// Whether these maps have all of them.
    pub(super) fn are_in(&self, maps: &IdMaps) -> bool {
        self.uid.iter().all(|id| maps.host_uid(InnerId(*id)).is_some())
            && self.gid.iter().all(|id| maps.host_gid(InnerId(*id)).is_some())
    }
}

fn map(first: u32, high: &BTreeSet<u32>) -> Result<Vec<IdMapping>> {
    if high.len() > MOST {
        bail!("user namespace: {} ids above {SIZE} are more than a map can hold", high.len());
    }
    let mut places = BTreeMap::new();
    for id in high {
        let mut place = id % SPARES;
        while places.contains_key(&place) {
            place = (place + 1) % SPARES;
        }
        places.insert(place, *id);
    }
    let (mut lines, mut next) = (Vec::new(), 0);
    let line = |inside, place, size| IdMapping {
        container_id: InnerId(inside),
        host_id: HostId(first + place),
        size,
    };
    for (place, id) in places {
        let place = SPARE + place;
        if place > next {
            lines.push(line(next, next, place - next));
        }
        lines.push(line(id, place, 1));
        next = place + 1;
    }
    lines.push(line(next, next, SIZE - next));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(high: &[u32]) -> Vec<(u32, u32, u32)> {
        let map = map(1_000_000, &high.iter().copied().collect()).unwrap();
        map.iter().map(|line| (line.container_id.0, line.host_id.0, line.size)).collect()
    }

    #[test]
    fn an_ordinary_container_has_one_line() {
        assert_eq!(lines(&[]), [(0, 1_000_000, 65536)]);
    }

    #[test]
    fn each_high_id_gets_a_place_inside_the_range() {
        let high = [1_000_660_000, 1_000_660_000 + SPARES, 4_294_967_294];
        let lines = lines(&high);
        assert_eq!(lines.iter().map(|line| line.2).sum::<u32>(), SIZE);
        let mut next = 1_000_000;
        for (container, host, size) in &lines {
            assert_eq!(*host, next);
            assert!(*container < SIZE || *size == 1);
            next += size;
        }
        for id in high {
            assert_eq!(lines.iter().filter(|line| line.0 == id).count(), 1, "{id}");
        }
        // Root and nobody are where they always are.
        assert_eq!(lines[0].1, 1_000_000);
        let last = lines.last().unwrap();
        assert_eq!(last.1 + (65534 - last.0), 1_065_534);
        assert!(map(0, &(70_000..70_200).collect()).is_err());
    }
}
