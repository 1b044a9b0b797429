//! Hooks, bundles and root file systems by other names: through another process, a layer, a link, a hard link.

use casemate_tests::command::Cmd;
use casemate_tests::hooks::{hooked, set_mode, with_tmp, Place};
use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires, Bundle, Container};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An overlay of three directories, mounted on a fourth.
struct Overlay(Dir);

impl Overlay {
    fn new() -> Self {
        Self::with_upper("upper")
    }

    /// The upper directory has this name among the overlay's options: `link` is a symbolic link to it.
    fn with_upper(named: &str) -> Self {
        host::isolate();
        let dir = Dir::new("overlay");
        symlink("upper", dir.path().join("link")).unwrap();
        for name in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            set_mode(&dir.path().join(name), 0o755);
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        let options =
            format!("lowerdir={},upperdir={},workdir={}", at("lower"), at(named), at("work"));
        mount_overlay(&options, &dir.path().join("merged"));
        Self(dir)
    }

    fn of(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        programs::output(Command::new("umount").arg("-l").arg(self.of("merged"))).unwrap();
    }
}

/// Not by mount(8), which follows links among the options.
fn mount_overlay(options: &str, at: &Path) {
    let mut mount = Command::new("mount");
    mount.args(["-i", "-c", "-t", "overlay", "overlay", "-o", options]).arg(at);
    programs::output(&mut mount).unwrap();
}

/// A state root of its own, in which containers meet.
fn state() -> Dir {
    let state = Dir::new("state");
    set_mode(state.path(), 0o700);
    state
}

/// Runs `script` in a container that has `source` on /mnt.
fn with_volume(state: &Dir, source: &Path, script: &str) {
    let bundle = with_tmp(Bundle::sh(script)).bind(source, "/mnt", &["rw"]);
    drop(Container::new(bundle).in_root(state.path()).run().done());
}

#[test]
fn a_hook_is_not_run_by_a_path_through_what_a_container_has() {
    requires!(root);
    let (place, policy) = (Place::new(), Dir::new("policy"));
    let text = format!("[values]\n\"hooks.allow\" = [{:?}]\n", place.hook());
    std::fs::write(policy.path().join("policy.toml"), text).unwrap();
    let image = Bundle::sh("sleep 600");
    let inside = image.rootfs().join(place.hook().strip_prefix("/").unwrap());
    std::fs::create_dir_all(inside.parent().unwrap()).unwrap();
    casemate_tests::bundle::write(&inside, place.text("image"));
    set_mode(&inside, 0o755);
    let first = Container::new(image).global(&["--profile", "baseline"]).up();
    for link in ["root", "cwd"] {
        let path = format!("/proc/{}/{link}{}", first.pid(), place.hook().display());
        for allowed in ["", "hooks.untrusted"] {
            let second = hooked(Bundle::sh("true"), "prestart", Path::new(&path));
            let policy = ["--policy-dir", policy.path().to_str().unwrap()];
            let second = Container::new(second).global(&policy);
            let second = match allowed {
                "" => second,
                name => second.global(&["--allow", name]),
            };
            let text = second.run().refused();
            let why = if allowed.is_empty() { "another process" } else { "is not in hooks.allow" };
            assert!(text.contains(why), "{text}");
            assert_eq!(place.ran(), "");
        }
    }
    // What it executes is its image's.
    let exe = format!("/proc/{}/exe", first.pid());
    let second = Container::new(hooked(Bundle::sh("true"), "prestart", Path::new(&exe)));
    let text = second.run().refused();
    assert!(text.contains("is no file of the host's"), "{text}");
    first.delete().ok();
}

#[test]
fn a_hook_that_lies_on_an_overlay_is_not_trusted() {
    requires!(root);
    let (place, overlay) = (Place::new(), Overlay::new());
    let (hook, links) = (overlay.of("merged").join("h.sh"), Dir::new("links"));
    std::fs::copy(place.hook(), &hook).unwrap();
    let link = links.path().join("link");
    symlink(&hook, &link).unwrap();
    let script = links.path().join("script");
    casemate_tests::bundle::write(&script, format!("#!{}\n", hook.display()));
    set_mode(&script, 0o755);
    for path in [&hook, &link, &script] {
        let container = Container::new(hooked(Bundle::sh("true"), "poststop", path));
        let text = container.run().refused();
        let why = "lies on overlay, where others may have it by another name (rule hooks.trusted)";
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(place.ran(), "");
}

#[test]
fn a_hook_that_is_run_from_an_overlay_is_not_written_through_a_layer() {
    requires!(root);
    for (layer, upper) in [("lower", "upper"), ("upper", "upper"), ("upper", "link")] {
        let (place, state) = (Place::new(), state());
        let overlay = Overlay::with_upper(upper);
        let hook = overlay.of("merged").join("h.sh");
        let origin = if layer == "lower" { overlay.of("lower") } else { overlay.of("merged") };
        std::fs::copy(place.hook(), origin.join("h.sh")).unwrap();
        let first = hooked(Bundle::sh("sleep 600"), "poststop", &hook);
        let first = Container::new(first).in_root(state.path());
        let first = first.global(&["--allow", "hooks.untrusted"]);
        first.create().ok();
        with_volume(&state, &overlay.of(layer), &place.attack("/mnt/h.sh"));
        first.delete().ok();
        assert_eq!(place.ran(), "orig\n", "{layer} by {upper}");
    }
}

#[test]
fn a_hook_that_is_named_by_a_process_runs_the_file_that_was_judged() {
    requires!(root);
    let (place, tools) = (Place::new(), Dir::new("tools"));
    let program = tools.path().join("busybox");
    programs::copy(&Bundle::new().rootfs().join("bin/busybox"), &program);
    set_mode(&program, 0o755);
    let said = place.path().join("said");
    let link = tools.path().join("proc");
    symlink("/proc", &link).unwrap();
    for proc in ["/proc", "/dev/../proc", link.to_str().unwrap()] {
        let mut engine = programs::start(Command::new(&program).args(["sleep", "600"])).unwrap();
        let exe = format!("{proc}/{}/exe", engine.id());
        let hook = json!([{"path": exe, "args": ["touch", said]}]);
        let bundle = Bundle::sh("sleep 600").edit(|c| c["hooks"]["poststop"] = hook.clone());
        let container = Container::new(bundle);
        container.create().ok();
        // Its number may be another process's by now, or what it executes another file.
        engine.kill().unwrap();
        engine.wait().unwrap();
        container.delete().ok();
        assert!(std::fs::remove_file(&said).is_ok(), "{proc}");
    }
}

#[test]
fn a_hook_with_a_second_name_is_not_trusted() {
    requires!(root);
    let (place, volume) = (Place::new(), Dir::new("volume"));
    std::fs::hard_link(place.hook(), volume.path().join("link")).unwrap();
    let refused = |hook: &Path| {
        let container = Container::new(hooked(Bundle::sh("true"), "poststop", hook));
        let text = container.run().refused();
        assert!(text.contains("has 2 names (hard links) (rule hooks.trusted)"), "{text}");
    };
    refused(&place.hook());
    // What interprets it likewise.
    let scripts = Dir::new("scripts");
    let script = scripts.path().join("script");
    casemate_tests::bundle::write(&script, format!("#!{}\n", place.hook().display()));
    set_mode(&script, 0o755);
    refused(&script);
}

#[test]
fn an_interpreter_that_is_named_from_the_working_directory_is_protected() {
    requires!(root);
    let (place, scripts) = (Place::new(), Dir::new("scripts"));
    let script = scripts.path().join("script");
    let relative = place.hook().strip_prefix("/").unwrap().display().to_string();
    casemate_tests::bundle::write(&script, format!("#!{relative}\n"));
    set_mode(&script, 0o755);
    let bundle = with_tmp(Bundle::sh(&place.attack("/mnt/h.sh")));
    let bundle = bundle.bind(&place.hooks(), "/mnt", &["rw"]);
    Container::new(hooked(bundle, "poststop", &script)).run().done();
    assert_eq!(place.ran(), "orig\n");
}

#[test]
fn a_hook_whose_way_is_broken_keeps_no_other_container_from_being_made() {
    requires!(root);
    let (place, state) = (Place::new(), state());
    let first = hooked(Bundle::sh("sleep 600"), "poststop", &place.hook());
    let first = Container::new(first).in_root(state.path());
    first.create().ok();
    std::fs::rename(place.hooks(), place.path().join("away")).unwrap();
    symlink(place.hooks(), place.hooks()).unwrap();
    let data = Dir::new("data");
    let second = Bundle::sh(": >/mnt/x").bind(data.path(), "/mnt", &["rw"]);
    Container::new(second).in_root(state.path()).run().ok();
    first.delete().done();
}

#[test]
fn a_link_by_which_the_runtime_is_called_is_not_replaced_from_inside() {
    requires!(root);
    // An engine that looks for it in $PATH may call it by the name alone.
    for name in [None, Some("casemate")] {
        let (links, bundle) = (Dir::new("links"), Bundle::sh("rm /mnt/casemate && echo gone"));
        let link = links.path().join("casemate");
        symlink(host::runtime(), &link).unwrap();
        let container = Container::new(bundle.bind(links.path(), "/mnt", &["rw"]));
        let (root, dir) = (container.root(), container.bundle.dir());
        let args = [Path::new("--root"), &root, Path::new("run"), Path::new("--bundle"), dir];
        let mut run = Cmd::new(&link, dir).args(args).args([&container.id]);
        if let Some(name) = name {
            run.inner.arg0(name);
        }
        let done = run.done();
        assert!(link.is_symlink(), "{name:?}: {done:?}");
    }
}

#[test]
fn a_layer_of_an_overlay_over_the_hosts_system_is_not_data() {
    requires!(root);
    host::isolate();
    let layers = Dir::new("layers");
    for name in ["upper", "work"] {
        std::fs::create_dir(layers.path().join(name)).unwrap();
    }
    symlink("upper", layers.path().join("link")).unwrap();
    let (upper, work) = (layers.path().join("upper"), layers.path().join("work"));
    std::fs::create_dir(upper.join("cron.d")).unwrap();
    for named in ["upper", "link", "work/../upper"] {
        let named = layers.path().join(named).display().to_string();
        let options = format!("lowerdir=/etc,upperdir={named},workdir={}", work.display());
        mount_overlay(&options, Path::new("/etc"));
        for source in [upper.clone(), upper.join("cron.d"), layers.path().to_owned()] {
            let bundle = Bundle::sh("true").bind(&source, "/mnt", &["rw"]);
            let text = Container::new(bundle).run().refused();
            assert!(text.contains("mounts.host-etc"), "{named}: {text}");
        }
        programs::output(Command::new("umount").args(["-l", "/etc"])).unwrap();
    }
}

#[test]
fn what_is_extended_read_only_is_judged_by_its_place() {
    requires!(root);
    host::isolate();
    let layers = Dir::new("layers");
    for name in ["a", "b"] {
        std::fs::create_dir(layers.path().join(name)).unwrap();
    }
    std::fs::write(layers.path().join("a/f"), "extended\n").unwrap();
    let at = |name: &str| layers.path().join(name).display().to_string();
    mount_overlay(&format!("ro,lowerdir={}:{}", at("a"), at("b")), Path::new("/opt"));
    // Extensions are mounted where nobody else sees them.
    std::fs::rename(at("b"), at("c")).unwrap();
    let bundle = Bundle::sh("cat /mnt/f").bind(Path::new("/opt"), "/mnt", &["ro"]);
    let done = Container::new(bundle).global(&["--profile", "baseline"]).run().done();
    programs::output(Command::new("umount").args(["-l", "/opt"])).unwrap();
    assert_eq!(done.stdout, "extended\n", "{}", done.stderr);
}

#[test]
fn a_layer_of_a_layer_over_the_hosts_system_is_not_data() {
    requires!(root);
    host::isolate();
    let (inner, work) = (Overlay::new(), Dir::new("work"));
    let at = |name: &str| work.path().join(name).display().to_string();
    for name in ["upper", "work"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    let lower = inner.of("merged").display().to_string();
    let options = format!("lowerdir={lower}:/etc,upperdir={},workdir={}", at("upper"), at("work"));
    mount_overlay(&options, Path::new("/etc"));
    let bundle = Bundle::sh("true").bind(&inner.of("upper"), "/mnt", &["rw"]);
    let text = Container::new(bundle).run().refused();
    programs::output(Command::new("umount").args(["-l", "/etc"])).unwrap();
    assert!(text.contains("mounts.host-etc"), "{text}");
}

#[test]
fn the_bundle_and_the_root_of_another_container_are_not_written_by_other_names() {
    requires!(root);
    let state = state();
    let overlay = Overlay::with_upper("link");
    // The root file system lies on an overlay, and so does a second bundle.
    let first = Bundle::sh("sleep 600");
    for entry in std::fs::read_dir(first.rootfs()).unwrap() {
        let entry = entry.unwrap().path();
        programs::output(Command::new("cp").arg("-a").arg(&entry).arg(overlay.of("lower")))
            .unwrap();
    }
    let first = first.edit(|c| {
        c["root"]["path"] = overlay.of("merged").to_str().unwrap().into();
    });
    let first = Container::new(first).in_root(state.path());
    first.create().ok();
    for layer in ["lower", "upper"] {
        with_volume(&state, &overlay.of(layer), "mkdir -p /mnt/bin; : >/mnt/bin/evil");
        assert!(!overlay.of("merged").join("bin/evil").exists(), "{layer}");
    }
    first.delete().ok();
    // A link leads to the configuration.
    let (first, elsewhere) = (Bundle::sh("sleep 600"), Dir::new("elsewhere"));
    first.save();
    let (config, target) = (first.dir().join("config.json"), elsewhere.path().join("c.json"));
    std::fs::rename(&config, &target).unwrap();
    symlink(&target, &config).unwrap();
    let first = Container::new(first).in_root(state.path());
    first.create().ok();
    let before = std::fs::read(&target).unwrap();
    with_volume(&state, elsewhere.path(), "echo x >/mnt/c.json");
    assert_eq!(std::fs::read(&target).unwrap(), before);
    first.delete().ok();
}
