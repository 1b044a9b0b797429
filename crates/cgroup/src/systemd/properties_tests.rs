//! Tests of the property mapping.

use super::*;
use crate::devices::DeviceAccess;
use crate::limits::{Cpuset, Memory};

fn value(list: &[Property], name: &str) -> Option<Value> {
    list.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

#[test]
fn limits_become_properties() {
    let limits = Limits {
        memory: Memory { limit: Some(100), swap: Some(-1), ..Memory::default() },
        cpu: Cpu { shares: Some(1024), quota: Some(50_000), ..Cpu::default() },
        pids: Some(0),
        oom_group: Some(true),
        ..Limits::default()
    };
    let list = of_limits(&limits, 257).unwrap();
    assert_eq!(value(&list, "MemoryMax"), Some(Value::U64(100)));
    assert_eq!(value(&list, "MemorySwapMax"), Some(Value::U64(u64::MAX)));
    assert_eq!(value(&list, "CPUWeight"), Some(Value::U64(100)));
    assert_eq!(value(&list, "CPUQuotaPerSecUSec"), Some(Value::U64(500_000)));
    assert_eq!(value(&list, "TasksMax"), Some(Value::U64(u64::MAX)));
    assert_eq!(value(&list, "OOMPolicy"), Some(Value::Str("kill".into())));
    assert_eq!(value(&list, "MemoryLow"), None);
}

#[test]
fn properties_that_the_manager_is_too_old_for_are_left_out() {
    let limits = Limits {
        cpu: Cpu { idle: Some(1), period: Some(1000), ..Cpu::default() },
        cpuset: Cpuset { cpus: Some("0".into()), mems: None },
        oom_group: Some(false),
        ..Limits::default()
    };
    let names = |version| -> Vec<String> {
        of_limits(&limits, version).unwrap().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(240), ["CPUQuotaPerSecUSec"]);
    let all = ["CPUWeight", "CPUQuotaPeriodUSec", "CPUQuotaPerSecUSec", "AllowedCPUs", "OOMPolicy"];
    assert_eq!(names(257), all);
}

#[test]
fn quotas_are_rounded_up_to_hundredths_of_a_processor() {
    assert_eq!(quota_per_second(1, 100_000), 10_000);
    assert_eq!(quota_per_second(33_333, 100_000), 340_000);
    assert_eq!(quota_per_second(200_000, 100_000), 2_000_000);
    assert_eq!(quota_per_second(-1, 100_000), u64::MAX);
    assert_eq!(quota_per_second(i64::MAX, 1), u64::MAX);
}

#[test]
fn processor_lists_become_bit_sets() {
    assert_eq!(bit_set("0-2,9").unwrap(), [0b111, 0b10]);
    assert_eq!(bit_set("8").unwrap(), [0, 1]);
    assert_eq!(bit_set("3-1"), None);
    assert_eq!(bit_set("99999999"), None);
}

fn rule(allow: bool, major: Option<u32>, minor: Option<u32>) -> DeviceRule {
    let kind = if major.is_none() { DeviceKind::All } else { DeviceKind::Char };
    DeviceRule { allow, kind, major, minor, access: DeviceAccess::ALL }
}

#[test]
fn an_allow_list_becomes_a_strict_policy() {
    let rules =
        [rule(false, None, None), rule(true, Some(1), Some(3)), rule(true, Some(136), None)];
    let list = of_devices(&rules);
    assert_eq!(value(&list, "DevicePolicy"), Some(Value::Str("strict".into())));
    let pair = |name: &str| (name.to_owned(), "rwm".to_owned());
    let expected = Value::Pairs(vec![pair("/dev/char/1:3"), pair("char-136")]);
    assert_eq!(value(&list, "DeviceAllow"), Some(expected));
}

#[test]
fn rules_that_systemd_cannot_express_leave_it_without_a_policy() {
    for rules in [
        vec![rule(true, None, None)],
        vec![rule(true, Some(1), None), rule(false, Some(1), Some(3))],
    ] {
        let list = of_devices(&rules);
        assert_eq!(value(&list, "DevicePolicy"), Some(Value::Str("auto".into())), "{rules:?}");
        assert_eq!(value(&list, "DeviceAllow"), Some(Value::Pairs(vec![])));
    }
}

#[test]
fn a_quota_among_the_unified_limits_is_told_to_systemd() {
    let told = |text: &str| {
        let unified = [("cpu.max".to_owned(), text.to_owned())].into();
        let list = of_limits(&Limits { unified, ..Limits::default() }, 257).unwrap();
        (value(&list, "CPUQuotaPerSecUSec"), value(&list, "CPUQuotaPeriodUSec"))
    };
    let number = |number| Some(Value::U64(number));
    assert_eq!(told("50000 100000"), (number(500_000), number(100_000)));
    assert_eq!(told("30000 60000"), (number(500_000), number(60_000)));
    assert_eq!(told("20000"), (number(200_000), None));
    assert_eq!(told("max\n"), (number(u64::MAX), None));
    assert_eq!(told("max 100000"), (number(u64::MAX), number(100_000)));
    for text in ["", "0 100000", "1 2 3", "a b"] {
        assert_eq!(told(text), (None, None), "{text}");
    }
}
