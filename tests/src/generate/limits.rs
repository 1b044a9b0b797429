//! Limits of the container's cgroup, and the devices that it may use.

use super::Maker;
use serde_json::{json, Map, Value};

impl Maker<'_> {
    pub(super) fn resources(&mut self) -> Value {
        let mut resources = Map::new();
        let mut put = |name: &str, value: Value| drop(resources.insert(name.to_owned(), value));
        put("devices", self.device_rules());
        if self.rng.chance(50) {
            put("memory", json!({ "limit": self.rng.number(&[1 << 28, 1 << 30, -1]) }));
        }
        if self.odd() {
            put("memory", self.memory());
        }
        if self.rng.chance(50) {
            put("pids", json!({ "limit": self.rng.number(&[-1, 100, 2048, 1_000_000]) }));
        }
        if self.odd() {
            put("cpu", self.cpu());
        }
        if self.rng.chance(self.heat / 3) {
            put("blockIO", self.block_io());
        }
        if self.rng.chance(self.heat / 4) {
            put("hugepageLimits", json!([{ "pageSize": "2MB", "limit": 2_097_152 }]));
        }
        if self.rng.chance(self.heat / 4) {
            let priorities = json!([{ "name": "eth0", "priority": 3 }]);
            put("network", json!({ "classID": 7, "priorities": priorities }));
        }
        if self.rng.chance(self.heat / 4) {
            put("rdma", json!({ "mlx5_1": { "hcaHandles": 3, "hcaObjects": 10_000 } }));
        }
        if self.odd() {
            const FILES: &[(&str, &str)] = &[
                ("memory.high", "1073741824"),
                ("memory.oom.group", "0"),
                ("pids.max", "max"),
                ("cgroup.freeze", "1"),
                ("cgroup.procs", "1"),
                ("cgroup.subtree_control", "+cpu"),
                ("../cgroup.procs", "0"),
                ("memory.swap.max", "0"),
            ];
            let (name, value) = FILES[self.rng.below(FILES.len())];
            put("unified", json!({ name: value }));
        }
        Value::Object(resources)
    }

    fn device_rules(&mut self) -> Value {
        let mut rules = Vec::new();
        if self.usual() {
            rules.push(json!({ "allow": false, "access": "rwm" }));
        }
        while self.odd() && rules.len() < 6 {
            let mut rule = json!({ "allow": self.rng.chance(80), "access": self.rng.pick(&["r", "rw", "rwm", "m"]) });
            if self.rng.chance(70) {
                rule["type"] = json!(self.rng.pick(&["a", "b", "c"]));
                rule["major"] = json!(self.rng.number(&[-1, 1, 8, 10, 136, 195]));
                rule["minor"] = json!(self.rng.number(&[-1, 0, 3, 200, 229]));
            }
            rules.push(rule);
        }
        json!(rules)
    }

    fn memory(&mut self) -> Value {
        let mut memory = json!({ "limit": 1 << 28, "swap": 1 << 29, "reservation": 1 << 27 });
        if self.rng.chance(30) {
            memory["kernel"] = json!(-1);
            memory["kernelTCP"] = json!(-1);
            memory["swappiness"] = json!(60);
        }
        memory["disableOOMKiller"] = json!(self.rng.chance(10));
        memory["useHierarchy"] = json!(self.rng.chance(50));
        memory["checkBeforeUpdate"] = json!(self.rng.chance(50));
        memory
    }

    fn cpu(&mut self) -> Value {
        let mut cpu = json!({ "shares": self.rng.number(&[0, 2, 1024, 262_144]) });
        if self.rng.chance(50) {
            cpu["period"] = json!(100_000);
            cpu["quota"] = json!(self.rng.number(&[-1, 50_000]));
            cpu["burst"] = json!(0);
        }
        if self.rng.chance(20) {
            cpu["cpus"] = json!("0");
            cpu["mems"] = json!("0");
        }
        if self.rng.chance(20) {
            cpu["idle"] = json!(self.rng.number(&[0, 1]));
        }
        if self.rng.chance(20) {
            cpu["realtimeRuntime"] = json!(0);
            cpu["realtimePeriod"] = json!(1_000_000);
        }
        cpu
    }

    fn block_io(&mut self) -> Value {
        let weight = json!([{ "major": 8, "minor": 0, "weight": 200, "leafWeight": 200 }]);
        let rate = json!([{ "major": 8, "minor": 0, "rate": self.rng.number(&[0, 1024]) }]);
        json!({
            "weight": 100, "leafWeight": 100, "weightDevice": weight, "throttleReadBpsDevice": rate,
            "throttleWriteBpsDevice": rate, "throttleReadIOPSDevice": rate, "throttleWriteIOPSDevice": rate
        })
    }
}
