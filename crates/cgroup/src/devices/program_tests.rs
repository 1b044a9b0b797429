//! Tests of the rule semantics, and of the compiled program by an interpreter of the few instructions it uses.

use super::*;

const R: &str = "r";

fn rule(allow: bool, spec: &str) -> DeviceRule {
    let parts: Vec<&str> = spec.split(' ').collect();
    let (major, minor) = parts[1].split_once(':').unwrap();
    let number = |text: &str| (text != "*").then(|| text.parse().unwrap());
    let kind = match parts[0] {
        "a" => DeviceKind::All,
        "b" => DeviceKind::Block,
        _ => DeviceKind::Char,
    };
    let access = DeviceAccess::parse(parts[2]).unwrap();
    DeviceRule { allow, kind, major: number(major), minor: number(minor), access }
}

fn allow(spec: &str) -> DeviceRule {
    rule(true, spec)
}

fn deny(spec: &str) -> DeviceRule {
    rule(false, spec)
}

/// Both evaluators must agree; their answer.
fn ask(rules: &[DeviceRule], kind: DeviceKind, device: (u32, u32), access: &str) -> bool {
    let access = DeviceAccess::parse(access).unwrap();
    let model = DeviceProgram::allows(rules, kind, device, access);
    let program = DeviceProgram::compile(rules);
    let number = if kind == DeviceKind::Block { BLOCK } else { CHAR };
    let context = [access.bits() << 16 | number, device.0, device.1];
    assert_eq!(interpret(program.instructions(), context), u32::from(model), "{rules:?}");
    model
}

fn ask_char(rules: &[DeviceRule], device: (u32, u32), access: &str) -> bool {
    ask(rules, DeviceKind::Char, device, access)
}

/// Runs the instructions; panics on one that the compiler is not supposed to use.
fn interpret(code: &[u64], context: [u32; 3]) -> u32 {
    let mut registers = [0u32; 11];
    let mut at = 0usize;
    loop {
        let bytes = code[at].to_ne_bytes();
        let (dst, src) = ((bytes[1] & 15) as usize, (bytes[1] >> 4) as usize);
        let offset = i16::from_ne_bytes([bytes[2], bytes[3]]);
        let value = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let mut jump = false;
        match bytes[0] {
            LOAD_WORD => registers[dst] = context[offset as usize / 4],
            ALU32_AND_IMM => registers[dst] &= value,
            ALU32_RSH_IMM => registers[dst] >>= value,
            ALU32_MOV_REG => registers[dst] = registers[src],
            ALU64_MOV_IMM => registers[dst] = value,
            JMP32_EQ_IMM => jump = registers[dst] == value,
            JMP32_NE_IMM => jump = registers[dst] != value,
            JMP32_SET_IMM => jump = registers[dst] & value != 0,
            JUMP => jump = true,
            EXIT => return registers[VERDICT as usize],
            other => panic!("unexpected opcode {other:#x}"),
        }
        at += 1 + if jump { offset as usize } else { 0 };
    }
}

#[test]
fn no_rule_denies_everything() {
    assert!(!ask_char(&[], (1, 3), R));
}

#[test]
fn later_rules_override_earlier_ones() {
    let rules = [allow("c 1:3 rwm"), deny("c 1:3 w")];
    assert!(ask_char(&rules, (1, 3), "r"));
    assert!(!ask_char(&rules, (1, 3), "w"));
    assert!(!ask_char(&rules, (1, 3), "rw"));
    let reversed = [deny("c 1:3 w"), allow("c 1:3 rwm")];
    assert!(ask_char(&reversed, (1, 3), "rw"));
}

#[test]
fn a_rule_for_everything_resets_the_list() {
    let denied = [allow("c 1:3 rwm"), deny("a *:* rwm"), allow("c 1:5 r")];
    assert!(!ask_char(&denied, (1, 3), "r"));
    assert!(ask_char(&denied, (1, 5), "r"));
    let allowed = [deny("c 1:3 rwm"), allow("a *:* rwm"), deny("b 8:0 w")];
    assert!(ask_char(&allowed, (1, 3), "rwm"));
    assert!(!ask(&allowed, DeviceKind::Block, (8, 0), "rw"));
    assert!(ask(&allowed, DeviceKind::Block, (8, 0), "r"));
    assert_eq!(DeviceProgram::compile(&denied[..2]), DeviceProgram::compile(&[]));
}

#[test]
fn accesses_granted_by_different_rules_add_up() {
    let rules = [allow("c 1:3 r"), allow("c 1:* w")];
    assert!(ask_char(&rules, (1, 3), "rw"));
    assert!(!ask_char(&rules, (1, 4), "rw"));
    assert!(!ask_char(&rules, (1, 3), "rwm"));
}

#[test]
fn kind_and_wildcards_select_devices() {
    let rules = [allow("c 136:* rw"), allow("b *:7 m")];
    assert!(ask_char(&rules, (136, 99), "rw"));
    assert!(!ask(&rules, DeviceKind::Block, (136, 99), "rw"));
    assert!(ask(&rules, DeviceKind::Block, (7, 7), "m"));
    assert!(!ask(&rules, DeviceKind::Block, (7, 8), "m"));
}

#[test]
fn device_numbers_use_all_32_bits() {
    let rules = [allow("c 4294967295:4294967294 r")];
    assert!(ask_char(&rules, (u32::MAX, u32::MAX - 1), R));
    assert!(!ask_char(&rules, (u32::MAX, u32::MAX), R));
}

#[test]
fn program_and_model_agree_on_every_short_list() {
    let some = [
        allow("a *:* rwm"),
        deny("a *:* rwm"),
        allow("a *:* r"),
        deny("a *:* w"),
        allow("c 1:* rw"),
        deny("c 1:3 m"),
        allow("c 1:3 m"),
        deny("b *:3 r"),
    ];
    let questions = ["r", "w", "m", "rw", "rwm"];
    for a in some {
        for b in some {
            for c in some {
                for access in questions {
                    ask_char(&[a, b, c], (1, 3), access);
                    ask(&[a, b, c], DeviceKind::Block, (1, 3), access);
                }
            }
        }
    }
}

#[test]
fn grouping_keeps_the_order_of_verdicts() {
    let rules = [
        allow("c 1:3 rw"),
        allow("c 5:* rw"),
        allow("c 1:3 m"),
        deny("c 5:1 rw"),
        deny("c 1:3 w"),
        allow("c 1:5 rw"),
        allow("c *:1 r"),
        allow("c 1:3 w"),
        allow("b *:* m"),
    ];
    for major in [1, 5, 7] {
        for minor in [0, 1, 3, 5] {
            for access in ["r", "w", "m", "rw", "rm", "rwm"] {
                ask_char(&rules, (major, minor), access);
                ask(&rules, DeviceKind::Block, (major, minor), access);
            }
        }
    }
    assert!(ask_char(&rules, (5, 1), "r") && !ask_char(&rules, (5, 1), "w"));
    assert!(ask_char(&rules, (1, 3), "rwm"));
}

#[test]
fn jumps_stay_in_range_for_very_long_lists() {
    let rules: Vec<DeviceRule> = (0..40_000u32)
        .map(|n| DeviceRule { major: Some(n / 3), minor: Some(n), ..allow("c *:* rw") })
        .collect();
    assert!(ask_char(&rules, (39_999 / 3, 39_999), "rw"));
    assert!(ask_char(&rules, (0, 0), "rw"));
    assert!(!ask_char(&rules, (0, 39_999), "rw"));
}

#[test]
fn access_strings_are_read_and_written() {
    assert_eq!(DeviceAccess::parse("mwr"), Some(DeviceAccess::ALL));
    assert_eq!(DeviceAccess::ALL.to_string(), "rwm");
    assert_eq!(DeviceAccess::parse(""), None);
    assert_eq!(DeviceAccess::parse("x"), None);
}
