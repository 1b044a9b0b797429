//! Containers of all engines of a host: found by what their engine calls them, listed, and summed up. Each test has a /run of its
//! own, with the state roots that engines name.

use casemate_tests::bundle::{write, Bundle};
use casemate_tests::command::Cmd;
use casemate_tests::container::Container;
use casemate_tests::scratch::{make, Dir};
use casemate_tests::{host, programs, requires, wait};
use serde_json::{json, Value};
use std::path::Path;
use std::process::{Command, Stdio};

const DOCKER: &str = "/run/docker/runtime-casemate/moby";
const CTR: &str = "/run/containerd/runc/default";
const DEFAULT: &str = "/run/casemate";

/// An empty /run for the calling test.
fn own_run() {
    host::isolate();
    let (tmpfs, run) = (c"tmpfs".as_ptr(), c"/run".as_ptr());
    // SAFETY: a system call with constant strings.
    let result = unsafe { libc::mount(tmpfs, run, tmpfs, 0, c"mode=0755".as_ptr().cast()) };
    assert_eq!(result, 0, "mount: {}", std::io::Error::last_os_error());
    for root in [DOCKER, CTR, DEFAULT] {
        make(Path::new(root));
    }
}

/// In the ids of the host, so that no range of ids is taken from a pool that the host does not see.
fn container(bundle: Bundle, root: &str) -> Container {
    Container::new(bundle).global(&["--allow", "userns.host"]).in_root(Path::new(root))
}

fn sleeping() -> Bundle {
    Bundle::sh("sleep 600")
}

/// A container of docker's, with the files that dockerd has for it in `data`.
fn of_docker(name: &str, data: &Dir) -> Container {
    let mut container =
        container(sleeping(), DOCKER).as_of_containerd("moby").in_root(Path::new(DOCKER));
    let files = data.path().join("containers").join(&container.id);
    make(&files);
    write(&files.join("hostname"), "web\n");
    write(&files.join("config.v2.json"), json!({"Name": format!("/{name}")}).to_string());
    container.bundle = std::mem::take(&mut container.bundle).bind(
        &files.join("hostname"),
        "/etc/hostname",
        &["ro"],
    );
    container.up()
}

/// A command without a state root.
fn casemate(words: &[&str]) -> Cmd {
    thread_local!(static OUTPUT: Dir = Dir::new("output"));
    OUTPUT.with(|dir| Cmd::new(host::runtime(), dir.path()).args(words))
}

fn id_of_state(words: &[&str]) -> String {
    let state: Value = serde_json::from_str(&casemate(words).ok().stdout).unwrap();
    state["id"].as_str().unwrap().to_owned()
}

/// What would stand in /run/crun for a container of crun's, which is a process of the test's.
fn of_crun(id: &str, pid: u32, bundle: &Path) {
    let dir = Path::new("/run/crun").join(id);
    make(&dir);
    write(&dir.join("status"), json!({"pid": pid, "bundle": bundle}).to_string());
}

#[test]
fn a_container_of_an_engine_is_found_by_its_name_its_id_and_the_beginning_of_it() {
    requires!(root);
    own_run();
    let data = Dir::new("docker");
    let container = of_docker("web", &data);
    let begin = &container.id[..container.id.len() - 1];
    for word in ["web", &container.id, begin] {
        let done = casemate(&["state", word]).ok();
        let state: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(state["id"], container.id.as_str(), "{word}");
        let said = format!("casemate: {word} is {} (docker web, in {DOCKER})\n", container.id);
        assert_eq!(done.stderr, said);
    }
    let audit: Value =
        serde_json::from_str(&casemate(&["audit", "web", "--format", "json"]).ok().stdout).unwrap();
    assert_eq!((&audit["subject"]["id"], &audit["seen"]), (&json!(container.id), &json!("kernel")));
    let explained = casemate(&["explain", "--brief", "web"]).ok().stdout;
    assert!(explained.starts_with(&format!("Container {} from ", container.id)), "{explained}");
    let pids: Vec<i32> =
        serde_json::from_str(&casemate(&["ps", "--format", "json", "web"]).ok().stdout).unwrap();
    assert_eq!(pids, [container.pid()]);
    casemate(&["kill", "web", "KILL"]).ok();
    container.wait_status("stopped");
    // A root that was named is the only one.
    let said = casemate(&["--root", DEFAULT, "state", "web"]).refused();
    assert!(said.contains("container does not exist"), "{said}");
    // By its name as long as docker knows it, for docker keeps a container that has ended.
    container.delete().ok();
    let explained = casemate(&["explain", "web", "--format", "json"]).ok().stdout;
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!((&explained["id"], &explained["name"]), (&json!(container.id), &json!("web")));
    assert!(explained["ended"].is_string(), "{explained:#}");
    assert!(casemate(&["state", "nobody"]).refused().contains("container does not exist"));
}

#[test]
fn a_word_that_means_several_containers_reaches_none_and_all_are_named() {
    requires!(root);
    own_run();
    let data = Dir::new("docker");
    let (one, two) = (of_docker("web", &data), container(sleeping(), CTR).up());
    let common: String =
        one.id.chars().zip(two.id.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let said = casemate(&["kill", &common, "KILL"]).refused();
    let candidate = format!("{} (docker web, in {DOCKER})", one.id);
    assert!(said.contains(&format!("{common} means 2 containers: ")), "{said}");
    assert!(said.contains(&candidate) && said.contains(CTR), "{said}");
    // A beginning of two letters is nobody's.
    assert!(casemate(&["kill", &common[..2], "KILL"]).refused().contains("does not exist"));
    assert_eq!(
        (one.state()["status"].clone(), two.state()["status"].clone()),
        (json!("running"), json!("running"))
    );
}

#[test]
fn the_exact_id_in_the_default_root_wins_and_nothing_is_said() {
    requires!(root);
    own_run();
    let data = Dir::new("docker");
    let named = of_docker("web", &data);
    let mut own = container(sleeping(), DEFAULT);
    own.id = "web".to_owned();
    let own = own.up();
    let done = casemate(&["state", "web"]).ok();
    assert_eq!(done.stderr, "");
    assert_eq!(id_of_state(&["state", "web"]), "web");
    casemate(&["kill", "web", "KILL"]).ok();
    own.wait_status("stopped");
    assert_eq!(named.state()["status"], "running");
    // Where nobody has that id, the name of one goes before the beginning of another one's id.
    own.delete().ok();
    assert_eq!(id_of_state(&["state", "web"]), named.id);
}

#[test]
fn a_container_of_another_runtime_gets_no_signal_and_is_looked_at() {
    requires!(root);
    own_run();
    let bundle = sleeping();
    bundle.save();
    let mut sleeper = Command::new("sleep");
    let mut sleeper =
        programs::start(sleeper.arg("60").stdout(Stdio::null()).stderr(Stdio::null())).unwrap();
    of_crun("f00dbabe", sleeper.id(), bundle.dir());
    let said = casemate(&["kill", "f00d", "KILL"]).refused();
    assert!(said.contains("f00dbabe (crun, in /run/crun) was made by crun"), "{said}");
    assert!(sleeper.try_wait().unwrap().is_none());
    let audit = casemate(&["audit", "f00d", "--format", "json"]).ok().stdout;
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!((&audit["subject"]["runtime"], &audit["profile"]), (&json!("crun"), &Value::Null));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn list_has_profile_and_findings_behind_the_columns_of_runc() {
    requires!(root);
    own_run();
    let data = Dir::new("docker");
    let docker = of_docker("web", &data);
    let own = container(sleeping(), DEFAULT).up();
    let listed = |words: &[&str]| -> Vec<Value> {
        serde_json::from_str(&casemate(words).ok().stdout).unwrap()
    };
    let here = listed(&["list", "--format", "json"]);
    assert_eq!(here.len(), 1);
    assert_eq!((&here[0]["id"], &here[0]["profile"]), (&json!(own.id), &json!("hardened")));
    let audit = casemate(&["audit", &own.id, "--format", "json"]).ok().stdout;
    let audit: Value = serde_json::from_str(&audit).unwrap();
    // As its verdict counts them: notes are none.
    let found = audit["findings"].as_array().unwrap().iter();
    assert_eq!(here[0]["findings"], found.filter(|finding| finding["level"] != "note").count());
    let table = casemate(&["list"]).ok().stdout;
    // What cannot be looked at is told, and is no container without findings.
    std::fs::write(data.path().join("containers").join(&docker.id).join("config.v2.json"), "{")
        .unwrap();
    let done = casemate(&["--root", DOCKER, "list"]).ok();
    assert!(
        done.stderr.contains(&docker.id) && done.stderr.contains("config.v2.json"),
        "{}",
        done.stderr
    );
    write(
        &data.path().join("containers").join(&docker.id).join("config.v2.json"),
        json!({"Name": "/web"}).to_string(),
    );
    let title: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(title, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER", "PROFILE", "FINDINGS"]);
    let all = listed(&["list", "--all-roots", "--format", "json"]);
    let found: Vec<(&Value, &Value, &Value)> =
        all.iter().map(|one| (&one["id"], &one["root"], &one["name"])).collect();
    let docker = (&json!(docker.id), &json!(DOCKER), &json!("web"));
    assert_eq!(found, [(&json!(own.id), &json!(DEFAULT), &Value::Null), docker]);
    let said = casemate(&["--root", DEFAULT, "list", "--all-roots"]).refused();
    assert!(said.contains("cannot both be meant"), "{said}");
}

fn summed_up(words: &[&str]) -> (Value, i32) {
    let done = casemate(&[&["audit", "--all", "--format", "json"], words].concat()).done();
    let code = done.code();
    let answer = serde_json::from_str(&done.stdout);
    (answer.unwrap_or_else(|error| panic!("{error}: {}", done.stderr)), code)
}

#[test]
fn audit_all_says_who_runs_with_what_and_fails_where_something_does_not_hold() {
    requires!(root);
    requires!(program "nsenter");
    own_run();
    let data = Dir::new("docker");
    let docker = of_docker("web", &data);
    let open = container(sleeping().edit(|c| c["root"]["readonly"] = json!(false)), CTR)
        .global(&["--allow", "rootfs.writable"])
        .up();
    of_crun("f00dbabe", std::process::id(), docker.bundle.dir());
    let (answer, status) = summed_up(&[]);
    assert_eq!((&answer["problems"], status), (&json!([]), 0), "{answer:#}");
    let row = |id: &str| {
        let rows = answer["containers"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).unwrap().clone()
    };
    let web = row(&docker.id);
    assert_eq!((&web["engine"], &web["name"]), (&json!("docker"), &json!("web")));
    assert_eq!((&web["profile"], &web["violations"]), (&json!("hardened"), &json!(0)));
    assert_eq!(row(&open.id)["overrides"], json!(["rootfs.writable", "userns.host"]));
    assert!(row("f00dbabe").get("profile").is_none() && row("f00dbabe")["runtime"] == "crun");
    let text = casemate(&["audit", "--all"]).ok().stdout;
    let counts = "3 containers (1 (crun), 2 hardened): 2 with overrides, ";
    assert!(text.lines().last().unwrap().starts_with(counts), "{text}");
    // Root of the host mounts in a container what its profile does not let in.
    let pid = docker.pid().to_string();
    let nsenter = ["--target", &pid, "--mount", "--pid", "--", "/bin/busybox"];
    let words = [&nsenter[..], &["mount", "-t", "proc", "proc", "/mnt"]].concat();
    let done = programs::output(Command::new("nsenter").args(words)).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (answer, status) = summed_up(&[]);
    let rows = answer["containers"].as_array().unwrap();
    let web = rows.iter().find(|row| row["id"] == docker.id.as_str()).unwrap();
    assert!(web["violations"].as_u64().unwrap() > 0, "{answer:#}");
    assert_eq!(status, 2);
    // Of one root alone.
    let done = casemate(&["--root", CTR, "audit", "--all", "--format", "json"]).ok();
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer["containers"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_looked_at_is_told_and_is_no_empty_answer() {
    requires!(root);
    own_run();
    let own = container(sleeping(), DEFAULT).up();
    let broken = Path::new(CTR).join("broken");
    make(&broken);
    write(&broken.join("record.json"), "{}");
    let (answer, status) = summed_up(&[]);
    let rows = answer["containers"].as_array().unwrap();
    let broken = rows.iter().find(|row| row["id"] == "broken").unwrap();
    assert!(broken["problem"].as_str().unwrap().contains("record.json"), "{broken:#}");
    assert_eq!((rows.len(), status), (2, 1));
    let done = casemate(&["list", "--all-roots"]).ok();
    assert!(done.stdout.contains(&own.id), "{}", done.stdout);
}

#[test]
fn root_that_looks_for_a_name_finds_nothing_that_a_user_has_written() {
    requires!(root);
    own_run();
    let theirs = Path::new("/run/user/4711/casemate/web");
    make(theirs);
    write(&theirs.join("record.json"), "{}");
    // A directory of root's by a link, in which the user's own is the container.
    std::os::unix::fs::symlink("/run/user", "/run/user/4711/runc").unwrap();
    programs::output(Command::new("chown").args(["-R", "4711", "/run/user/4711"])).unwrap();
    for id in ["web", "4711"] {
        for command in ["state", "audit", "why"] {
            let text = casemate(&[command, id]).refused();
            assert!(!text.contains("/run/user"), "{text}");
        }
    }
    // Not even where somebody calls the directory of all users a state root.
    let text = casemate(&["--root", "/run/user", "state", "4711"]).refused();
    assert!(text.contains("belongs to uid 4711, and you are uid 0"), "{text}");
}

#[test]
fn the_score_is_the_sum_of_its_terms_and_an_override_raises_it() {
    requires!(root);
    let score = |container: &Container| -> Value {
        let words = ["--score", "--format", "json", &container.id];
        let report: Value =
            serde_json::from_str(&container.command("audit").args(words).ok().stdout).unwrap();
        report["score"].clone()
    };
    let tight = Container::new(sleeping()).up();
    let loose = Container::new(sleeping()).verbatim().up();
    let (low, high) = (score(&tight), score(&loose));
    assert!(low["exposure"].as_f64().unwrap() < 2.0, "{low:#}");
    assert!(
        high["exposure"].as_f64().unwrap() > low["exposure"].as_f64().unwrap() + 2.0,
        "{high:#}"
    );
    for score in [&low, &high] {
        let terms = score["terms"].as_array().unwrap();
        let seen = terms.iter().filter(|term| term["met"].is_boolean());
        let sum = |key: &str| seen.clone().map(|term| term[key].as_f64().unwrap()).sum::<f64>();
        let exposure = (sum("exposed") * 100.0 / sum("weight")).round() / 10.0;
        assert_eq!(score["exposure"], json!(exposure));
    }
    let text = tight.command("audit").args(["--score", &tight.id]).ok().stdout;
    assert!(text.contains("root.readonly") && text.contains("met"), "{text}");
    assert!(text.contains(&format!("{}: exposure ", tight.id)), "{text}");
}

#[test]
fn a_whole_id_that_is_gone_costs_no_look_at_other_containers() {
    requires!(root);
    own_run();
    let others = container(sleeping(), CTR).up();
    // Read, it would be told.
    write(&others.state_dir().join("record.json"), "{");
    let id = "f".repeat(64);
    let said = casemate(&["state", &id]).refused();
    assert!(said.contains("container does not exist") && !said.contains(&others.id), "{said}");
    let said = casemate(&["state", "nobody"]).refused();
    assert!(said.contains("does not exist, as far as can be seen: "), "{said}");
    assert!(said.contains(&others.id), "{said}");
    wait::until("it is gone", || {
        others.delete().done().status.success().then_some(()).ok_or("there".to_owned())
    });
}
