//! One fault: what stands ready is made, the command is struck, what came of it is looked at, and all is taken away again.

use super::cases::{self, Before, Case, Clean};
use super::points::{self, Point};
use super::runtime::{Runtime, Traced};
use super::trace::Fault;
use super::{host, line};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

/// What came of one fault.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The call was made, and was struck.
    pub(crate) hit: bool,
    /// The command succeeded all the same.
    pub(crate) succeeded: bool,
    pub(crate) faults: Vec<String>,
}

/// Everything that all attempts share.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) runtime: Runtime,
    pub(crate) clean: Clean,
    pub(crate) empty: BTreeSet<String>,
}

impl Lab {
    /// Learn what is right from commands that nothing is done to.
    pub(crate) fn new(runtime: Runtime) -> Self {
        let mut clean = Clean::default();
        let cycle = |clean: &mut Clean| {
            runtime.create();
            runtime.must(&["start", "ID"]);
            let pid = runtime.status().1;
            assert!(runtime.wait_for_program(pid), "the program of the clean run does not run");
            clean.posture = host::posture(pid);
            let exec = cases::ALL.iter().find(|case| case.name == "exec").expect("a case");
            clean.exec = runtime.plain(exec.words).stdout;
            assert!(clean.exec.ends_with("end\n"), "{}", clean.exec);
            runtime.must(&["delete", "--force", "ID"]);
            assert!(runtime.wait(|| !host::is_alive(pid)), "the clean run does not end");
        };
        // Twice: what the first one makes for good, such as a directory of locks, is there afterwards.
        cycle(&mut clean);
        cycle(&mut clean);
        let empty = host::inventory(&runtime.state(), &runtime.id);
        Self { runtime, clean, empty }
    }

    fn words<'a>(&self, case: &Case, bundle: &'a str, resources: &'a str) -> Vec<&'a str>
    where
        'static: 'a,
    {
        let word = |word: &&'static str| match *word {
            "BUNDLE" => bundle,
            "RESOURCES" => resources,
            word => word,
        };
        case.words.iter().map(word).collect()
    }

    /// What must be there before; the answer is init's pid.
    fn prepare(&self, before: Before) -> i32 {
        if before == Before::Nothing {
            return 0;
        }
        self.runtime.create();
        if before == Before::Created {
            return self.runtime.status().1;
        }
        self.runtime.must(&["start", "ID"]);
        let pid = self.runtime.status().1;
        assert!(self.runtime.wait_for_program(pid), "the program does not run");
        match before {
            Before::Paused => self.runtime.must(&["pause", "ID"]),
            Before::Stopped => {
                self.runtime.must(&["kill", "ID", "KILL"]);
                assert!(
                    self.runtime.wait(|| self.runtime.status().0 == "stopped"),
                    "it does not stop"
                );
            }
            _ => {}
        }
        pid
    }

    fn command(&self, case: &Case, point: Option<Point>) -> (Traced, i32) {
        let init = self.prepare(case.before);
        let bundle = self.runtime.bundle().display().to_string();
        let resources = self.runtime.work.join("resources.json").display().to_string();
        let words = self.words(case, &bundle, &resources);
        let at = point.map(|point| (point.place, point.fault));
        let also = case.init.then_some(init);
        (self.runtime.traced(&words, at, (also, case.follow)), init)
    }

    /// The calls of a clean run, or why there is none.
    pub(crate) fn calls(&self, case: &Case) -> Result<Vec<(usize, u32)>, String> {
        let (traced, init) = self.command(case, None);
        let right = case.name == "delete running";
        let result = match traced.done.ok() != right {
            false => Err(format!("{}: {}", traced.done.status, traced.done.stderr.trim())),
            true if right => Ok(()),
            true => (case.is_done)(&self.runtime, &traced.done, &self.clean, init),
        };
        self.clean_up().first().map_or(Ok(()), |left| Err(left.clone()))?;
        result.map(|()| traced.calls)
    }

    /// One fault.
    pub(crate) fn strike(&self, case: &Case, point: Point) -> Outcome {
        let (traced, init) = self.command(case, Some(point));
        let mut outcome = Outcome { hit: traced.hit.is_some(), ..Outcome::default() };
        let done = &traced.done;
        outcome.succeeded = done.ok();
        if done.hung {
            outcome.faults.push("HANG".to_owned());
        } else if done.ok() {
            // What ends at the gate or behind it is a container that was killed, whatever the command had answered before.
            let of_container =
                point.place.process != 0 && (point.fault == Fault::Kill || case.name == "create");
            let stopped = || self.runtime.wait(|| self.runtime.status().0 == "stopped");
            let result = match (case.is_done)(&self.runtime, done, &self.clean, init) {
                Err(_) if of_container && stopped() => Ok(()),
                other => other,
            };
            outcome.faults.extend(result.err().map(|what| format!("status 0, but {what}")));
        } else {
            self.look_at_failure(case, point, &traced, init, &mut outcome.faults);
        }
        outcome.faults.extend(self.clean_up());
        outcome
    }

    fn look_at_failure(
        &self,
        case: &Case,
        point: Point,
        traced: &Traced,
        init: i32,
        faults: &mut Vec<String>,
    ) {
        let done = &traced.done;
        // As itself, or as the program that it was to become.
        let killed = done.status.signal() == Some(libc::SIGKILL)
            || done.status.code() == Some(128 + libc::SIGKILL);
        if killed && point.fault == Fault::Kill {
            return;
        }
        // The C library and the language have no other way to end than a signal.
        let too_early = point.before_main && matches!(done.status.signal(), Some(6 | 11));
        if too_early {
            return;
        }
        if let Some(signal) = done.status.signal() {
            faults.push(format!("ended by signal {signal}"));
            return;
        }
        if let Err(what) = (case.is_undone)(&self.runtime, init) {
            faults.push(what);
        }
        // The line itself could not be written.
        let own = traced.hit.is_some_and(|(number, is_error)| {
            is_error && ["write", "writev"].contains(&points::name(number).as_str())
        });
        if !own {
            faults.extend(line::faults(&done.stderr));
        }
    }

    /// `delete --force`, and what is left then.
    fn clean_up(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let done = self.runtime.plain(&["delete", "--force", "ID"]);
        if !done.ok() {
            let hung = if done.hung { " HANG" } else { "" };
            faults.push(format!("delete --force:{hung} {} {:?}", done.status, done.stderr.trim()));
        }
        let state = self.runtime.state();
        let mut left = Vec::new();
        let nothing = self.runtime.wait(|| {
            left = host::inventory(&state, &self.runtime.id)
                .difference(&self.empty)
                .cloned()
                .collect();
            left.is_empty()
        });
        if !nothing {
            left.truncate(5);
            faults.push(format!("LEFT: {}", left.join(", ")));
            host::sweep(&self.empty, &state, &self.runtime.id);
        }
        faults
    }
}
