//! What `--version`, `features` and `spec` answer.

use casemate_tests::cli::{casemate, Casemate, Scratch};
use serde_json::{json, Value};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn version_has_the_lines_that_docker_looks_for() {
    for line in ["--version", "-v", "-V", "-version", "--debug --version"] {
        let answer = casemate(line);
        assert_eq!((answer.status, answer.stderr.as_str()), (0, ""), "{line}");
        let lines: Vec<&str> = answer.stdout.lines().collect();
        assert!(lines[0].starts_with("casemate version "), "{line}: {}", answer.stdout);
        assert!(lines[1].starts_with("commit: "), "{line}: {}", answer.stdout);
        assert_eq!(lines[2], "spec: 1.3.0", "{line}");
        assert!(lines[1..].iter().all(|line| !line.contains("version")), "{}", answer.stdout);
    }
}

#[test]
fn features_is_nothing_but_the_document_whoever_asks() {
    // CRI-O decodes standard output and error together; podman's environment is nearly empty.
    let answer = Casemate::with(["features"]).env("PATH", "").answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(document["ociVersionMin"], "1.0.0");
    assert_eq!(document["ociVersionMax"], "1.3.0");
    let linux = &document["linux"];
    assert_eq!(linux["cgroup"]["v1"], false);
    assert_eq!(linux["cgroup"]["v2"], true);
    assert_eq!(linux["mountExtensions"]["idmap"]["enabled"], true);
    assert_eq!(linux["intelRdt"]["enabled"], false);
    let namespaces = linux["namespaces"].as_array().unwrap();
    assert!(namespaces.contains(&"user".into()));
    assert!(document["mountOptions"].as_array().unwrap().contains(&"rro".into()));
    assert_eq!(document["annotations"]["org.opencontainers.runc.checkpoint.enabled"], "false");
}

#[test]
fn spec_writes_a_configuration_and_never_overwrites_one() {
    let scratch = Scratch::new();
    let answer = Casemate::with(["spec"]).in_directory(scratch.path()).answer();
    assert_eq!((answer.status, answer.stdout.as_str(), answer.stderr.as_str()), (0, "", ""));
    let text = std::fs::read_to_string(scratch.file("config.json")).unwrap();
    let spec: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(spec["hostname"], "casemate");
    assert_eq!(spec["root"]["readonly"], true);
    assert!(text.starts_with("{\n\t\"ociVersion\""), "{text}");
    let mode = std::fs::metadata(scratch.file("config.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7111, 0);

    let bundle = scratch.path().to_str().unwrap();
    let answer = Casemate::with(["spec", "--bundle", bundle, "--rootless"]).answer();
    assert_eq!(answer.status, 1);
    assert!(answer.stderr.contains("config.json exists; remove it first"), "{}", answer.stderr);
    assert_eq!(std::fs::read_to_string(scratch.file("config.json")).unwrap(), text);
}

#[test]
fn rootless_spec_maps_the_caller_and_asks_for_no_limits() {
    let scratch = Scratch::new();
    let target = scratch.file("other.json");
    let answer = Casemate::with(["spec", "--rootless", "-f", &target]).answer();
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    let spec: Value = serde_json::from_str(&std::fs::read_to_string(&target).unwrap()).unwrap();
    let linux = &spec["linux"];
    let euid = std::fs::metadata(&target).unwrap().uid();
    assert_eq!(linux["uidMappings"][0]["hostID"], euid);
    assert_eq!(linux["uidMappings"][0]["size"], 1);
    let types: Vec<&str> = linux["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ns| ns["type"].as_str().unwrap())
        .collect();
    assert!(types.contains(&"user") && types.contains(&"network"), "{types:?}");
    assert!(linux.get("resources").is_none());
    assert!(!spec["mounts"].to_string().contains("gid="));
}

#[test]
fn help_written_to_a_closed_pipe_is_no_failure() {
    let mut help = std::process::Command::new(casemate_tests::cli::binary());
    let mut child =
        casemate_tests::programs::start(help.arg("help").stdout(std::process::Stdio::piped()))
            .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// The state directory that an invocation settles on, from its debug log.
fn state_directory(user: Option<u32>, variables: &[(&str, &str)]) -> String {
    let scratch = Scratch::new();
    let log = scratch.file("log");
    std::fs::write(&log, "").unwrap();
    std::fs::set_permissions(&log, std::fs::Permissions::from_mode(0o666)).unwrap();
    let mut call = Casemate::with(["--debug", "--log", &log, "features"]);
    if let Some(user) = user {
        call = call.as_user(user);
    }
    for (key, value) in variables {
        call = call.env(key, value);
    }
    assert_eq!(call.answer().status, 0);
    let text = std::fs::read_to_string(&log).unwrap();
    let (_, rest) = text.split_once("with state in ").unwrap_or_else(|| panic!("{text}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn default_state_directory_is_the_same_for_every_environment_podman_calls_with() {
    let scratch = Scratch::new();
    if std::fs::metadata(scratch.path()).unwrap().uid() != 0 {
        eprintln!("skipped: needs root, to be both root and an ordinary user");
        return;
    }
    let xdg = ("XDG_RUNTIME_DIR", "/run/user/4242");
    // Real root in the initial user namespace never looks at the variable. In a container's user
    // namespace the answer would be another one, and is tested with the rule itself.
    if std::fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295") {
        assert_eq!(state_directory(None, &[xdg]), "/run/casemate");
        assert_eq!(state_directory(None, &[xdg, ("USER", "alice")]), "/run/casemate");
    }
    assert_eq!(state_directory(None, &[]), "/run/casemate");
    assert_eq!(state_directory(None, &[("XDG_RUNTIME_DIR", "")]), "/run/casemate");
    for variables in [&[xdg][..], &[xdg, ("USER", "alice")], &[xdg, ("USER", "root")]] {
        assert_eq!(state_directory(Some(4242), variables), "/run/user/4242/casemate");
    }
    assert_eq!(state_directory(Some(4242), &[]), "/run/casemate");
}

#[test]
fn a_name_that_nobody_knows_is_an_error_of_every_command() {
    let scratch = Scratch::new();
    let root = scratch.path().display();
    for command in ["list", "exec x true", "state x"] {
        for (option, wanted) in [
            ("--allow seccomp.usern", "did you mean seccomp.userns?"),
            ("--allow capabilities.net_rav", "did you mean capabilities.net_raw?"),
            ("--allow nosuch", "is unknown; see casemate policy show"),
            ("--profile hardend", "use privileged, baseline, hardened or restricted"),
        ] {
            let answer = casemate(&format!("--root {root} {option} {command}"));
            assert_eq!(answer.status, 1, "{option} {command}");
            assert!(answer.stderr.contains(wanted), "{option} {command}: {}", answer.stderr);
        }
    }
}

#[test]
fn policy_permit_takes_patterns_and_says_when_it_would_change_nothing() {
    let scratch = Scratch::new();
    let more = scratch.path().join("policy.d");
    std::fs::create_dir(&more).unwrap();
    for dir in [scratch.path(), &more] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let permit = |name: &str| {
        casemate(&format!("--policy-dir {} policy permit {name}", scratch.path().display()))
    };
    assert_eq!(permit("capabilities.*").status, 0);
    assert!(more.join("50-capabilities.ANY.toml").exists());
    assert!(permit("nosuch.*").stderr.contains("matches no override"));
    std::fs::write(more.join("60-none.toml"), "permit = [\"@none\"]\n").unwrap();
    let answer = permit("mounts.suid");
    assert!(answer.status == 1 && answer.stderr.contains("stays as it is"), "{}", answer.stderr);
    assert!(!more.join("50-mounts.suid.toml").exists());
}

#[test]
fn policy_show_tells_what_is_left_where_something_is_forbidden() {
    let scratch = Scratch::new();
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let forbid = r#"["profile.privileged", "process.new-privileges", "capabilities.sys_*"]"#;
    let text = format!("profile = \"privileged\"\nforbid = {forbid}\n");
    std::fs::write(scratch.path().join("policy.toml"), text).unwrap();
    let show = format!("--policy-dir {} policy show", scratch.path().display());
    let answer: Value =
        serde_json::from_str(&casemate(&format!("{show} --format json")).stdout).unwrap();
    assert_eq!(answer["profile"], "baseline");
    let control = |name: &str| {
        let all = answer["controls"].as_array().unwrap();
        all.iter().find(|row| row["control"] == name).unwrap().clone()
    };
    let privileges = control("process.no-new-privileges");
    assert_eq!((&privileges["mode"], &privileges["allow"]), (&json!("enforce"), &json!([])));
    // A name that includes a forbidden one cannot be had either.
    assert_eq!(control("capabilities.ceiling")["allow"], json!(["capabilities.*"]));
    let text = casemate(&show).stdout;
    let listed = text.split("Forbidden to all").nth(1).unwrap();
    assert!(listed.contains("capabilities.sys_*") && listed.contains("policy.toml:2"), "{text}");
}

#[test]
fn the_letter_of_config_is_known_where_it_is_another_elsewhere() {
    for letter in ["-c", "-f", "--config"] {
        let answer = casemate(&format!("run {letter} /no/such/config.json some"));
        assert!(answer.stderr.contains("/no/such/config.json"), "{letter}: {}", answer.stderr);
    }
}

#[test]
fn what_is_written_nearly_right_is_asked_back() {
    for (line, meant) in [
        ("rnu", "did you mean run?"),
        ("kill c1 TRM", "did you mean TERM?"),
        ("--allow devices.tnu list", "did you mean devices.tun?"),
    ] {
        let answer = casemate(line);
        assert_eq!(answer.status, 1, "{line}");
        assert!(answer.stderr.contains(meant), "{line}: {}", answer.stderr);
    }
}
