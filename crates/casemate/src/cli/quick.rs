//! The commands that make, enter and remove containers, read without clap.
//!
//! Building clap's definitions and matching against them is half of what `exec` executes outside of the kernel
//! (docs/DEPENDENCIES.md, "clap"). So their flags stand here a second time, as rows that say where a value goes. Only what is in
//! order is read here: whatever is not, clap reads once more, and says what is wrong. Tests hold the two together: the
//! rows against clap's definitions, and the answers to arbitrary command lines against each other.

use super::exec::ExecArgs;
use super::globals::GlobalArgs;
use super::lifecycle::{CreateOnlyArgs, DeleteArgs, IdArgs, KillArgs, RunArgs};
use super::parse::{Invocation, Wanted};
use super::scan::{letter_of, scan, Flags, FlagsEnd, Known, Seen, Takes, Value};
use super::verbs::{Asked, Verb};
use std::collections::VecDeque;
use std::ffi::OsString;

/// A flag of the arguments `A`.
struct Row<A> {
    long: &'static str,
    letter: Option<char>,
    put: Put<A>,
}

/// Where its value goes.
enum Put<A> {
    Switch(fn(&mut A, bool)),
    Path(fn(&mut A, OsString)),
    Text(fn(&mut A, String)),
    Number(fn(&mut A, u32)),
    /// One more.
    Each(fn(&mut A, String)),
}

type Rows<A> = [Row<A>];

const fn row<A>(long: &'static str, put: Put<A>) -> Row<A> {
    Row { long, letter: None, put }
}

impl<A> Row<A> {
    const fn or(mut self, letter: char) -> Self {
        self.letter = Some(letter);
        self
    }

    fn takes(&self) -> Takes {
        match self.put {
            Put::Switch(_) => Takes::Nothing,
            Put::Each(_) => Takes::Each,
            _ => Takes::One,
        }
    }

    /// `None`: not what this flag takes.
    fn put(&self, into: &mut A, value: Value) -> Option<()> {
        match (&self.put, value) {
            (Put::Switch(put), Value::Switch(on)) => put(into, on),
            (Put::Path(put), Value::Text(value)) => put(into, value),
            (Put::Text(put) | Put::Each(put), Value::Text(value)) => {
                put(into, value.into_string().ok()?);
            }
            (Put::Number(put), Value::Text(value)) => put(into, value.to_str()?.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

impl<A> Flags for &Rows<A> {
    fn find(&self, name: &str) -> Option<Known<'_>> {
        let fits = |row: &&Row<A>| match letter_of(name) {
            None => row.long == name,
            letter => row.letter == letter,
        };
        self.iter().find(fits).map(|row| Known { long: row.long, takes: row.takes() })
    }
}

fn fill<A: Default>(rows: &Rows<A>, seen: Vec<Seen>) -> Option<A> {
    let mut args = A::default();
    for Seen { long, value, .. } in seen {
        rows.iter().find(|row| row.long == long)?.put(&mut args, value)?;
    }
    Some(args)
}

/// Reads a whole argv, `argv[0]` included. `None`: clap is to read it.
pub(crate) fn parse(argv: &[OsString]) -> Option<Invocation> {
    let mut argv: VecDeque<OsString> = argv.get(1..)?.iter().cloned().collect();
    let (mut front, outcome) = scan(&mut argv, &GLOBAL, None, FlagsEnd::BeforeFirst);
    outcome.ok().filter(|()| !front.help && front.positionals.is_empty())?;
    let verb = Verb::named(argv.pop_front()?.to_str()?)?;
    let mut words = Words { verb, argv, globals: &mut front.own };
    let asked = match verb.name {
        "create" => words.read(CREATE).map(|(args, id)| {
            Asked::Create(CreateOnlyArgs {
                no_subreaper: args.no_subreaper,
                create: with_id(args, id).create,
            })
        }),
        "run" => words.read(RUN).map(|(args, id)| Asked::Run(with_id(args, id))),
        "start" => words.read(NONE).map(|(_, words)| Asked::Start(id_of(words))),
        "state" => words.read(NONE).map(|(_, words)| Asked::State(id_of(words))),
        "exec" => words.read(EXEC).map(|(args, words)| Asked::Exec(with_command(args, words))),
        "kill" => words.read(KILL).map(|(args, words)| Asked::Kill(with_signal(args, words))),
        "delete" => words
            .read(DELETE)
            .map(|(args, words)| Asked::Delete(DeleteArgs { id: id_of(words).id, ..args })),
        _ => None,
    }?;
    let globals = fill(GLOBAL, front.own)?;
    Some(Invocation { globals, wanted: Ok(Wanted::Command(Box::new(asked))) })
}

/// What follows the command word.
struct Words<'a> {
    verb: &'static Verb,
    argv: VecDeque<OsString>,
    globals: &'a mut Vec<Seen>,
}

impl Words<'_> {
    /// The flags, and the positionals, of which there are as many as the command takes.
    fn read<A: Default>(&mut self, rows: &Rows<A>) -> Option<(A, Positionals)> {
        let (found, outcome) = scan(&mut self.argv, &rows, Some(&GLOBAL), self.verb.flags_end);
        outcome.ok().filter(|()| !found.help && self.verb.arity.takes(found.positionals.len()))?;
        self.globals.extend(found.inherited);
        let words: Option<_> =
            found.positionals.into_iter().map(|w| w.into_string().ok()).collect();
        Some((fill(rows, found.own)?, words?))
    }
}

type Positionals = VecDeque<String>;

fn id_of(mut words: Positionals) -> IdArgs {
    IdArgs { id: words.pop_front().unwrap_or_default() }
}

fn with_id(mut args: RunArgs, words: Positionals) -> RunArgs {
    args.create.id = id_of(words).id;
    args
}

fn with_command(mut args: ExecArgs, mut words: Positionals) -> ExecArgs {
    args.id = words.pop_front().unwrap_or_default();
    args.command = words.into();
    args
}

fn with_signal(mut args: KillArgs, mut words: Positionals) -> KillArgs {
    args.id = words.pop_front().unwrap_or_default();
    args.signal = words.pop_front();
    args
}

use Put::{Each, Number, Path, Switch, Text};

/// `--version` and what is only accepted is left to clap.
static GLOBAL: &Rows<GlobalArgs> = &[
    row("root", Path(|a, v| a.root = Some(v))),
    row("log", Path(|a, v| a.log = Some(v))),
    row("log-format", Text(|a, v| a.log_format = Some(v))),
    row("log-level", Text(|a, v| a.log_level = Some(v))),
    row("debug", Switch(|a, on| a.debug = on)),
    row("profile", Text(|a, v| a.profile = Some(v))),
    row("allow", Each(|a, v| a.allow.push(v))),
    row("policy-dir", Path(|a, v| a.policy_dir = Some(v))),
    row("systemd-cgroup", Switch(|a, on| a.systemd_cgroup = on)),
    row("cgroup-manager", Text(|a, v| a.cgroup_manager = Some(v))),
    row("rootless", Text(|a, v| a.rootless = Some(v))),
];

static NONE: &Rows<()> = &[];

static RUN: &Rows<RunArgs> = &[
    row("bundle", Path(|a: &mut RunArgs, v| a.create.bundle = Some(v))).or('b'),
    row("config", Path(|a: &mut RunArgs, v| a.create.config = Some(v))).or('f'),
    row("pid-file", Path(|a, v| a.create.pid_file = Some(v))),
    row("console-socket", Path(|a, v| a.create.console_socket = Some(v))),
    row("pidfd-socket", Path(|a, v| a.create.pidfd_socket = Some(v))),
    row("preserve-fds", Number(|a, v| a.create.preserve_fds = v)),
    row("no-pivot", Switch(|a, on| a.create.no_pivot = on)),
    row("no-new-keyring", Switch(|a, on| a.create.no_new_keyring = on)),
    row("no-subreaper", Switch(|a, on| a.no_subreaper = on)),
    row("detach", Switch(|a: &mut RunArgs, on| a.detach = on)).or('d'),
    row("keep", Switch(|a, on| a.keep = on)),
];

/// All of `run`'s but the last two, which are about what comes after.
static CREATE: &Rows<RunArgs> = RUN.split_at(RUN.len() - 2).0;

static EXEC: &Rows<ExecArgs> = &[
    row("process", Path(|a: &mut ExecArgs, v| a.process = Some(v))).or('p'),
    row("cwd", Text(|a, v| a.cwd = Some(v))),
    row("env", Each(|a: &mut ExecArgs, v| a.env.push(v))).or('e'),
    row("user", Text(|a: &mut ExecArgs, v| a.user = Some(v))).or('u'),
    row("additional-gids", Each(|a: &mut ExecArgs, v| a.additional_gids.push(v))).or('g'),
    row("tty", Switch(|a: &mut ExecArgs, on| a.tty = on)).or('t'),
    row("console-socket", Path(|a, v| a.console_socket = Some(v))),
    row("pidfd-socket", Path(|a, v| a.pidfd_socket = Some(v))),
    row("pid-file", Path(|a, v| a.pid_file = Some(v))),
    row("preserve-fds", Number(|a, v| a.preserve_fds = v)),
    row("detach", Switch(|a: &mut ExecArgs, on| a.detach = on)).or('d'),
    row("no-new-privs", Switch(|a, on| a.no_new_privs = on)),
    row("cap", Each(|a: &mut ExecArgs, v| a.cap.push(v))).or('c'),
    row("apparmor", Text(|a, v| a.apparmor = Some(v))),
    row("process-label", Text(|a, v| a.process_label = Some(v))),
    row("cgroup", Each(|a, v| a.cgroup.push(v))),
    row("ignore-paused", Switch(|a, on| a.ignore_paused = on)),
    row("no-subreaper", Switch(|a, on| a.no_subreaper = on)),
];

static KILL: &Rows<KillArgs> = &[row("all", Switch(|a: &mut KillArgs, on| a.all = on)).or('a')];

static DELETE: &Rows<DeleteArgs> =
    &[row("force", Switch(|a: &mut DeleteArgs, on| a.force = on)).or('f')];

#[cfg(test)]
mod tests {
    use super::super::parse::{global_command, thorough};
    use super::*;
    use proptest::prelude::*;

    /// Each flag of clap's, but for those named, is a row that takes the same; and there are no others.
    fn agree<A>(rows: &Rows<A>, command: &clap::Command, but: &[&str]) {
        let mut count = 0;
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let long = arg.get_long().unwrap();
            if but.contains(&long) {
                continue;
            }
            count += 1;
            let row = rows.iter().find(|row| row.long == long);
            let row = row.unwrap_or_else(|| panic!("--{long} has no row"));
            assert_eq!(row.letter, arg.get_short(), "--{long}");
            assert_eq!(row.takes(), Flags::find(command, long).unwrap().takes, "--{long}");
        }
        assert_eq!(rows.len(), count, "{} has flags that clap does not know", command.get_name());
    }

    fn definition(verb: &str) -> clap::Command {
        Verb::named(verb).unwrap().command()
    }

    #[test]
    fn rows_are_the_flags_that_clap_knows() {
        agree(GLOBAL, &global_command(), &["version", "criu"]);
        agree(RUN, &definition("run"), &[]);
        agree(CREATE, &definition("create"), &[]);
        agree(EXEC, &definition("exec"), &[]);
        agree(KILL, &definition("kill"), &[]);
        agree(DELETE, &definition("delete"), &[]);
        agree(NONE, &definition("start"), &[]);
        agree(NONE, &definition("state"), &[]);
    }

    fn argv(words: &[&str]) -> Vec<OsString> {
        std::iter::once(&"casemate").chain(words).map(OsString::from).collect()
    }

    fn shown(invocation: &Invocation) -> String {
        format!("{invocation:?}")
    }

    #[test]
    fn the_command_lines_of_engines_need_no_clap() {
        for words in [
            // containerd
            "--root /r --log /l --log-format json --systemd-cgroup create --bundle /b --pid-file /p --console-socket /c id",
            "--root /r --log /l --log-format json start id",
            "--root /r --log /l --log-format json exec --process /p --detach --pid-file /f id",
            "--root /r --log /l --log-format json kill --all id 9",
            "--root /r --log /l --log-format json delete --force id",
            // conmon
            "--log-format=json --log /l create --bundle /b --pid-file /p --no-pivot --preserve-fds 2 id",
            "exec --pid-file /p --process /q --tty -d id",
            "state id",
            "run id",
        ] {
            let argv = argv(&words.split(' ').collect::<Vec<_>>());
            let quick = parse(&argv).unwrap_or_else(|| panic!("{words}"));
            assert_eq!(shown(&quick), shown(&thorough(argv)), "{words}");
        }
    }

    #[test]
    fn mistakes_are_left_to_clap() {
        for words in [
            "",
            "help",
            "--version",
            "run --help id",
            "run",
            "run a b",
            "run --preserve-fds x id",
            "run --no-such id",
            "run --bundle",
            "list",
            "--no-such run id",
            "exec",
            "--log",
            "run --detach=maybe id",
            "--root",
        ] {
            let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
            assert!(parse(&argv(&words)).is_none(), "{words:?}");
        }
    }

    /// Words of which command lines are made, the flags with and without values.
    fn word() -> impl Strategy<Value = String> {
        let names = |command: clap::Command| -> Vec<String> {
            command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
        };
        let mut flags = names(global_command());
        for verb in VERBS {
            flags.extend(names(definition(verb)));
        }
        let flag = (prop_oneof![Just("-"), Just("--")], prop::sample::select(flags));
        let value = prop_oneof![
            Just("=".to_owned()),
            Just("=true".to_owned()),
            Just("=false".to_owned()),
            Just("=3".to_owned()),
            Just("=/a=b".to_owned()),
        ];
        prop_oneof![
            3 => flag.clone().prop_map(|(dash, name)| format!("{dash}{name}")),
            4 => (flag, value).prop_map(|((dash, name), value)| format!("{dash}{name}{value}")),
            2 => prop::sample::select(&["-b", "-d", "-e", "-f", "-t", "-u", "-a", "-v", "-p", "-c", "-g"][..])
                .prop_map(str::to_owned),
            3 => prop::sample::select(&["id", "3", "9", "-9", "--", "KILL", "sh", "", "-", "é"][..])
                .prop_map(str::to_owned),
        ]
    }

    const VERBS: [&str; 7] = ["create", "run", "start", "state", "exec", "kill", "delete"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_is_read_is_what_clap_reads(
            front in prop::collection::vec(word(), 0..3),
            verb in prop::sample::select(&VERBS[..]),
            rest in prop::collection::vec(word(), 0..6),
        ) {
            let words: Vec<&str> = front.iter().map(String::as_str).chain([verb]).chain(rest.iter().map(String::as_str)).collect();
            let argv = argv(&words);
            if let Some(quick) = parse(&argv) {
                prop_assert_eq!(shown(&quick), shown(&thorough(argv)));
            }
        }
    }
}
