//! The program: who runs it, and what it may do.

use super::{words, Maker};
use serde_json::{json, Map, Value};

impl Maker<'_> {
    pub(super) fn process(&mut self) -> Value {
        let mut process = Map::new();
        let mut put = |name: &str, value: Value| drop(process.insert(name.to_owned(), value));
        put("args", json!(self.places.args));
        put(
            "cwd",
            json!(if self.odd() { self.rng.pick(&["/tmp", "/..", "//", "/no such"]) } else { "/" }),
        );
        put("env", json!(self.rng.some(words::ENVIRONMENT, self.heat)));
        put("user", self.user());
        put("noNewPrivileges", json!(self.rng.chance(50)));
        if self.usual() {
            put("capabilities", self.capabilities());
        }
        if self.odd() {
            put("rlimits", self.rlimits());
        }
        if self.odd() {
            put("oomScoreAdj", json!(self.rng.number(&[-1000, -999, -1, 0, 1, 100, 1000])));
        }
        if self.odd() {
            put("scheduler", self.scheduler());
        }
        if self.odd() {
            let class = self.rng.pick(&["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]);
            put("ioPriority", json!({ "class": class, "priority": self.rng.below(8) }));
        }
        if self.odd() {
            put("execCPUAffinity", json!({ "initial": "0", "final": "0-1" }));
        }
        if self.rng.chance(self.heat / 3) {
            put("terminal", json!(true));
            put(
                "consoleSize",
                json!({ "height": self.rng.below(300), "width": self.rng.below(300) }),
            );
        }
        if self.rng.chance(self.heat / 3) {
            let profiles = ["unconfined", "casemate-default", "docker-default", "a//b", "x y"];
            put("apparmorProfile", json!(self.rng.pick(&profiles)));
        }
        if self.rng.chance(self.heat / 3) {
            const LABELS: &[&str] = &[
                "system_u:system_r:container_t:s0:c1,c2",
                "system_u:system_r:spc_t:s0",
                "unconfined_u:unconfined_r:unconfined_t:s0",
                "x",
            ];
            put("selinuxLabel", json!(self.rng.pick(LABELS)));
        }
        Value::Object(process)
    }

    fn user(&mut self) -> Value {
        const IDS: &[i64] = &[0, 0, 0, 1, 42, 1000, 65534];
        let mut user = json!({ "uid": self.rng.number(IDS), "gid": self.rng.number(IDS) });
        if self.odd() {
            user["additionalGids"] = json!([self.rng.number(IDS), self.rng.number(IDS)]);
        }
        if self.odd() {
            user["umask"] = json!(self.rng.number(&[0, 18, 63, 511]));
        }
        user
    }

    fn capabilities(&mut self) -> Value {
        let mut sets = Map::new();
        let everything = self.rng.chance(self.heat / 3);
        let common = self.rng.some(&words::CAPABILITIES[..words::ORDINARY], 60);
        for name in ["bounding", "permitted", "effective", "inheritable", "ambient"] {
            let set = if everything {
                words::CAPABILITIES[..41].iter().map(|name| (*name).to_owned()).collect()
            } else if self.odd() {
                self.rng.some(words::CAPABILITIES, self.heat)
            } else {
                common.clone()
            };
            sets.insert(name.to_owned(), json!(set));
        }
        Value::Object(sets)
    }

    fn rlimits(&mut self) -> Value {
        const VALUES: &[u64] = &[0, 1, 64, 1024, 1 << 20, u64::MAX - 1, u64::MAX];
        let kinds = self.rng.some(words::RLIMITS, 20);
        let limits = kinds.into_iter().map(|kind| {
            let (a, b) =
                (VALUES[self.rng.below(VALUES.len())], VALUES[self.rng.below(VALUES.len())]);
            json!({ "type": kind, "hard": a.max(b), "soft": a.min(b) })
        });
        json!(limits.collect::<Vec<_>>())
    }

    fn scheduler(&mut self) -> Value {
        const FLAGS: &[&str] = &[
            "SCHED_FLAG_RESET_ON_FORK",
            "SCHED_FLAG_RECLAIM",
            "SCHED_FLAG_DL_OVERRUN",
            "SCHED_FLAG_KEEP_POLICY",
            "SCHED_FLAG_KEEP_PARAMS",
            "SCHED_FLAG_UTIL_CLAMP_MIN",
            "SCHED_FLAG_UTIL_CLAMP_MAX",
        ];
        const POLICIES: &[&str] = &[
            "SCHED_OTHER",
            "SCHED_BATCH",
            "SCHED_IDLE",
            "SCHED_FIFO",
            "SCHED_RR",
            "SCHED_DEADLINE",
        ];
        let policy = self.rng.pick(POLICIES);
        let mut scheduler = json!({ "policy": policy, "flags": self.rng.some(FLAGS, 10) });
        match policy {
            "SCHED_FIFO" | "SCHED_RR" => {
                scheduler["priority"] = json!(self.rng.number(&[1, 50, 99]))
            }
            "SCHED_DEADLINE" => {
                scheduler["runtime"] = json!(10_000_000);
                scheduler["deadline"] = json!(20_000_000);
                scheduler["period"] = json!(30_000_000);
            }
            _ => scheduler["nice"] = json!(self.rng.number(&[-20, -5, 0, 0, 5, 19])),
        }
        scheduler
    }
}
