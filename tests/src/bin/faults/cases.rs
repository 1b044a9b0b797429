//! The commands that are tried: what stands ready before each, and what must be true when it says that it has succeeded.

use super::runtime::{Done, Runtime};
use super::{host, line};

/// What must be there before the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Created,
    Running,
    Paused,
    Stopped,
}

/// One command.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) words: &'static [&'static str],
    pub(crate) before: Before,
    /// The container's first process, which waits at the gate, is struck as well.
    pub(crate) init: bool,
    /// Strike what runs on when the command has ended.
    pub(crate) follow: bool,
    /// Whether the thing that was asked for is so; the pid is init's before the command.
    pub(crate) is_done: fn(&Runtime, &Done, &Clean, i32) -> Result<(), String>,
    /// Nothing else may be so when it has failed.
    pub(crate) is_undone: fn(&Runtime, i32) -> Result<(), String>,
}

/// What the same commands gave when nothing was struck.
#[derive(Debug, Default)]
pub(crate) struct Clean {
    pub(crate) posture: String,
    pub(crate) exec: String,
}

/// What an added process says of itself.
const EXEC: &str = "grep -E '^(NoNewPrivs|Seccomp|Cap|Uid|Gid|Groups)' /proc/self/status; \
    cat /proc/self/cgroup /proc/self/oom_score_adj /proc/self/limits; \
    for n in mnt pid net ipc uts cgroup user; do \
    [ \"$(readlink /proc/self/ns/$n)\" = \"$(readlink /proc/1/ns/$n)\" ] && echo same $n; done; echo end";

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, seen: T, wanted: T) -> Result<(), String> {
    (seen == wanted).then_some(()).ok_or_else(|| format!("{what} is {seen:?}, not {wanted:?}"))
}

/// It runs, and is held as in the clean run.
fn runs(runtime: &Runtime, clean: &Clean) -> Result<(), String> {
    let (status, pid) = runtime.status();
    equal("status", status.as_str(), "running")?;
    if !runtime.wait_for_program(pid) {
        return Err("its program does not run".to_owned());
    }
    held(pid, clean)
}

pub(crate) fn held(pid: i32, clean: &Clean) -> Result<(), String> {
    match host::difference(&clean.posture, &host::posture(pid)) {
        None => Ok(()),
        Some(what) => Err(format!("POSTURE: it {what}")),
    }
}

fn created(runtime: &Runtime, _: &Done, clean: &Clean, _: i32) -> Result<(), String> {
    equal("status", runtime.status().0.as_str(), "created")?;
    let start = runtime.plain(&["start", "ID"]);
    if !start.ok() {
        return Err(format!("it cannot be started: {}", start.stderr.trim()));
    }
    runs(runtime, clean)
}

fn running(runtime: &Runtime, _: &Done, clean: &Clean, _: i32) -> Result<(), String> {
    runs(runtime, clean)
}

fn executed(_: &Runtime, done: &Done, clean: &Clean, _: i32) -> Result<(), String> {
    match host::difference(&clean.exec, &done.stdout) {
        None => Ok(()),
        Some(what) => Err(format!("POSTURE of exec: it {what}")),
    }
}

fn told(runtime: &Runtime, done: &Done, _: &Clean, pid: i32) -> Result<(), String> {
    let state: serde_json::Value =
        serde_json::from_str(&done.stdout).map_err(|error| format!("no JSON: {error}"))?;
    equal("status", state["status"].as_str(), Some("running"))?;
    equal("id", state["id"].as_str(), Some(runtime.id.as_str()))?;
    equal("pid", state["pid"].as_i64(), Some(i64::from(pid)))
}

fn listed(runtime: &Runtime, done: &Done, _: &Clean, pid: i32) -> Result<(), String> {
    let list: serde_json::Value =
        serde_json::from_str(&done.stdout).map_err(|error| format!("no JSON: {error}"))?;
    equal("id", list[0]["id"].as_str(), Some(runtime.id.as_str()))?;
    // One container that cannot be looked at does not hide the others, and is told of.
    if list[0]["status"] == "unreadable" && line::faults(&done.stderr).is_empty() {
        return Ok(());
    }
    equal("status", list[0]["status"].as_str(), Some("running"))?;
    equal("pid", list[0]["pid"].as_i64(), Some(i64::from(pid)))
}

fn ended(runtime: &Runtime, _: &Done, _: &Clean, pid: i32) -> Result<(), String> {
    let gone = runtime.wait(|| !host::is_alive(pid));
    gone.then_some(()).ok_or_else(|| "its process runs on".to_owned())
}

fn gone(runtime: &Runtime, _: &Done, _: &Clean, pid: i32) -> Result<(), String> {
    if runtime.state().join(&runtime.id).exists() {
        return Err("its state is still there".to_owned());
    }
    if host::cgroup(&runtime.id).exists() {
        return Err("its cgroup is still there".to_owned());
    }
    let gone = pid == 0 || runtime.wait(|| !host::is_alive(pid));
    gone.then_some(()).ok_or_else(|| "its process runs on".to_owned())
}

/// Without --force a container that runs stays.
fn refused(_: &Runtime, _: &Done, _: &Clean, _: i32) -> Result<(), String> {
    Err("a running container was deleted without --force".to_owned())
}

fn untouched(runtime: &Runtime, pid: i32) -> Result<(), String> {
    equal("state after a failure", runtime.status(), ("running".to_owned(), pid))
}

fn updated(runtime: &Runtime, _: &Done, _: &Clean, _: i32) -> Result<(), String> {
    equal("the limit", runtime.depth().as_str(), "5")
}

fn not_updated(runtime: &Runtime, pid: i32) -> Result<(), String> {
    untouched(runtime, pid)?;
    equal("the limit after a failure", runtime.depth().as_str(), "max")
}

fn frozen(runtime: &Runtime, _: &Done, _: &Clean, _: i32) -> Result<(), String> {
    equal("frozen", runtime.is_frozen(), true)
}

fn not_frozen(runtime: &Runtime, _: i32) -> Result<(), String> {
    equal("frozen after a failure", runtime.is_frozen(), false)
}

fn thawed(runtime: &Runtime, _: &Done, _: &Clean, _: i32) -> Result<(), String> {
    equal("frozen", runtime.is_frozen(), false)
}

fn shown(_: &Runtime, done: &Done, _: &Clean, pid: i32) -> Result<(), String> {
    let list: Vec<i32> =
        serde_json::from_str(&done.stdout).map_err(|error| format!("no list: {error}"))?;
    equal("the list", list, vec![pid])
}

fn counted(runtime: &Runtime, done: &Done, _: &Clean, _: i32) -> Result<(), String> {
    let event: serde_json::Value =
        serde_json::from_str(&done.stdout).map_err(|error| format!("no JSON: {error}"))?;
    equal("id", event["id"].as_str(), Some(runtime.id.as_str()))
}

/// Anything may be so.
fn anything(_: &Runtime, _: i32) -> Result<(), String> {
    Ok(())
}

/// A failure left nothing, even before `delete --force`.
fn nothing_made(runtime: &Runtime, _: i32) -> Result<(), String> {
    if runtime.state().join(&runtime.id).exists() {
        return Err("a failure left its state directory".to_owned());
    }
    let gone = runtime.wait(|| !host::cgroup(&runtime.id).exists());
    gone.then_some(()).ok_or_else(|| "a failure left its cgroup".to_owned())
}

macro_rules! case {
    ($name:literal, $words:expr, $before:ident, $done:ident, $undone:ident) => {
        case!($name, $words, $before, $done, $undone, false, false)
    };
    ($name:literal, $words:expr, $before:ident, $done:ident, $undone:ident, $init:literal, $follow:literal) => {
        Case {
            name: $name,
            words: $words,
            before: Before::$before,
            init: $init,
            follow: $follow,
            is_done: $done,
            is_undone: $undone,
        }
    };
}

pub(crate) const ALL: &[Case] = &[
    case!("create", &["create", "--bundle", "BUNDLE", "ID"], Nothing, created, nothing_made),
    case!("start", &["start", "ID"], Created, running, anything, true, true),
    case!(
        "run",
        &["run", "--detach", "--bundle", "BUNDLE", "ID"],
        Nothing,
        running,
        nothing_made,
        false,
        true
    ),
    case!(
        "exec",
        &["exec", "ID", "/bin/sh", "-c", EXEC],
        Running,
        executed,
        untouched,
        false,
        true
    ),
    case!("state", &["state", "ID"], Running, told, untouched),
    case!("list", &["list", "--format", "json"], Running, listed, untouched),
    case!("kill", &["kill", "ID", "KILL"], Running, ended, anything),
    case!("delete", &["delete", "ID"], Stopped, gone, anything),
    case!("delete running", &["delete", "ID"], Running, refused, untouched),
    case!("delete --force", &["delete", "--force", "ID"], Running, gone, anything),
    case!("update", &["update", "--resources", "RESOURCES", "ID"], Running, updated, not_updated),
    case!("pause", &["pause", "ID"], Running, frozen, not_frozen),
    case!("resume", &["resume", "ID"], Paused, thawed, anything),
    case!("ps", &["ps", "--format", "json", "ID"], Running, shown, untouched),
    case!("events", &["events", "--stats", "ID"], Running, counted, untouched),
];
