//! The Linux part: namespaces, ids, devices, the filter and what else there is.

use super::{words, Maker};
use serde_json::{json, Map, Value};

impl Maker<'_> {
    pub(super) fn linux(&mut self) -> Value {
        let mut linux = Map::new();
        let namespaces = self.namespaces();
        let own = |kind: &str| {
            let entry = namespaces.iter().find(|entry| entry["type"] == kind);
            entry.map(|entry| entry.get("path").is_none())
        };
        let [user, time, network, mount] = ["user", "time", "network", "mount"].map(own);
        let mut put = |name: &str, value: Value| drop(linux.insert(name.to_owned(), value));
        put("namespaces", json!(namespaces));
        if user == Some(true) || (user.is_some() && self.odd()) {
            put("uidMappings", self.mapping());
            put("gidMappings", self.mapping());
        }
        if time == Some(true) && self.rng.chance(70) {
            let offset = json!({ "secs": self.rng.number(&[-1000, 0, 5]), "nanosecs": self.rng.below(1000) });
            put("timeOffsets", json!({ "monotonic": offset, "boottime": { "secs": 7 } }));
        }
        if network.is_some() && !self.places.interfaces.is_empty() && self.rng.chance(self.heat / 3)
        {
            let interface = &self.places.interfaces[self.rng.below(self.places.interfaces.len())];
            put("netDevices", json!({ interface: { "name": "lan%d" } }));
        }
        for name in ["maskedPaths", "readonlyPaths"] {
            if mount.is_some() && self.usual() {
                put(name, json!(self.rng.some(words::PATHS, 40)));
            }
        }
        self.more_of_linux(&mut linux);
        Value::Object(linux)
    }

    fn more_of_linux(&mut self, linux: &mut Map<String, Value>) {
        const PROPAGATION: &[&str] = &[
            "shared",
            "rshared",
            "slave",
            "rslave",
            "private",
            "rprivate",
            "unbindable",
            "runbindable",
        ];
        let mut put = |name: &str, value: Value| drop(linux.insert(name.to_owned(), value));
        put("cgroupsPath", json!(self.places.cgroup));
        if self.usual() {
            put("resources", self.resources());
        }
        if self.odd() {
            put("devices", self.devices());
        }
        if self.odd() {
            put("rootfsPropagation", json!(self.rng.pick(PROPAGATION)));
        }
        if self.rng.chance(50) {
            put("seccomp", self.seccomp());
        }
        if self.odd() {
            let chosen: Map<String, Value> = (0..2)
                .map(|_| words::SYSCTLS[self.rng.below(words::SYSCTLS.len())])
                .map(|(key, value)| (key.to_owned(), json!(value)))
                .collect();
            put("sysctl", Value::Object(chosen));
        }
        if self.rng.chance(self.heat / 4) {
            put("mountLabel", json!("system_u:object_r:container_file_t:s0:c1,c2"));
        }
        if self.rng.chance(self.heat / 6) {
            let rdt = json!({
                "closID": "/../x", "schemata": ["L3:0=ff"], "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=10",
                "enableMonitoring": true
            });
            put("intelRdt", rdt);
        }
        if self.rng.chance(self.heat / 4) {
            let mode =
                self.rng.pick(&["MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL"]);
            let mut policy = json!({ "mode": mode });
            if matches!(mode, "MPOL_BIND" | "MPOL_INTERLEAVE") {
                policy["nodes"] = json!("0");
                policy["flags"] = json!(["MPOL_F_STATIC_NODES"]);
            }
            put("memoryPolicy", policy);
        }
        if self.rng.chance(self.heat / 4) {
            let flags = if self.rng.chance(20) { json!(["ADDR_NO_RANDOMIZE"]) } else { json!([]) };
            put(
                "personality",
                json!({ "domain": self.rng.pick(&["LINUX", "LINUX32"]), "flags": flags }),
            );
        }
    }

    fn namespaces(&mut self) -> Vec<Value> {
        let mut list = Vec::new();
        for kind in ["pid", "network", "mount", "ipc", "uts", "cgroup"] {
            if !self.rng.chance(100 - self.heat / 4) {
                continue;
            }
            list.push(self.namespace(kind));
        }
        for kind in ["user", "time"] {
            if self.rng.chance(self.heat / 2) {
                list.push(self.namespace(kind));
            }
        }
        list
    }

    fn namespace(&mut self, kind: &str) -> Value {
        let known = self.places.namespaces.iter().filter(|(of, _)| of == kind);
        let paths: Vec<&str> = known.map(|(_, path)| path.as_str()).collect();
        match self.rng.chance(self.heat / 2) && !paths.is_empty() {
            true => json!({ "type": kind, "path": self.rng.pick(&paths) }),
            false => json!({ "type": kind }),
        }
    }

    /// Free ids, the host's, all, several, such that touch or overlap.
    fn mapping(&mut self) -> Value {
        const FIRST: &[i64] = &[0, 1, 1000, 65535, 65536, 100_000, 524_288, 4_294_901_759];
        let one = |inside: i64, outside: i64, size: i64| json!({ "containerID": inside, "hostID": outside, "size": size });
        match self.rng.below(8) {
            0 => json!([one(0, self.rng.number(FIRST), self.rng.number(&[1, 1000, 65536]))]),
            1 => json!([one(0, 0, 4_294_967_295)]),
            2 => json!([one(0, 100_000, 1), one(1, self.rng.number(FIRST), 65535)]),
            3 => json!([one(0, 100_000, 65536), one(self.rng.number(FIRST), 100_000, 10)]),
            4 => json!([one(0, 100_000, 65536), one(65536, 0, 1)]),
            _ => json!([one(0, 100_000, 65536)]),
        }
    }

    fn devices(&mut self) -> Value {
        const KNOWN: &[(&str, &str, i64, i64)] = &[
            ("/dev/fuse", "c", 10, 229),
            ("/dev/net/tun", "c", 10, 200),
            ("/dev/kmsg", "c", 1, 11),
            ("/dev/mem", "c", 1, 1),
            ("/dev/sda", "b", 8, 0),
            ("/dev/null", "c", 1, 3),
            ("/dev/../dev/x", "u", 1, 5),
            ("/pipe", "p", 0, 0),
            ("/dev/kvm", "c", 10, 232),
            ("/dev/dri/renderD128", "c", 226, 128),
            ("/dev/nvidia0", "c", 195, 0),
            ("/dev/unknown", "c", 4000, 7),
        ];
        let mut list = Vec::new();
        for _ in 0..=self.rng.below(2) {
            let (path, kind, major, minor) = KNOWN[self.rng.below(KNOWN.len())];
            let mut device = json!({ "path": path, "type": kind });
            if kind != "p" || self.rng.chance(50) {
                device["major"] = json!(major);
                device["minor"] = json!(minor);
            }
            if self.rng.chance(40) {
                device["fileMode"] = json!(self.rng.number(&[0, 438, 511, 4095]));
                device["uid"] = json!(0);
                device["gid"] = json!(self.rng.number(&[0, 5]));
            }
            list.push(device);
        }
        json!(list)
    }

    fn seccomp(&mut self) -> Value {
        if self.rng.chance(self.heat / 4) {
            return json!({});
        }
        let default = self.rng.pick(&["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"]);
        let mut filter = json!({ "defaultAction": default, "syscalls": [
            { "names": ["read", "write", "execve", "exit_group"], "action": "SCMP_ACT_ALLOW" },
        ] });
        if default == "SCMP_ACT_ERRNO" {
            // A container has to run with it.
            filter["defaultAction"] = json!("SCMP_ACT_ALLOW");
            filter["syscalls"][0] = json!({ "names": ["reboot", "swapon"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 });
        }
        if self.odd() {
            filter["architectures"] = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
        }
        if self.odd() {
            filter["flags"] = json!(self
                .rng
                .some(&["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"], 50));
        }
        if self.rng.chance(self.heat / 10) {
            // Few programs live with it.
            filter["defaultAction"] = json!("SCMP_ACT_ERRNO");
            filter["defaultErrnoRet"] = json!(self.rng.number(&[0, 1, 38]));
        }
        if self.odd() {
            let arg = json!({ "index": 1, "value": 2, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ" });
            let rule = json!({ "names": ["kcmp"], "action": "SCMP_ACT_ERRNO", "args": [arg] });
            if let Some(rules) = filter["syscalls"].as_array_mut() {
                rules.push(rule);
            }
        }
        if self.rng.chance(self.heat / 6) {
            filter["listenerPath"] = json!("/run/no-such-agent.sock");
            filter["listenerMetadata"] = json!("x");
            let rule = json!({ "names": ["mknod"], "action": "SCMP_ACT_NOTIFY" });
            if let Some(rules) = filter["syscalls"].as_array_mut() {
                rules.push(rule);
            }
        }
        filter
    }
}
