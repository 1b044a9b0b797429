//! The commands: one row each, from which help, man pages and completions are made, and parsing but for `quick`.

use super::exec::ExecArgs;
use super::inspect::{AuditArgs, CompareArgs, HostCheckArgs, WhyArgs};
use super::lifecycle::{CreateOnlyArgs, DeleteArgs, IdArgs, KillArgs, RunArgs};
use super::observe::{EventsArgs, ExplainArgs, FeaturesArgs, ListArgs, PsArgs, SpecArgs};
use super::policy::PolicyArgs;
use super::scan::FlagsEnd;
use super::update::UpdateArgs;
use clap::{ArgMatches, Args, FromArgMatches};

/// What was asked for, with its flags.
#[derive(Debug)]
pub(crate) enum Asked {
    Create(CreateOnlyArgs),
    Run(RunArgs),
    Start(IdArgs),
    Exec(ExecArgs),
    Kill(KillArgs),
    Delete(DeleteArgs),
    State(IdArgs),
    List(ListArgs),
    Ps(PsArgs),
    Pause(IdArgs),
    Resume(IdArgs),
    Update(UpdateArgs),
    Events(EventsArgs),
    Spec(SpecArgs),
    Features(FeaturesArgs),
    Explain(ExplainArgs),
    Audit(AuditArgs),
    Why(WhyArgs),
    Compare(CompareArgs),
    HostCheck(HostCheckArgs),
    Policy(PolicyArgs),
}

/// How many positionals a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arity {
    Exactly(usize),
    AtLeast(usize),
    Between(usize, usize),
}

impl Arity {
    pub(crate) fn takes(self, count: usize) -> bool {
        match self {
            Exactly(wanted) => count == wanted,
            AtLeast(least) => count >= least,
            Between(least, most) => (least..=most).contains(&count),
        }
    }
}

/// Headings of the command list in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Life,
    Inside,
    Inspect,
    Bundle,
}

impl Group {
    pub(crate) const ALL: [Group; 4] = [Group::Life, Group::Inside, Group::Inspect, Group::Bundle];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Group::Life => "Life of a container",
            Group::Inside => "While it runs",
            Group::Inspect => "Looking at containers",
            Group::Bundle => "Bundles and casemate itself",
        }
    }
}

/// One command.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    /// One line, without a full stop.
    pub(crate) about: &'static str,
    /// Examples and remarks, printed below the flags.
    pub(crate) more: &'static str,
    pub(crate) arity: Arity,
    pub(crate) flags_end: FlagsEnd,
    define: fn(clap::Command) -> clap::Command,
    read: fn(&ArgMatches) -> Result<Asked, clap::Error>,
}

impl std::fmt::Debug for Verb {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Verb({})", self.name)
    }
}

impl Verb {
    /// The clap definition of this command alone: building all of them would cost every start.
    pub(crate) fn command(&self) -> clap::Command {
        // The texts come last: the arguments' type brings its own comment along.
        (self.define)(clap::Command::new(self.name)).about(self.about).after_help(self.more)
    }

    /// Reads what clap matched.
    pub(crate) fn read(&self, matches: &ArgMatches) -> Result<Asked, clap::Error> {
        (self.read)(matches)
    }

    /// The command of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Verb> {
        VERBS.iter().find(|verb| verb.name == name)
    }
}

/// A row; the arguments' type and the variant decide the rest.
const fn verb<A: Args>(
    name: &'static str,
    group: Group,
    about: &'static str,
    arity: Arity,
    read: fn(&ArgMatches) -> Result<Asked, clap::Error>,
) -> Verb {
    let define = A::augment_args;
    Verb { name, group, about, more: "", arity, flags_end: FlagsEnd::Never, define, read }
}

impl Verb {
    const fn flags_end_after_id(mut self) -> Self {
        self.flags_end = FlagsEnd::AfterFirst;
        self
    }

    const fn more(mut self, more: &'static str) -> Self {
        self.more = more;
        self
    }
}

use Arity::{AtLeast, Between, Exactly};

/// All commands, in the order of the help.
pub(crate) static VERBS: [Verb; 21] = [
    verb::<CreateOnlyArgs>(
        "create",
        Group::Life,
        "Make a container from a bundle and stop just before its program",
        Exactly(1),
        |matches| CreateOnlyArgs::from_arg_matches(matches).map(Asked::Create),
    )
    .more(CREATE_MORE),
    verb::<IdArgs>(
        "start",
        Group::Life,
        "Start the program of a created container",
        Exactly(1),
        |matches| IdArgs::from_arg_matches(matches).map(Asked::Start),
    ),
    verb::<RunArgs>(
        "run",
        Group::Life,
        "Create and start a container, wait for it and delete it",
        Exactly(1),
        |matches| RunArgs::from_arg_matches(matches).map(Asked::Run),
    )
    .more(RUN_MORE),
    verb::<KillArgs>(
        "kill",
        Group::Life,
        "Send a signal to a container",
        Between(1, 2),
        |matches| KillArgs::from_arg_matches(matches).map(Asked::Kill),
    )
    .flags_end_after_id()
    .more(KILL_MORE),
    verb::<DeleteArgs>(
        "delete",
        Group::Life,
        "Remove a stopped container and all that belongs to it",
        Exactly(1),
        |matches| DeleteArgs::from_arg_matches(matches).map(Asked::Delete),
    ),
    verb::<ExecArgs>(
        "exec",
        Group::Inside,
        "Run another process inside a container",
        AtLeast(1),
        |matches| ExecArgs::from_arg_matches(matches).map(Asked::Exec),
    )
    .flags_end_after_id()
    .more(EXEC_MORE),
    verb::<IdArgs>(
        "pause",
        Group::Inside,
        "Freeze all processes of a container",
        Exactly(1),
        |matches| IdArgs::from_arg_matches(matches).map(Asked::Pause),
    ),
    verb::<IdArgs>("resume", Group::Inside, "Thaw a paused container", Exactly(1), |matches| {
        IdArgs::from_arg_matches(matches).map(Asked::Resume)
    }),
    verb::<UpdateArgs>(
        "update",
        Group::Inside,
        "Change the resource limits of a container",
        Exactly(1),
        |matches| UpdateArgs::from_arg_matches(matches).map(Asked::Update),
    )
    .more(UPDATE_MORE),
    verb::<IdArgs>(
        "state",
        Group::Inspect,
        "Print the state of a container as JSON",
        Exactly(1),
        |matches| IdArgs::from_arg_matches(matches).map(Asked::State),
    ),
    verb::<ListArgs>(
        "list",
        Group::Inspect,
        "List the containers of this state directory",
        Exactly(0),
        |matches| ListArgs::from_arg_matches(matches).map(Asked::List),
    ),
    verb::<PsArgs>(
        "ps",
        Group::Inspect,
        "Show the processes of a container",
        AtLeast(1),
        |matches| PsArgs::from_arg_matches(matches).map(Asked::Ps),
    )
    .flags_end_after_id()
    .more(PS_MORE),
    verb::<EventsArgs>(
        "events",
        Group::Inspect,
        "Print resource statistics and out-of-memory events, one JSON object per line",
        Exactly(1),
        |matches| EventsArgs::from_arg_matches(matches).map(Asked::Events),
    ),
    verb::<SpecArgs>(
        "spec",
        Group::Bundle,
        "Write a config.json to begin with",
        Exactly(0),
        |matches| SpecArgs::from_arg_matches(matches).map(Asked::Spec),
    )
    .more(SPEC_MORE),
    verb::<ExplainArgs>(
        "explain",
        Group::Bundle,
        "Say what would be done with a bundle and why, without doing it",
        Between(0, 1),
        |matches| ExplainArgs::from_arg_matches(matches).map(Asked::Explain),
    )
    .more(EXPLAIN_MORE),
    verb::<AuditArgs>(
        "audit",
        Group::Inspect,
        "Show what is in force in a bundle or a container, and who decided",
        Between(0, 1),
        |matches| AuditArgs::from_arg_matches(matches).map(Asked::Audit),
    )
    .more(AUDIT_MORE),
    verb::<WhyArgs>(
        "why",
        Group::Inspect,
        "Say why a container was refused or ended, and what to paste",
        Exactly(1),
        |matches| WhyArgs::from_arg_matches(matches).map(Asked::Why),
    )
    .more(WHY_MORE),
    verb::<CompareArgs>(
        "compare",
        Group::Inspect,
        "Show what would change for a container of runc or crun",
        Exactly(1),
        |matches| CompareArgs::from_arg_matches(matches).map(Asked::Compare),
    )
    .more(COMPARE_MORE),
    verb::<HostCheckArgs>(
        "host-check",
        Group::Bundle,
        "Say what this host can enforce, and whether an engine is set up to use casemate",
        Exactly(0),
        |matches| HostCheckArgs::from_arg_matches(matches).map(Asked::HostCheck),
    )
    .more(HOST_CHECK_MORE),
    verb::<PolicyArgs>(
        "policy",
        Group::Bundle,
        "Show the node's policy and the controls, check or add policy files",
        Between(1, 2),
        |matches| PolicyArgs::from_arg_matches(matches).map(Asked::Policy),
    )
    .more(POLICY_MORE),
    verb::<FeaturesArgs>(
        "features",
        Group::Bundle,
        "Print what this binary supports, as JSON of the runtime specification",
        Exactly(0),
        |matches| FeaturesArgs::from_arg_matches(matches).map(Asked::Features),
    ),
];

const POLICY_MORE: &str = "\
Examples:
  casemate policy show                     profile, controls, overrides that may be asked for
  casemate policy check                    the node's files, and who may write them
  casemate policy check ./policy.toml      a file before it is put in place
  casemate policy permit devices.gpu       annotations may ask for it: policy.d/50-devices.gpu.toml
  casemate policy simulate                 before an update: what would become of running containers

The exit status of simulate is 1 if a running container would be refused.";

const CREATE_MORE: &str = "\
Example:
  casemate create --bundle /var/lib/web --pid-file /run/web.pid web && casemate start web

A bundle whose process wants a terminal needs --console-socket here.";

const RUN_MORE: &str = "\
Examples:
  casemate run web                       the bundle in the working directory
  casemate run -d --pid-file web.pid web in the background; remove it with 'delete'

The exit status is that of the container's process, or 128 plus the signal that ended it.";

const KILL_MORE: &str = "\
Examples:
  casemate kill web           SIGTERM
  casemate kill web KILL
  casemate kill --all web 9";

const EXEC_MORE: &str = "\
Examples:
  casemate exec --tty web sh
  casemate exec --user 1000:1000 --env TERM=xterm web id
  casemate exec --process process.json --detach --pid-file p.pid web

The exit status is that of the process, or 128 plus the signal that ended it; 255 if it could not
be run.";

const UPDATE_MORE: &str = "\
Examples:
  casemate update --memory 512m --pids-limit 100 web
  casemate update --resources - web < resources.json

What is not named keeps its value.";

const PS_MORE: &str = "\
Examples:
  casemate ps web
  casemate ps web -o pid,user,args
  casemate ps --format json web";

const SPEC_MORE: &str = "\
Example, a bundle from nothing but a busybox:
  mkdir -p bundle/rootfs/bin && cp /bin/busybox bundle/rootfs/bin/sh
  casemate spec --bundle bundle && casemate run --bundle bundle demo

The file describes the bundle as it is handed over; 'casemate explain' shows what hardening makes
of it.";

const EXPLAIN_MORE: &str = "\
Examples:
  casemate explain --bundle /var/lib/web
  casemate explain web                       # the container of that name, even if it has gone
  docker inspect web | casemate explain --brief --inspect -
  casemate --profile privileged explain --bundle /var/lib/web --format json";

const HOST_CHECK_MORE: &str = "\
Examples:
  casemate host-check
  casemate host-check --engine podman --engine docker

The exit status is 1 if something is missing without which containers, or the engine's, do not
run. Nothing is changed.";

const AUDIT_MORE: &str = "\
Examples:
  casemate audit web                               a container, as the kernel has it now
  casemate audit ./bundle --standard cis           what would be made of a bundle
  casemate audit --all                             who on this host runs with what
  casemate audit --score web                       how exposed it is, from 0 to 10
  casemate --profile restricted audit ./bundle --fail-on high
  casemate audit --pid 4711                        a process, whoever made it
  casemate audit ./bundle --format sarif > casemate.sarif

The exit status is 0, 1 if it could not be looked at, or 2 with --fail-on and a finding of that
level; with --all also 2 if something does not hold that should. An override is a finding: it is
shown with who allowed it.";

const WHY_MORE: &str = "\
Examples:
  casemate why web          by its engine's name, even if it has gone or was never made
  casemate why 4f5c0ad1

It says what is known: the exit status where the engine has kept it, what the container asked for
and was not given, and the overrides for that as they are pasted for its engine.";

const COMPARE_MORE: &str = "\
Examples:
  casemate compare 4f5c0ad1
  casemate --profile restricted compare --runtime-root /run/crun web

Nothing is changed, neither in the container nor in the other runtime's files.";
