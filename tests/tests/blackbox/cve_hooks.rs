//! Hooks: programs that the host trusts, in surroundings that the container must not choose.

use casemate_tests::bundle::write;
use casemate_tests::{requires, Bundle, Canary, Container};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A hook that writes down what it was given.
fn spy(dir: &Path) -> PathBuf {
    let hook = dir.join("spy");
    let text = format!(
        "#!/bin/sh\n{{ tr '\\0' '\\n' < /proc/self/environ | sed 's/^/env /'; echo cwd $(pwd); \
         for f in /proc/self/fd/*; do echo fd $(readlink $f); done; }} >> {}/$1\ncat > /dev/null\n",
        dir.display()
    );
    write(&hook, text);
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    hook
}

#[test]
fn cve_2025_23266_hooks_see_nothing_of_the_containers_environment_or_directory() {
    requires!(root);
    let canary = Canary::new();
    let bundle = Bundle::sh("true");
    let hook = spy(bundle.dir());
    let entry = |name: &str| json!([{"path": hook, "args": ["spy", name]}]);
    let kinds = ["prestart", "createRuntime", "poststart", "poststop"];
    let hooks: serde_json::Map<String, Value> =
        kinds.iter().map(|k| ((*k).to_owned(), entry(k))).collect();
    let bundle = bundle.edit(|c| {
        let evil = [
            "LD_PRELOAD=/proc/self/cwd/evil.so",
            "GCONV_PATH=/evil",
            "PATH=/evil:/bin",
            "BASH_ENV=/evil",
        ];
        c["process"]["env"] = json!(evil);
        c["hooks"] = Value::Object(hooks);
    });
    for evil in ["evil.so", "evil"] {
        write(&bundle.rootfs().join(evil), "");
    }
    let container = Container::new(bundle);
    container.run().ok();
    for kind in kinds {
        let seen = std::fs::read_to_string(container.bundle.dir().join(kind)).unwrap_or_default();
        assert!(seen.contains("cwd /\n"), "{kind}: {seen}");
        assert!(!seen.contains("evil"), "{kind}: {seen}");
        let fds: Vec<&str> = seen.lines().filter(|line| line.starts_with("fd ")).collect();
        // The state, the output, the script itself and where it writes: nothing of the runtime's.
        let own = |fd: &&str| {
            let target = fd.trim_start_matches("fd ").trim();
            let ours = target.starts_with(&container.bundle.dir().display().to_string())
                && !target.contains("/state");
            target.is_empty()
                || target.starts_with("/memfd:")
                || target.starts_with("/proc/") && target.ends_with("/fd")
                || target.starts_with("pipe:")
                || ours
        };
        assert!(fds.iter().all(own), "{kind}: {fds:?}");
        let env: Vec<&str> = seen.lines().filter(|line| line.starts_with("env ")).collect();
        assert!(
            env.iter().all(|e| e.starts_with("env PATH=") || e.starts_with("env PWD=")),
            "{kind}: {env:?}"
        );
    }
    canary.check();
}

#[test]
fn cve_2024_0132_a_hook_in_the_container_gets_its_own_environment_only() {
    requires!(root);
    let kinds = ["createContainer", "startContainer"];
    for (kind, hardened) in kinds.iter().flat_map(|kind| [(*kind, true), (*kind, false)]) {
        let bundle = Bundle::sh("cat /var/tmp/seen").edit(|c| {
            c["process"]["env"] = json!(["LD_PRELOAD=/evil.so", "PATH=/bin", "SECRET=1"]);
            c["hooks"][kind] = json!([{"path": "/bin/hook", "env": ["PATH=/bin", "OWN=1"]}]);
            c["root"]["readonly"] = json!(false);
        });
        // createContainer runs before the root is pivoted: the path is the host's.
        let script =
            "#!/bin/sh\ncat > /dev/null\n{ cat /proc/self/environ | tr '\\0' '\\n'; pwd; } > ";
        let (path, place) = match kind {
            "createContainer" => (bundle.dir().join("hook"), bundle.rootfs().join("var/tmp/seen")),
            _ => (bundle.rootfs().join("bin/hook"), PathBuf::from("/var/tmp/seen")),
        };
        write(&path, format!("{script}{}\n", place.display()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let bundle = bundle.edit(|c| {
            if kind == "createContainer" {
                c["hooks"][kind][0]["path"] = json!(path);
            }
        });
        let container = Container::new(bundle);
        let done = if hardened { container } else { container.verbatim() }.run().ok();
        assert!(done.stdout.contains("OWN=1"), "{kind}: {}", done.stdout);
        assert!(
            !done.stdout.contains("SECRET") && !done.stdout.contains("evil"),
            "{kind}: {}",
            done.stdout
        );
        // As written, a hook begins in the rootfs, as under runc; then its environment alone protects it.
        let in_root = done.stdout.ends_with("\n/\n");
        assert!(in_root || !hardened, "{kind}: {}", done.stdout);
    }
}

#[test]
fn a_hook_that_fails_stops_the_container_and_leaves_nothing() {
    requires!(root);
    let canary = Canary::new();
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let bundle =
            Bundle::sh("echo ran").edit(|c| c["hooks"][kind] = json!([{"path": "/bin/false"}]));
        let container = Container::new(bundle);
        let done = container.run().done();
        assert_eq!((done.code(), done.stdout.as_str()), (1, ""), "{kind}: {}", done.stderr);
        assert!(done.stderr.contains(kind), "{kind}: {}", done.stderr);
        assert_eq!(container.leftovers(), Vec::<String>::new(), "{kind}");
    }
    canary.check();
}

#[test]
fn a_hook_with_a_relative_path_is_refused() {
    requires!(root);
    for path in ["hook", "./hook", "../bin/sh", ""] {
        let bundle =
            Bundle::sh("true").edit(|c| c["hooks"]["createRuntime"] = json!([{"path": path}]));
        let message = Container::new(bundle).verbatim().run().refused();
        assert!(message.contains("hooks.createRuntime"), "{path}: {message}");
    }
}
