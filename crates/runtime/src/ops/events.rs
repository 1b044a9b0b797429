//! `events`: statistics at intervals, and what the kernel reports about memory.

use crate::request::{EventsRequest, Global};
use crate::state::Container;
use crate::state::Status;
use anyhow::{anyhow, bail, Result};
use casemate_cgroup::{Cgroup, CgroupEvent, EventWatcher};
use rustix::event::{poll, PollFd, PollFlags};
use serde::Serialize;
use serde_json::Value;
use std::time::Instant;

/// One event, with its keys in the order in which runc writes them: some readers compare the beginning of the line.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// `stats` or `oom`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Of the container.
    id: &'a str,
    /// Of an event that has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

/// Call `emit` with every event until the container ends, or once with `--stats`.
///
/// # Errors
/// The container does not exist, is not running or has no cgroup; its statistics cannot be read;
/// what `emit` answers.
pub fn events(
    global: &Global,
    request: &EventsRequest,
    emit: &mut dyn FnMut(&Event<'_>) -> Result<()>,
) -> Result<()> {
    let container = Container::load(global, &request.id)?;
    if container.status()? == Status::Stopped {
        bail!("container with id {} is not running", request.id);
    }
    let open =
        || container.cgroup()?.ok_or_else(|| anyhow!("the container has no cgroup to watch"));
    let cgroup = open()?;
    if request.once {
        return emit(&stats(&request.id, &cgroup)?);
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
                        emit(&Event { kind: "oom", id: &request.id, data: None })?
                    }
                    CgroupEvent::Empty => return Ok(()),
                }
            }
        }
        if Instant::now() >= due {
            match stats(&request.id, &cgroup) {
                Ok(event) => emit(&event)?,
                // Gone between two looks.
                Err(_) if !cgroup.path().exists() => return Ok(()),
                Err(e) => return Err(e),
            }
            due += request.interval;
        }
    }
}

fn stats<'a>(id: &'a str, cgroup: &Cgroup) -> Result<Event<'a>> {
    Ok(Event { kind: "stats", id, data: Some(serde_json::to_value(cgroup.stats()?)?) })
}
