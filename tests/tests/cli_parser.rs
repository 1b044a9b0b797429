//! The command line is read as runc reads it.

use casemate_tests::cli::{casemate, Casemate, Scratch};
use std::path::Path;

const COMMANDS: [&str; 21] = [
    "create",
    "start",
    "run",
    "kill",
    "delete",
    "exec",
    "pause",
    "resume",
    "update",
    "state",
    "list",
    "ps",
    "events",
    "spec",
    "explain",
    "audit",
    "why",
    "compare",
    "host-check",
    "policy",
    "features",
];

fn fails_with(line: &str, message: &str) {
    let answer = casemate(line);
    assert_eq!(answer.status, 1, "{line}: {answer:?}");
    assert!(answer.stderr.contains(message), "{line}: {}", answer.stderr);
}

#[test]
fn help_of_everything_succeeds_and_prints_nothing_to_standard_error() {
    let mut lines =
        vec![String::new(), "help".into(), "--help".into(), "-h".into(), "-help".into()];
    for command in COMMANDS {
        lines.extend([
            format!("{command} --help"),
            format!("{command} -h"),
            format!("help {command}"),
        ]);
    }
    for line in lines {
        let answer = casemate(&line);
        assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{line}");
        assert!(answer.stdout.contains("Usage: casemate"), "{line}: {}", answer.stdout);
    }
}

#[test]
fn checkpoint_is_unknown_so_that_engines_see_it_is_not_supported() {
    let lines =
        ["checkpoint --help", "restore --help", "help checkpoint", "restore --lsm-mount-context"];
    for line in lines {
        let answer = casemate(line);
        assert_eq!(answer.status, 1, "{line}");
        assert!(answer.stderr.contains("unknown command"), "{line}: {}", answer.stderr);
        for probe in ["flag needs an argument", "requires an argument"] {
            let said = format!("{}{}", answer.stdout, answer.stderr);
            assert!(!said.contains(probe), "{line}: {said}");
        }
    }
}

#[test]
fn help_about_what_is_no_command_is_no_help_topic() {
    for line in ["bogus -h", "bogus --help", "help bogus", "--root /x bogus -help"] {
        fails_with(line, "No help topic for 'bogus': unknown command");
    }
}

#[test]
fn unknown_flag_is_named_with_one_dash() {
    fails_with("--bogus list", "flag provided but not defined: -bogus");
    fails_with("list --bogus", "flag provided but not defined: -bogus");
    fails_with("list -bogus=1", "flag provided but not defined: -bogus");
    // Grouped short flags are not taken apart.
    fails_with("exec -td x sh", "flag provided but not defined: -td");
}

#[test]
fn every_command_with_two_letters_changed_places_is_suggested() {
    for command in COMMANDS {
        let mut letters: Vec<char> = command.chars().collect();
        let at = (1..letters.len()).find(|at| letters[at - 1] != letters[*at]).unwrap();
        letters.swap(at - 1, at);
        let slip: String = letters.into_iter().collect();
        fails_with(&slip, "'casemate help' lists the commands");
        fails_with(&slip, &format!("did you mean {command}?"));
        fails_with(&format!("help {slip}"), &format!("did you mean {command}?"));
    }
}

/// The long flags in a help text.
fn flags_of(help: &str) -> Vec<String> {
    let long = |line: &str| Some(line.split_once("--")?.1.split([' ', '[']).next()?.to_owned());
    help.lines().filter(|line| line.trim_start().starts_with('-')).filter_map(long).collect()
}

#[test]
fn every_flag_with_a_letter_left_out_is_suggested() {
    let own = flags_of(&casemate("--help").stdout);
    assert!(own.contains(&"log-format".to_owned()), "{own:?}");
    for flag in own {
        let slip = format!("--{}", &flag[..flag.len() - 1]);
        // What is left may be a flag too, or too short for a guess.
        let answer = casemate(&format!("{slip} list"));
        assert!(answer.stderr.contains(&format!("did you mean --{flag}?")), "{slip}: {answer:?}");
        assert!(answer.stderr.contains("see 'casemate help'"), "{slip}: {answer:?}");
    }
    for command in COMMANDS {
        let own = flags_of(&casemate(&format!("{command} --help")).stdout);
        for flag in own.iter().map(String::as_str).chain(["systemd-cgroup"]) {
            let slip = format!("--{}", &flag[..flag.len() - 1]);
            let answer = casemate(&format!("{command} {slip}"));
            let wanted = format!("did you mean --{flag}? see 'casemate {command} --help'");
            assert!(answer.stderr.contains(&wanted), "{command} {slip}: {answer:?}");
        }
    }
    // Nothing is guessed of what is near to nothing.
    assert!(!casemate("run --nosuchflag x").stderr.contains("did you mean"));
}

#[test]
fn an_empty_value_counts_as_none_but_where_that_would_be_another_thing() {
    let answer = Casemate::with(["--log=", "--profile", "", "--log-level=", "features"]).answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
    // The last one counts.
    let scratch = Scratch::new();
    let log = format!("--log={}", scratch.file("log"));
    assert_eq!(Casemate::with([log.as_str(), "--log=", "features"]).answer().status, 0);
    assert!(!Path::new(&scratch.file("log")).exists());
    for line in [["--cgroup-manager=", "features"], ["audit", "--pid="], ["--root=", "list"]] {
        let answer = Casemate::with(line).answer();
        assert_eq!(answer.status, 1, "{line:?}: {answer:?}");
    }
}

#[test]
fn missing_value_is_a_flag_that_needs_an_argument() {
    fails_with("--root", "flag needs an argument: --root");
    fails_with("create x --pid-file", "flag needs an argument: --pid-file");
    fails_with("exec -u", "flag needs an argument: -u");
}

#[test]
fn wrong_number_of_positionals_prints_the_usage_and_runcs_words() {
    let cases = [
        ("create", "\"create\" requires exactly 1 argument(s)"),
        ("start a b", "\"start\" requires exactly 1 argument(s)"),
        ("list a", "\"list\" requires exactly 0 argument(s)"),
        ("exec", "\"exec\" requires a minimum of 1 argument(s)"),
        ("kill", "\"kill\" requires a minimum of 1 argument(s)"),
        ("kill a TERM b", "\"kill\" requires a maximum of 2 argument(s)"),
    ];
    for (line, message) in cases {
        let answer = casemate(line);
        assert_eq!(answer.status, 1, "{line}");
        assert!(answer.stderr.contains(&message.replace('"', "\\\"")), "{line}: {}", answer.stderr);
        assert!(answer.stdout.starts_with("Incorrect Usage.\n"), "{line}: {}", answer.stdout);
    }
}

#[test]
fn last_of_a_repeated_flag_wins() {
    let scratch = Scratch::new();
    let (first, last) = (scratch.file("first"), scratch.file("last"));
    for flag in ["--log", "-log"] {
        let log = [format!("{flag}={first}"), flag.to_owned(), last.clone(), "bogus".to_owned()];
        assert_eq!(Casemate::with(log).answer().status, 1);
        assert!(!Path::new(&first).exists());
        std::fs::remove_file(&last).unwrap();
    }
}

#[test]
fn switches_take_go_booleans() {
    for value in ["true", "false", "1", "0", "t", "F", "TRUE"] {
        let answer = casemate(&format!("-systemd-cgroup={value} --debug={value} features"));
        assert_eq!(answer.status, 0, "{value}");
        // The steps, for who asks for them.
        let steps = answer.stderr.lines().filter(|line| line.contains("level=debug")).count();
        let on = ["true", "1", "t", "TRUE"].contains(&value);
        assert_eq!((steps > 0, steps), (on, answer.stderr.lines().count()), "{}", answer.stderr);
    }
    fails_with(
        "--systemd-cgroup=maybe features",
        "invalid value \\\"maybe\\\" for flag -systemd-cgroup",
    );
    // A switch never takes the next word.
    fails_with("--debug false features", "unknown command \\\"false\\\"");
    assert_eq!(casemate("--version=false features").status, 0);
    assert!(casemate("--version=false features").stdout.starts_with('{'));
}

#[test]
fn flags_may_follow_positionals() {
    fails_with("delete x --bogus", "flag provided but not defined: -bogus");
    fails_with("update x --memory lots", "for flag -memory");
    fails_with("events x --interval 0s", "duration interval must be greater than 0");
}

#[test]
fn words_behind_the_id_of_exec_kill_and_ps_are_not_ours() {
    fails_with("kill x --bogus", "unknown signal \\\"--bogus\\\"");
    fails_with("kill x -99", "unknown signal \\\"-99\\\"");
    for line in ["exec x sh -c --bogus", "exec x --bogus", "ps x --bogus", "exec x -- --bogus"] {
        let answer = casemate(&format!("--root /nonexistent/casemate {line}"));
        assert_ne!(answer.status, 0, "{line}");
        assert!(!answer.stderr.contains("flag provided"), "{line}: {}", answer.stderr);
    }
    // The `--` right behind the id is dropped, so that this has no command.
    assert!(casemate("exec x --").stderr.contains("process args cannot be empty"));
}

#[test]
fn double_dash_ends_the_flags() {
    fails_with("kill -- x --all", "unknown signal \\\"--all\\\"");
    fails_with("delete -- --force/x", "invalid container ID format: \\\"--force/x\\\"");
    fails_with("-- --version", "unknown command \\\"--version\\\"");
}

#[test]
fn global_flags_are_accepted_behind_the_command() {
    fails_with("list --log-format xml", "invalid log-format: xml");
    fails_with("features --root /", "option --root must not be set to /");
    assert_eq!(casemate("features --debug --root /nonexistent/casemate").status, 0);
    fails_with("features -v", "flag provided but not defined: -v");
}

#[test]
fn values_may_begin_with_a_dash() {
    fails_with("update --resources - --memory", "flag needs an argument: --memory");
    fails_with("update --cpu-quota -x y", "invalid value \\\"-x\\\" for flag -cpu-quota");
    fails_with("update --cpu-quota=-x y", "invalid value \\\"-x\\\" for flag -cpu-quota");
}

#[test]
fn values_of_the_wrong_type_name_the_flag() {
    fails_with("create --preserve-fds many x", "invalid value \\\"many\\\" for flag -preserve-fds");
    fails_with("create --preserve-fds -1 x", "for flag -preserve-fds");
    fails_with("events --interval 5 x", "for flag -interval");
    fails_with("--rootless perhaps features", "for flag -rootless");
    fails_with("--cgroup-manager v1 features", "invalid cgroup-manager: v1");
    fails_with("--log-level loud features", "invalid log-level: loud");
}

#[test]
fn flags_of_old_callers_and_of_crun_are_accepted() {
    let line = "--criu /usr/sbin/criu --cgroup-manager disabled --log-level error --rootless=auto features";
    let answer = casemate(line);
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
}

#[test]
fn bad_container_ids_are_refused_by_every_command() {
    for command in
        ["start", "state", "pause", "resume", "delete --force", "events --stats", "kill", "ps"]
    {
        fails_with(&format!("{command} a/b"), "invalid container ID format");
    }
    fails_with("create --bundle / ..", "casemate create failed: invalid container ID format");
    let empty = Casemate::with(["start", ""]).answer();
    assert_eq!(empty.status, 1);
    assert!(empty.stderr.contains("container id cannot be empty"), "{}", empty.stderr);
}

#[test]
fn exec_failures_exit_with_255_and_wrong_usage_with_1() {
    for line in ["exec x", "exec a/b sh", "exec --user -1 x id", "exec --user 4294967295 x id"] {
        let answer = casemate(line);
        assert_eq!(answer.status, 255, "{line}: {}", answer.stderr);
        assert!(answer.stderr.contains("exec failed: "), "{line}: {}", answer.stderr);
    }
    assert_eq!(casemate("exec --bogus x sh").status, 1);
    assert_eq!(casemate("exec").status, 1);
}

#[test]
fn root_directory_is_refused_as_state_directory() {
    for root in ["--root=/", "--root=", "--root=/a/.."] {
        let answer = Casemate::with([root, "list"]).answer();
        assert_eq!(answer.status, 1, "{root}");
        assert!(answer.stderr.contains("option --root must not be"), "{root}: {}", answer.stderr);
    }
}
