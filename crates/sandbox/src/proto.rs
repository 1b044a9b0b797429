//! The protocol between the parent and the process it launches: frames on a SOCK_SEQPACKET pair.
//!
//! | phase   | child sends      | parent answers | when                                                       |
//! |---------|------------------|----------------|------------------------------------------------------------|
//! | launch  |                  | `Moved`        | only [`crate::Placement::Moved`]: to the go-between    |
//! | launch  | `Process` n + fd |                | from a go-between: with `Moved`, and exec without privilege |
//! | launch  |                  | `Known`        | after `Process`: to that process, which is silent before   |
//! | map     |                  | `Mapped`       | only `UserNamespace::EnterFirst`: the id maps are written  |
//! | build   | `Console` + fd   |                | only with a terminal: the pty's master                     |
//! | build   | `TreeBuilt`      | `HooksDone`    | only with prestart or createRuntime hooks                  |
//! | confine | `Listener` n     | `Taken`        | only with a notifying filter: descriptor number to copy    |
//! | ready   | `Ready`          | `Commit`       | always; the parent has read the state back and recorded it |
//! | start   |                  | `Start`        | only `Gate::Channel`; else `start` connects, and brings the status |
//! | any     | `Failed`         |                | the child ends                                             |
//!
//! End of file after `Start` is success: the descriptor was close-on-exec. The parent knows from the plan which
//! requests may come, and [`Expected`] refuses every other one: a child that was taken over cannot ask for more.

use crate::failure::{Failure, StepResult};
use casemate_sys::socket;
use rustix::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Largest frame: an error message with room to spare.
const MAX_FRAME: usize = 8 * 1024;

/// What the child says.
#[derive(Debug)]
pub enum FromChild {
    /// The pty's master.
    Console(OwnedFd),
    /// Mounts are done, the root is not yet pivoted: run prestart and createRuntime hooks.
    TreeBuilt,
    /// The notification descriptor's number in the child.
    Listener(i32),
    /// Everything is set but what happens after the gate.
    Ready,
    /// The process that was asked for: its pid as the sender sees it, and a pidfd.
    Process(i32, OwnedFd),
    /// A step failed; the child ends.
    Failed(Failure),
    /// The channel is closed: executed, or dead.
    Closed,
}

/// What the parent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromParent {
    /// The go-between is in the cgroup.
    Moved = b'g' as isize,
    /// The parent has heard of the process that a go-between made.
    Known = b'k' as isize,
    /// Id maps are written.
    Mapped = b'm' as isize,
    /// Hooks have run.
    HooksDone = b'h' as isize,
    /// The notification descriptor is taken.
    Taken = b't' as isize,
    /// Recorded: wait at the gate.
    Commit = b'c' as isize,
    /// Go.
    Start = b's' as isize,
}

/// Send an answer to the child.
///
/// # Errors
/// The child is gone: EPIPE.
pub fn tell_child(fd: impl AsFd, word: FromParent) -> StepResult<()> {
    Ok(socket::send(fd, &[word as u8], &[])?)
}

/// The child waits for exactly this word; the end of the channel means that the parent is gone.
///
/// # Errors
/// The parent is gone, said another word, or the channel cannot be read.
pub fn await_parent(fd: impl AsFd, word: FromParent) -> StepResult<()> {
    let mut buf = [0u8; 8];
    // read(2) rather than recvmsg(2): a filter may already be in force.
    let n = rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut buf))
        .map_err(|e| casemate_sys::Error::new("read(channel)", e))?;
    if n == 1 && buf[0] == word as u8 {
        Ok(())
    } else {
        Err(Failure::new(
            "protocol",
            format!("the runtime went away while the container waited for {word:?}"),
        ))
    }
}

/// The same of `Start` by a connection to the gate, and the descriptor that goes along. No filter is in force.
///
/// # Errors
/// The connection was closed without the word, or cannot be read.
pub fn await_start(fd: impl AsFd) -> StepResult<Option<OwnedFd>> {
    let mut buf = [0u8; 8];
    let (n, fds) = socket::receive(&fd, &mut buf)?;
    match n == 1 && buf[0] == FromParent::Start as u8 {
        true => Ok(fds.into_iter().next()),
        false => Err(Failure::new("protocol", "whoever came to the gate did not start anything")),
    }
}

/// `start`: open the gate, and hand over the container's own /proc/PID/status.
///
/// # Errors
/// EPIPE: nobody is behind the gate any more.
pub fn start_child(gate: impl AsFd, status: impl AsFd) -> StepResult<()> {
    Ok(socket::send(gate, &[FromParent::Start as u8], &[status.as_fd()])?)
}

/// Write one frame of the child. write(2) rather than sendmsg(2) where no descriptor goes along: a filter may already
/// be in force.
fn write_frame(fd: impl AsFd, frame: &[u8]) -> StepResult<()> {
    let sent = rustix::io::retry_on_intr(|| rustix::io::write(&fd, frame))
        .map_err(|e| casemate_sys::Error::new("write(channel)", e))?;
    if sent == frame.len() {
        Ok(())
    } else {
        Err(Failure::new("protocol", format!("{sent} of {} bytes were sent", frame.len())))
    }
}

/// The child's side: hand the pty's master over.
///
/// # Errors
/// The parent is gone: EPIPE.
pub fn send_console(fd: impl AsFd, master: impl AsFd) -> StepResult<()> {
    Ok(socket::send(fd, b"C", &[master.as_fd()])?)
}

/// The child's side: the tree stands.
///
/// # Errors
/// The parent is gone: EPIPE.
pub fn send_tree_built(fd: impl AsFd) -> StepResult<()> {
    write_frame(fd, b"T")
}

/// The child's side: the notification descriptor is number `raw` here.
///
/// # Errors
/// The parent is gone: EPIPE.
pub fn send_listener(fd: impl AsFd, raw: i32) -> StepResult<()> {
    let mut frame = [b'L', 0, 0, 0, 0];
    frame[1..].copy_from_slice(&raw.to_le_bytes());
    write_frame(fd, &frame)
}

/// A go-between hands over the process that it made.
///
/// # Errors
/// The parent is gone: EPIPE.
pub fn send_process(fd: impl AsFd, pid: i32, pidfd: impl AsFd) -> StepResult<()> {
    let mut frame = [b'P', 0, 0, 0, 0];
    frame[1..].copy_from_slice(&pid.to_le_bytes());
    Ok(socket::send(fd, &frame, &[pidfd.as_fd()])?)
}

/// The child's side: ready.
///
/// # Errors
/// The parent is gone: EPIPE.
pub fn send_ready(fd: impl AsFd) -> StepResult<()> {
    write_frame(fd, b"R")
}

/// The child's side: failed. Errors of the sending itself have nowhere to go.
pub fn send_failure(fd: impl AsFd, failure: &Failure) {
    drop(write_frame(fd, &encode(failure)));
}

fn encode(failure: &Failure) -> Vec<u8> {
    let hint = failure.hint.as_deref().unwrap_or_default();
    let mut frame =
        Vec::with_capacity(16 + failure.step.len() + hint.len() + failure.message.len());
    frame.push(b'F');
    frame.extend_from_slice(&failure.errno.to_le_bytes());
    for short in [&failure.step, hint] {
        let short = &short.as_bytes()[..short.len().min(255)];
        frame.push(short.len() as u8);
        frame.extend_from_slice(short);
    }
    let room = MAX_FRAME - frame.len();
    frame.extend_from_slice(&failure.message.as_bytes()[..failure.message.len().min(room)]);
    frame
}

fn decode(body: &[u8]) -> Option<Failure> {
    // Four bytes are an array of four.
    let errno = i32::from_le_bytes(body.get(..4)?.try_into().ok()?);
    let (step, rest) = short(body.get(4..)?)?;
    let (hint, message) = short(rest)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let hint = Some(text(hint)).filter(|hint| !hint.is_empty());
    Some(Failure { step: text(step), message: text(message), hint, errno })
}

/// A text with its length in front, and what is behind.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// How long the other side may take for a step, in seconds, on top of what its hooks are given. Far above what a loaded machine
/// needs: it is for two who wait for each other.
pub const STEP_SECONDS: u64 = 120;

/// The time for a step in which the other side runs hooks with these timeouts, in seconds; `None`: one of them (0) may take as
/// long as it wants.
pub fn limit(hooks: impl IntoIterator<Item = u64>) -> Option<Duration> {
    let add = |sum: u64, seconds| (seconds > 0).then(|| sum.saturating_add(seconds));
    hooks.into_iter().try_fold(STEP_SECONDS, add).map(Duration::from_secs)
}

/// The parent's side: the next frame, which comes within `limit` or never.
///
/// # Errors
/// Nothing came within `limit`, the frame is malformed, or the channel cannot be read. That the
/// child failed or is gone is a [`FromChild`].
pub fn receive_within(fd: impl AsFd, limit: Option<Duration>) -> StepResult<FromChild> {
    let Some(limit) = limit else { return receive(fd) };
    if casemate_sys::fd::readable(&fd, limit)? {
        return receive(fd);
    }
    let seconds = limit.as_secs();
    let text = format!("no answer from the container's side within {seconds} s (is it paused?)");
    Err(Failure::new("protocol", text))
}

fn receive(fd: impl AsFd) -> StepResult<FromChild> {
    let mut buf = [0u8; MAX_FRAME];
    let (n, mut fds) = socket::receive(fd, &mut buf)?;
    let malformed = || Failure::new("protocol", "malformed frame from the container's side");
    match buf[..n].split_first() {
        None => Ok(FromChild::Closed),
        Some((b'C', [])) => fds.pop().map(FromChild::Console).ok_or_else(malformed),
        Some((b'T', [])) => Ok(FromChild::TreeBuilt),
        Some((b'L', raw)) => {
            Ok(FromChild::Listener(i32::from_le_bytes(raw.try_into().map_err(|_| malformed())?)))
        }
        Some((b'R', [])) => Ok(FromChild::Ready),
        Some((b'P', raw)) => match (raw.try_into().map(i32::from_le_bytes), fds.pop()) {
            (Ok(pid), Some(pidfd)) => Ok(FromChild::Process(pid, pidfd)),
            _ => Err(malformed()),
        },
        Some((b'F', body)) => Ok(FromChild::Failed(decode(body).ok_or_else(malformed)?)),
        Some(_) => Err(malformed()),
    }
}

/// The requests that the plan announces, each once and in phase order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// A terminal was asked for.
    pub console: bool,
    /// Hooks are to be run by the parent.
    pub tree_built: bool,
    /// A filter notifies.
    pub listener: bool,
}

impl Expected {
    /// Whether this frame may come now; notes that it came.
    ///
    /// # Errors
    /// The frame was not announced by the plan, or comes a second time or too early.
    pub fn admit(&mut self, frame: &FromChild) -> StepResult<()> {
        let allowed = match frame {
            FromChild::Console(_) => std::mem::take(&mut self.console),
            FromChild::TreeBuilt => std::mem::take(&mut self.tree_built),
            FromChild::Listener(_) => !self.tree_built && std::mem::take(&mut self.listener),
            FromChild::Ready => !self.console && !self.tree_built && !self.listener,
            FromChild::Failed(_) | FromChild::Closed => true,
            // Only the launch of an exec'd process reads these, before it asks here.
            FromChild::Process(..) => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(Failure::new(
                "protocol",
                format!("unannounced request from the container's side: {frame:?}"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_crosses_the_process_boundary_whole() {
        let (a, b) = socket::pair().unwrap();
        let plain = Failure {
            step: "mount".into(),
            message: "mounts[0] /proc: no".into(),
            hint: None,
            errno: 22,
        };
        for failure in [plain.clone().with_hint("another one"), plain] {
            send_failure(&a, &failure);
            match receive(&b).unwrap() {
                FromChild::Failed(got) => assert_eq!(got, failure),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_long_message_is_cut_not_lost() {
        let failure = Failure::new("x", "y".repeat(MAX_FRAME * 2));
        let frame = encode(&failure);
        assert_eq!(frame.len(), MAX_FRAME);
        assert!(decode(&frame[1..]).unwrap().message.starts_with("yyy"));
    }

    #[test]
    fn a_request_that_the_plan_did_not_announce_is_refused() {
        let mut none = Expected::default();
        assert!(none.admit(&FromChild::TreeBuilt).is_err());
        assert!(none.admit(&FromChild::Listener(3)).is_err());
        assert!(none.admit(&FromChild::Ready).is_ok());
        let mut hooks = Expected { tree_built: true, ..Expected::default() };
        assert!(hooks.admit(&FromChild::Ready).is_err());
        assert!(hooks.admit(&FromChild::TreeBuilt).is_ok());
        assert!(hooks.admit(&FromChild::TreeBuilt).is_err());
        assert!(hooks.admit(&FromChild::Ready).is_ok());
    }

    #[test]
    fn hooks_have_their_time_on_top_and_one_without_a_limit_takes_it_away() {
        assert_eq!(limit([]), Some(Duration::from_secs(STEP_SECONDS)));
        assert_eq!(limit([5, u64::MAX]), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(limit([5, 0, 7]), None);
    }

    #[test]
    fn a_side_that_says_nothing_is_not_waited_for_for_ever() {
        let (_a, b) = socket::pair().unwrap();
        let failure = receive_within(&b, Some(Duration::ZERO)).unwrap_err();
        assert!(failure.message.contains("within 0 s"), "{}", failure.message);
    }

    #[test]
    fn the_end_of_the_channel_is_seen() {
        let (a, b) = socket::pair().unwrap();
        drop(a);
        assert!(matches!(receive(&b).unwrap(), FromChild::Closed));
    }
}
