//! Annotations of every engine, and those that ask for something.

use super::Maker;
use serde_json::{json, Map, Value};

const KNOWN: &[(&str, &str)] = &[
    ("io.container.manager", "libpod"),
    ("io.container.manager", "cri-o"),
    ("io.podman.annotations.privileged", "TRUE"),
    ("io.podman.annotations.seccomp", "unconfined"),
    ("io.kubernetes.cri.container-type", "sandbox"),
    ("io.kubernetes.cri.container-type", "container"),
    ("io.kubernetes.cri.sandbox-id", "0123456789abcdef"),
    ("io.kubernetes.cri.sandbox-namespace", "kube-system"),
    ("io.kubernetes.cri.image-name", "docker.io/library/x:1"),
    ("io.kubernetes.cri-o.ContainerType", "container"),
    ("io.kubernetes.cri-o.Namespace", "kube-system"),
    ("io.kubernetes.cri-o.SandboxID", "fedcba9876543210"),
    ("io.kubernetes.pod.namespace", "kube-system"),
    ("io.kubernetes.pod.uid", "11111111-2222-3333-4444-555555555555"),
    ("io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel", "true"),
    ("nerdctl/name", "x"),
    ("com.docker.network.id", "x"),
    ("org.opencontainers.image.stopSignal", "9"),
    ("org.systemd.property.KillSignal", "9"),
    ("org.systemd.property.TimeoutStopUSec", "uint64 1"),
    ("org.systemd.property.DeviceAllow", "[('/dev/sda', 'rwm')]"),
    ("org.systemd.property.Delegate", "true"),
    ("org.systemd.property.Description", "'x'"),
    ("run.oci.keep_original_groups", "1"),
    ("run.oci.hooks.stdout", "/etc/cron.d/x"),
    ("run.oci.handler", "/tmp/evil.so"),
    ("run.oci.seccomp.receiver", "/run/x"),
    ("run.oci.mount_context_type", "rootcontext"),
    ("run.oci.systemd.subgroup", ".."),
    ("org.criu.config", "/tmp/criu.conf"),
    ("module.wasm.image/variant", "compat"),
    ("io.containers.trace-syscall", "of:/etc/x"),
    ("com.example/ünï", "a\nb"),
    ("org.casemate.audit", "off"),
];

/// Asked for without anybody's permission.
const ASKING: &[(&str, &str)] = &[
    ("org.casemate.profile", "privileged"),
    ("org.casemate.profile", "baseline"),
    ("org.casemate.profile", "restricted"),
    ("org.casemate.allow/capabilities.all", "true"),
    ("org.casemate.allow/mounts.host-root", "true"),
    ("org.casemate.allow/userns.host", "true"),
    ("org.casemate.deny/capabilities.chown", "true"),
    ("org.casemate.allow/seccomp.unconfined", ""),
];

impl Maker<'_> {
    pub(super) fn annotations(&mut self) -> Value {
        let mut annotations = Map::new();
        while self.odd() && annotations.len() < 8 {
            let (key, value) = KNOWN[self.rng.below(KNOWN.len())];
            annotations.insert(key.to_owned(), json!(value));
        }
        if self.rng.chance(self.heat / 6) {
            let (key, value) = ASKING[self.rng.below(ASKING.len())];
            annotations.insert(key.to_owned(), json!(value));
        }
        Value::Object(annotations)
    }
}
