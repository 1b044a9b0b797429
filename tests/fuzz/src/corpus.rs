//! Good inputs to begin with: fixtures of the tests, and what this machine's kernel says.

use crate::targets::Target;
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the repository, or of the kernel.
fn file(path: &str) -> Vec<u8> {
    let path = top().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn document(path: &str) -> Value {
    serde_json::from_slice(&file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const CONFIGURATIONS: [&str; 3] = [
    "tests/fixtures/policy/plain.json",
    "tests/fixtures/policy/full.json",
    "tests/fixtures/podman-default/config.json",
];

fn parts(pointer: &str) -> Vec<Vec<u8>> {
    let documents = CONFIGURATIONS.iter().map(|path| document(path));
    let found: Vec<Vec<u8>> = documents
        .filter_map(|document| document.pointer(pointer).map(|part| part.to_string().into_bytes()))
        .collect();
    assert!(!found.is_empty(), "no {pointer} in the fixtures");
    found
}

const FILTER: &[u8] = br#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
"syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"}, {"names": ["mount", "clone"],
"action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
{"index": 1, "value": 2, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}, {"index": 0, "value": 7, "op": "SCMP_CMP_GT"}]}]}"#;

const POLICY: &[u8] = br#"profile = "hardened"
permit = ["rootfs.writable", "capabilities.net_raw"]
forbid = ["mounts.host-root"]
allow = ["capabilities.net_raw"]
[controls]
"pids.limit" = "warn"
[values]
"pids.limit" = 4096
"memory.limit" = 1073741824
"userns.range" = { first = 1073741824, count = 65536000 }
[[rule]]
name = "builds"
match = { image = ["registry.example/*"], namespace = ["build"], uid = [1000], annotation = { "a.b/c" = "d*" } }
allow = ["rootfs.writable"]
[audit]
file = "/var/log/casemate/audit.jsonl"
journald = true
"#;

/// A message as sd-bus writes it: a method return with a string, and a signal with four arguments.
fn of_bus() -> Vec<Vec<u8>> {
    let message = |kind: u8, fields: &[(u8, &str, &str)], body: &[u8]| {
        let mut header = Vec::new();
        for (field, signature, value) in fields {
            header.resize(header.len() + header.len().wrapping_neg() % 8, 0);
            header.extend([*field, signature.len() as u8]);
            header.extend(signature.bytes().chain([0]));
            header.resize(header.len() + header.len().wrapping_neg() % 4, 0);
            match *signature {
                "u" => header.extend(value.parse::<u32>().expect("a number").to_le_bytes()),
                "g" => {
                    header.extend([value.len() as u8].into_iter().chain(value.bytes()).chain([0]))
                }
                _ => {
                    header.extend((value.len() as u32).to_le_bytes());
                    header.extend(value.bytes().chain([0]));
                }
            }
        }
        let mut bytes = vec![b'l', kind, 0, 1];
        for number in [body.len() as u32, 7, header.len() as u32] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(header);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(body);
        bytes
    };
    let string = |text: &str| {
        let mut bytes = (text.len() as u32).to_le_bytes().to_vec();
        bytes.extend(text.bytes().chain([0]));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let job =
        [7_u32.to_le_bytes().to_vec(), string("/org/job/7"), string("a.scope"), string("done")]
            .concat();
    vec![
        message(2, &[(5, "u", "3"), (8, "g", "s")], &string(":1.7")),
        message(
            3,
            &[(4, "s", "org.freedesktop.DBus.Error.NoReply"), (5, "u", "3")],
            &string("no reply"),
        ),
        message(
            4,
            &[(1, "o", "/org/x"), (2, "s", "org.x"), (3, "s", "JobRemoved"), (8, "g", "uoss")],
            &job,
        ),
    ]
}

/// An answer with a device and one with an address, as in rtnetlink(7).
fn of_netlink() -> Vec<Vec<u8>> {
    let message = |kind: u16, body: &[u8]| {
        let mut bytes = (16 + body.len() as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let attribute = |kind: u16, value: &[u8]| {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let link = [vec![0; 4], 3_u32.to_ne_bytes().to_vec(), 1_u32.to_ne_bytes().to_vec(), vec![0; 4]]
        .concat();
    let address = [
        vec![2, 24, 0x80, 0],
        3_u32.to_ne_bytes().to_vec(),
        attribute(1, &[10, 0, 0, 1]),
        attribute(2, &[10, 0, 0, 1]),
        attribute(4, &[10, 0, 0, 255]),
        attribute(8, &0x80_u32.to_ne_bytes()),
    ]
    .concat();
    let end = message(3, &0_u32.to_ne_bytes());
    vec![
        [message(16, &link), message(2, &(-19_i32).to_ne_bytes())].concat(),
        [message(20, &address), message(20, &address), end].concat(),
    ]
}

fn of_records() -> Vec<Vec<u8>> {
    let record = document("tests/fixtures/state-0.1.0/record.json").to_string();
    // The words in capitals stand for what is different in each container.
    let record = record.replace("\"HOSTID\"", "1073741824");
    let init = json!({"pid": 7, "start_time": 99, "held": {"cgroup": {"path": "/sys/fs/cgroup/a", "unit": null, "before": null}, "rootless": false}});
    vec![record.into_bytes(), init.to_string().into_bytes()]
}

/// Those of a target; there is at least one.
///
/// # Panics
/// If a file is missing, or there is no such target.
#[must_use]
pub fn of(target: &Target) -> Vec<Vec<u8>> {
    match target.name {
        "config" => CONFIGURATIONS.iter().map(|path| file(path)).collect(),
        "process" => parts("/process"),
        "resources" => parts("/linux/resources"),
        "seccomp" => vec![
            document("tests/fixtures/podman-default/config.json")["linux"]["seccomp"].to_string().into_bytes(),
            FILTER.to_vec(),
        ],
        "policy" => vec![file("profiles/policy.toml"), POLICY.to_vec()],
        "record" => of_records(),
        "mountinfo" => vec![
            file("crates/policy/tests/generated/host.mountinfo"),
            b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n".to_vec(),
            b"1 2 0:1 / /a\\040b ro shared:3 propagate_from:4 unbindable - overlay none rw,lowerdir=/a\\:b:/c,upperdir=/u\n".to_vec(),
        ],
        "audit" => vec![
            b"audit: type=1326 audit(1795881239.378:21): auid=4294967295 uid=1390804992 gid=0 ses=1 pid=7 comm=\"log\" exe=6C6F67 sig=0 arch=c000003e syscall=110 compat=0 ip=0x7ff3 code=0x50000".to_vec(),
            b"type=AVC msg=audit(1.000:2): avc:  denied  { read write } for  pid=7 comm=\"cat\" name=\"x\" scontext=u:r:t:s0:c1,c2 tclass=file permissive=0".to_vec(),
            b"type=AVC msg=audit(1.000:3): apparmor=\"DENIED\" operation=\"open\" profile=\"p\" name=\"/proc/x\" pid=8 fsuid=0".to_vec(),
            b"type=UNKNOWN[1423] msg=audit(1.000:4): domain=1a2b blockers=fs.refer path=\"/usr\" dev=\"vda\" ino=3".to_vec(),
        ],
        "proc" => vec![file("/proc/self/status"), file("/proc/self/stat"), file("/proc/self/uid_map"), b"0 100000 65536\n65536 1 1\n".to_vec()],
        "bus" => of_bus(),
        "netlink" => of_netlink(),
        other => panic!("no inputs for {other}"),
    }
}
