//! Whose word annotations are: which engine made a configuration, and what rules may conclude from
//! it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::Spec;
use casemate_policy::{
    choose, Choice, CommandLine, ControlId, Engine, Label, Mode, NodePolicy, Origin, ProfileName,
    Subject,
};
use common::{parse, plain, put};
use serde_json::json;

type Pair = (&'static str, &'static str);

fn spec(annotations: &[Pair], cgroups_path: Option<&str>) -> Spec {
    let mut document = plain();
    let map: serde_json::Map<_, _> =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    put(&mut document, "/annotations", json!(map));
    put(&mut document, "/linux/cgroupsPath", json!(cgroups_path));
    parse(&document).unwrap()
}

fn policy(text: &str) -> NodePolicy {
    let mut policy = NodePolicy::default();
    policy.add("policy.toml", text).unwrap();
    policy
}

fn chosen(node: &NodePolicy, annotations: &[Pair], path: Option<&str>) -> Result<Choice, String> {
    chosen_for(node, annotations, path, kept(path))
}

fn chosen_for(
    node: &NodePolicy,
    annotations: &[Pair],
    path: Option<&str>,
    origin: Origin<'_>,
) -> Result<Choice, String> {
    let spec = spec(annotations, path);
    let subject = Subject::new(&spec, 0).from(origin);
    choose(node, &subject, &CommandLine::default()).map_err(|e| e.to_string())
}

/// Where the engine keeps the bundle that puts containers into such a cgroup.
fn kept(path: Option<&str>) -> Origin<'static> {
    let bundle = if path.is_some_and(|path| path.contains("crio")) { OF_CRIO } else { OF_CRI };
    Origin { id: "abc", bundle }
}

const OF_CRI: &str = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/abc";
const OF_CRIO: &str = "/run/containers/storage/overlay-containers/abc/userdata";

const CRIO: Option<&str> = Some("kubepods-besteffort-pod1.slice:crio:abc");
const CRIO_FS: Option<&str> = Some("/kubepods/besteffort/pod1/crio-abc");
const CONTAINERD: Option<&str> = Some("kubepods-pod1.slice:cri-containerd:abc");
const CONTAINERD_FS: Option<&str> = Some("/kubepods/besteffort/pod1/abc");
const PODMAN: Option<&str> = Some("machine.slice:libpod:abc");
const PODMAN_SPLIT: Option<&str> = Some("/system.slice/x.service/libpod-payload-abc");

const BY_CRIO: Pair = ("io.container.manager", "cri-o");
const BY_PODMAN: Pair = ("io.container.manager", "libpod");
const CRIO_SYSTEM: Pair = ("io.kubernetes.pod.namespace", "kube-system");
const CRI_SYSTEM: Pair = ("io.kubernetes.cri.sandbox-namespace", "kube-system");

fn system_is_privileged() -> NodePolicy {
    policy("[[rule]]\nmatch.namespace = [\"kube-system\"]\nprofile = \"privileged\"")
}

#[test]
fn an_engine_is_known_by_what_it_writes_itself() {
    let of = |annotations: &[Pair], path| {
        Subject::new(&spec(annotations, path), 0).from(kept(path)).engine().unwrap()
    };
    for path in [CRIO, CRIO_FS] {
        assert_eq!(of(&[BY_CRIO], path), Some(Engine::CriO));
        // A pod can write the manager into its sandbox, where CRI-O writes it first.
        assert_eq!(of(&[("io.container.manager", "x")], path), None);
    }
    for path in [CONTAINERD, CONTAINERD_FS, Some("/abc")] {
        assert_eq!(of(&[CRI_SYSTEM], path), Some(Engine::Containerd));
        assert_eq!(of(&[], path), None);
    }
    for path in [PODMAN, PODMAN_SPLIT, None, Some("")] {
        assert_eq!(of(&[BY_PODMAN], path), Some(Engine::Podman));
    }
    // An image's annotations under podman, with a cgroup and without one.
    for path in [None, Some(""), Some("/user.slice/x")] {
        assert_eq!(of(&[BY_CRIO, CRIO_SYSTEM], path), None);
    }
    assert_eq!(of(&[CRI_SYSTEM], None), None);
    assert_eq!(of(&[("io.container.manager", "x")], PODMAN), Some(Engine::Podman));
    assert_eq!(of(&[], Some("system.slice:docker:abc")), None);
}

#[test]
fn users_of_docker_ctr_and_nerdctl_do_not_pass_for_an_engine_of_kubernetes() {
    let node = system_is_privileged();
    let profile = |annotations: &[Pair], path, bundle| {
        let origin = Origin { id: "abc", bundle };
        chosen_for(&node, annotations, Some(path), origin).unwrap().profile.name
    };
    let tasks = "/run/containerd/io.containerd.runtime.v2.task";
    let [moby, default, other] =
        ["moby/abc", "default/abc", "k8s.io/abd"].map(|end| format!("{tasks}/{end}"));
    for cgroup in
        ["/docker/abc", "/default/abc", "/kubepods/pod1/abc", "a.slice:cri-containerd:abc"]
    {
        for bundle in [&moby, &default, &other, "", "/srv/k8s.io/abc", "/srv/abc"] {
            assert_eq!(profile(&[CRI_SYSTEM], cgroup, bundle), ProfileName::Hardened, "{bundle}");
        }
    }
    // The engine's own place, and a cgroup that is not its container's.
    for cgroup in ["/docker/x", "k.slice:cri-containerd:x", "k.slice:docker:abc", "/abc/x", ":abc"]
    {
        assert_eq!(profile(&[CRI_SYSTEM], cgroup, OF_CRI), ProfileName::Hardened, "{cgroup}");
    }
    let crio = [BY_CRIO, CRIO_SYSTEM];
    for bundle in
        [&default, "", "/srv/abc", "/srv/x/abc/userdata", "/s/overlay-containers/x/userdata"]
    {
        for cgroup in ["/x/crio-abc", "k.slice:crio:abc"] {
            assert_eq!(profile(&crio, cgroup, bundle), ProfileName::Hardened, "{bundle}");
        }
    }
    for cgroup in ["/x/crio-01", "k.slice:crio:abcd", "/x/crio-abc/y"] {
        assert_eq!(profile(&crio, cgroup, OF_CRIO), ProfileName::Hardened, "{cgroup}");
    }
    // Nobody has said what the container is called.
    let nameless = Origin { id: "", bundle: "/run/io.containerd.runtime.v2.task/k8s.io/" };
    let choice = chosen_for(&node, &[CRI_SYSTEM], Some("/kubepods/"), nameless).unwrap();
    assert_eq!(choice.profile.name, ProfileName::Hardened);
}

#[test]
fn kubernetes_engines_are_known_wherever_they_keep_their_state() {
    let node = system_is_privileged();
    for (bundle, annotations, path) in [
        (
            "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/abc",
            &[CRI_SYSTEM][..],
            CONTAINERD,
        ),
        ("/srv/state/io.containerd.runtime.v2.task/k8s.io/abc", &[CRI_SYSTEM], CONTAINERD_FS),
        // Pods of crictl, and of kubelets without cgroups for pods.
        (OF_CRI, &[CRI_SYSTEM], Some("/k8s.io/abc")),
        ("/srv/run/vfs-containers/abc/userdata", &[BY_CRIO, CRIO_SYSTEM], CRIO),
        (OF_CRIO, &[BY_CRIO, CRIO_SYSTEM], CRIO_FS),
    ] {
        let origin = Origin { id: "abc", bundle };
        let choice = chosen_for(&node, annotations, path, origin).unwrap();
        assert_eq!(choice.profile.name, ProfileName::Privileged, "{bundle}");
    }
}

#[test]
fn an_engine_that_an_ordinary_user_runs_gives_nothing_by_namespace() {
    let node = system_is_privileged();
    let spec = spec(&[CRI_SYSTEM], CONTAINERD);
    let subject = Subject::new(&spec, 1000).from(kept(CONTAINERD));
    let choice = choose(&node, &subject, &CommandLine::default()).unwrap();
    assert_eq!(
        (choice.engine, choice.profile.name),
        (Some(Engine::Containerd), ProfileName::Hardened)
    );
}

#[test]
fn a_pods_annotation_does_not_choose_the_namespace_that_rules_see_under_crio() {
    let node = system_is_privileged();
    let profile = |annotations: &[Pair]| chosen(&node, annotations, CRIO).unwrap().profile.name;
    let ours: Pair = ("io.kubernetes.pod.namespace", "shop");
    let claimed: Pair = ("io.kubernetes.cri-o.Namespace", "kube-system");
    assert_eq!(profile(&[BY_CRIO, ours, claimed]), ProfileName::Hardened);
    assert_eq!(profile(&[BY_CRIO, claimed]), ProfileName::Hardened);
    assert_eq!(profile(&[BY_CRIO, CRIO_SYSTEM]), ProfileName::Privileged);
}

#[test]
fn an_image_does_not_pass_for_another_engine_under_podman() {
    let node = system_is_privileged();
    for path in [PODMAN, PODMAN_SPLIT, None] {
        for annotations in
            [&[BY_CRIO, CRIO_SYSTEM][..], &[CRI_SYSTEM], &[BY_PODMAN, CRI_SYSTEM], &[CRIO_SYSTEM]]
        {
            match chosen(&node, annotations, path) {
                Ok(choice) => assert_eq!(choice.profile.name, ProfileName::Hardened),
                Err(message) => assert!(message.contains("signs of two engines: "), "{message}"),
            }
        }
    }
}

#[test]
fn keys_of_two_engines_are_refused_and_both_are_named() {
    let cases = [
        (&[BY_CRIO, CRI_SYSTEM][..], CRIO, "cri-o (annotation io.container.manager=cri-o) and containerd (annotation io.kubernetes.cri.sandbox-namespace)"),
        (&[BY_PODMAN, CRI_SYSTEM], PODMAN, "podman (annotation io.container.manager=libpod) and containerd"),
        (&[BY_CRIO], PODMAN, "cri-o (annotation io.container.manager=cri-o) and podman (linux.cgroupsPath)"),
        (&[BY_PODMAN], CRIO, "podman (annotation io.container.manager=libpod) and cri-o (linux.cgroupsPath)"),
        (&[CRI_SYSTEM], CRIO, "containerd (annotation io.kubernetes.cri.sandbox-namespace) and cri-o"),
    ];
    for (annotations, path, wanted) in cases {
        for profile in ["baseline", "hardened", "restricted"] {
            let node = policy(&format!("profile = {profile:?}"));
            let message = chosen(&node, annotations, path).unwrap_err();
            assert!(message.starts_with("annotations: signs of two engines: "), "{message}");
            assert!(message.contains(wanted), "{message}");
        }
        // Nobody's word is needed for what the node has said; a rule's for a namespace is.
        let node = policy("profile = \"privileged\"");
        assert_eq!(chosen(&node, annotations, path).unwrap().profile.name, ProfileName::Privileged);
        chosen(&system_is_privileged(), annotations, path).unwrap_err();
    }
}

#[test]
fn rules_see_what_containerd_and_crio_say_of_image_and_namespace() {
    let text = "[[rule]]\nprofile = \"baseline\"\nmatch.namespace = [\"web-*\", \"shop\"]\nmatch.image = [\"registry.example/library/nginx:*\"]";
    let node = policy(text);
    let profile =
        |annotations: &[Pair], path| chosen(&node, annotations, path).unwrap().profile.name;
    let kind: Pair = ("io.kubernetes.cri.container-type", "container");
    let namespace: Pair = ("io.kubernetes.cri.sandbox-namespace", "web-7");
    let image: Pair = ("io.kubernetes.cri.image-name", "registry.example/library/nginx:1.27");
    assert_eq!(profile(&[kind, namespace, image], CONTAINERD), ProfileName::Baseline);
    assert_eq!(profile(&[kind, namespace], CONTAINERD), ProfileName::Hardened);
    let other: Pair = ("io.kubernetes.cri.sandbox-namespace", "web");
    assert_eq!(profile(&[kind, other, image], CONTAINERD), ProfileName::Hardened);
    // containerd writes no image's name into a sandbox: there it would be the pod's annotation.
    let sandbox: Pair = ("io.kubernetes.cri.container-type", "sandbox");
    assert_eq!(profile(&[sandbox, namespace, image], CONTAINERD), ProfileName::Hardened);
    let shop: Pair = ("io.kubernetes.pod.namespace", "shop");
    let name: Pair = ("io.kubernetes.container.name", "web");
    let image: Pair = ("io.kubernetes.cri-o.ImageName", "registry.example/library/nginx:1");
    assert_eq!(profile(&[BY_CRIO, shop, name, image], CRIO), ProfileName::Baseline);
    let sandbox: Pair = ("io.kubernetes.container.name", "POD");
    assert_eq!(profile(&[BY_CRIO, shop, sandbox, image], CRIO), ProfileName::Hardened);
}

#[test]
fn what_anybody_can_claim_takes_away_and_does_not_give() {
    let rule = |effects: &str| {
        policy(&format!("[[rule]]\nmatch.annotation = {{ team = \"ci-*\" }}\n{effects}\n"))
    };
    let team: Pair = ("team", "ci-7");
    let asked: Pair = ("org.casemate.allow/devices.gpu", "true");
    let writable: Pair = ("org.casemate.allow/rootfs.writable", "true");
    for path in [None, PODMAN, CRIO, CONTAINERD] {
        let choose =
            |effects: &str, more: &[Pair]| chosen(&rule(effects), &[&[team], more].concat(), path);
        let given = |effects: &str| choose(effects, &[]).unwrap();
        assert_eq!(given("profile = \"baseline\"").profile.name, ProfileName::Hardened);
        assert!(given("allow = [\"rootfs.writable\"]").overrides.granted.is_empty());
        let modes = given("controls = { \"root.readonly\" = \"off\" }");
        assert_eq!(modes.mode(ControlId::ReadonlyRoot), Mode::Enforce);
        assert_eq!(given("values = { \"pids.limit\" = 99999 }").overrides.values.pids_limit, None);
        choose("permit = [\"devices.gpu\"]", &[asked]).unwrap_err();
        // And what takes away.
        assert_eq!(given("profile = \"restricted\"").profile.name, ProfileName::Restricted);
        let modes = given("controls = { \"process.root\" = \"enforce\" }");
        assert_eq!(modes.mode(ControlId::RootUser), Mode::Enforce);
        let pids = given("values = { \"pids.limit\" = 9 }").overrides.values.pids_limit;
        assert_eq!(pids.unwrap().get(), 9);
        choose("forbid = [\"rootfs.writable\"]", &[writable]).unwrap_err();
        choose("permit = []", &[writable]).unwrap_err();
        choose("", &[writable]).unwrap();
    }
}

#[test]
fn a_rule_that_can_give_nothing_is_told_to_whoever_checks_the_policy() {
    let rule = |key: &str, effects: &str| {
        let text = format!(
            "[[rule]]\nname = \"x\"\nmatch.annotation = {{ {key:?} = \"*\" }}\n{effects}\n"
        );
        policy(&text).notes()
    };
    let notes = rule("team", "permit = [\"devices.gpu\"]");
    assert_eq!(notes.len(), 1);
    assert!(notes[0].starts_with("policy.toml:1 (rule \"x\"): annotation team is not written"));
    assert!(rule("team", "profile = \"restricted\"\nforbid = [\"devices.*\"]").is_empty());
    for key in
        ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", "io.kubernetes.cri.image-name"]
    {
        assert!(rule(key, "permit = [\"devices.gpu\"]").is_empty(), "{key}");
    }
}

#[test]
fn what_an_engine_says_of_a_container_is_not_what_a_pod_says() {
    let crio = spec(
        &[
            BY_CRIO,
            CRIO_SYSTEM,
            ("io.kubernetes.cri-o.Namespace", "shop"),
            ("io.kubernetes.pod.uid", "7"),
        ],
        CRIO,
    );
    let label = |label| Engine::CriO.label(&crio.annotations, label);
    assert_eq!(label(Label::Namespace), Some("kube-system"));
    assert_eq!(label(Label::PodUid), Some("7"));
    assert_eq!(label(Label::Image), None);
    assert_eq!(Engine::Podman.label(&crio.annotations, Label::Namespace), None);
}
