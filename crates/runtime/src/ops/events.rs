//! `events`: statistics at intervals, and what the kernel reports about memory.

use super::Container;
use crate::request::{EventsRequest, Global};
use crate::state::Status;
use anyhow::{anyhow, bail, Result};
use casemate_cgroup::{Cgroup, CgroupEvent, EventWatcher};
use rustix::event::{poll, PollFd, PollFlags};
use serde_json::{json, Value};
use std::time::Instant;

/// Call `emit` with every event until the container ends, or once with `--stats`.
pub fn events(
    global: &Global,
    request: &EventsRequest,
    emit: &mut dyn FnMut(Value) -> Result<()>,
) -> Result<()> {
    let container = Container::load(global, &request.id)?;
    if container.status()? == Status::Stopped {
        bail!("container with id {} is not running", request.id);
    }
    let open =
        || container.cgroup()?.ok_or_else(|| anyhow!("the container has no cgroup to watch"));
    let cgroup = open()?;
    if request.once {
        return emit(stats(&request.id, &cgroup)?);
    }
    let mut watcher = EventWatcher::new(open()?)?;
    let mut due = Instant::now() + request.interval;
    loop {
        let wait = due.saturating_duration_since(Instant::now());
        let spec = rustix::event::Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: wait.subsec_nanos().into(),
        };
        let woken = rustix::io::retry_on_intr(|| {
            poll(&mut [PollFd::new(&watcher, PollFlags::IN)], Some(&spec))
        })?;
        if woken > 0 {
            for event in watcher.read()? {
                match event {
                    CgroupEvent::OomKill { .. } => {
                        emit(json!({"type": "oom", "id": request.id, "data": null}))?
                    }
                    CgroupEvent::Empty => return Ok(()),
                }
            }
        }
        if Instant::now() >= due {
            match stats(&request.id, &cgroup) {
                Ok(value) => emit(value)?,
                // Gone between two looks.
                Err(_) if !cgroup.path().exists() => return Ok(()),
                Err(e) => return Err(e),
            }
            due += request.interval;
        }
    }
}

fn stats(id: &str, cgroup: &Cgroup) -> Result<Value> {
    Ok(json!({"type": "stats", "id": id, "data": cgroup.stats()?}))
}
