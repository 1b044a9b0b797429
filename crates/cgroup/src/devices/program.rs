//! Device rules as a BPF program of type BPF_PROG_TYPE_CGROUP_DEVICE, and the same decision in Rust.
//!
//! The kernel calls the program with a kind, a device number and the set of accesses wanted at once (open O_RDWR
//! wants two). Walking the rules from the last to the first, each wanted access is decided by the first rule met
//! that speaks of it: a denying rule ends the walk, an allowing one strikes its accesses off what is still open.
//! Neighbouring rules with the same verdict may change places, so that those that differ only in the device number
//! share one body: half the instructions and half the load time of a rule-by-rule program.
//! Pure: bytes are made here and loaded elsewhere.

use super::{effective, DeviceAccess, DeviceKind, DeviceRule};

// linux/bpf.h: BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR.
const BLOCK: u32 = 1;
const CHAR: u32 = 2;

// Registers. R1 holds the context on entry, R0 the verdict on exit.
const VERDICT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const WANTED: u8 = 3;
const NUMBER: u8 = 4;

// Offsets in `struct bpf_cgroup_dev_ctx`.
const MAJOR_AT: i16 = 4;
const MINOR_AT: i16 = 8;

// Opcodes (RFC 9669): class, source and operation already combined.
const LOAD_WORD: u8 = 0x61;
const ALU32_AND_IMM: u8 = 0x54;
const ALU32_RSH_IMM: u8 = 0x74;
const ALU32_MOV_REG: u8 = 0xbc;
const ALU64_MOV_IMM: u8 = 0xb7;
const JMP32_EQ_IMM: u8 = 0x16;
const JMP32_NE_IMM: u8 = 0x56;
const JMP32_SET_IMM: u8 = 0x46;
const JUMP: u8 = 0x05;
const EXIT: u8 = 0x95;

/// A compiled list of device rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProgram {
    instructions: Vec<u64>,
}

impl DeviceProgram {
    /// Compile `rules`. No rule at all denies every device.
    ///
    /// JMP32 instructions are used, because device numbers are 32 bits wide without sign: Linux 5.1.
    pub fn compile(rules: &[DeviceRule]) -> Self {
        let (default, rules) = effective(rules);
        let mut code = prologue();
        for group in groups(rules) {
            emit_group(&mut code, &group);
        }
        emit_verdict(&mut code, default);
        Self { instructions: code }
    }

    /// Whether `rules` allow `access` to a device (`kind` block or char), decided without the kernel.
    pub fn allows(
        rules: &[DeviceRule],
        kind: DeviceKind,
        (major, minor): (u32, u32),
        access: DeviceAccess,
    ) -> bool {
        let (default, rules) = effective(rules);
        let mut wanted = access.bits();
        for rule in rules.iter().rev() {
            let speaks = (rule.kind == DeviceKind::All || rule.kind == kind)
                && rule.major.is_none_or(|m| m == major)
                && rule.minor.is_none_or(|m| m == minor);
            if !speaks {
                continue;
            }
            if !rule.allow && wanted & rule.access.bits() != 0 {
                return false;
            }
            if rule.allow {
                wanted &= !rule.access.bits();
                if wanted == 0 {
                    return true;
                }
            }
        }
        default
    }

    /// The instructions as the kernel takes them, one 64-bit word each.
    pub fn instructions(&self) -> &[u64] {
        &self.instructions
    }
}

/// `struct bpf_insn`: opcode, two registers of four bits, offset, immediate; in host byte order.
fn instruction(code: u8, dst: u8, src: u8, offset: i16, immediate: u32) -> u64 {
    let registers = if cfg!(target_endian = "little") { dst | src << 4 } else { dst << 4 | src };
    let mut bytes = [0u8; 8];
    bytes[0] = code;
    bytes[1] = registers;
    bytes[2..4].copy_from_slice(&offset.to_ne_bytes());
    bytes[4..8].copy_from_slice(&immediate.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

/// Take `struct bpf_cgroup_dev_ctx` apart: access and kind share its first word.
fn prologue() -> Vec<u64> {
    vec![
        instruction(LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(ALU32_MOV_REG, WANTED, KIND, 0, 0),
        instruction(ALU32_AND_IMM, KIND, 0, 0, 0xffff),
        instruction(ALU32_RSH_IMM, WANTED, 0, 0, 16),
    ]
}

fn emit_verdict(code: &mut Vec<u64>, allow: bool) {
    code.push(instruction(ALU64_MOV_IMM, VERDICT, 0, 0, allow.into()));
    code.push(instruction(EXIT, 0, 0, 0, 0));
}

/// Major and minor; `None` is any, and sorts first.
type Number = (Option<u32>, Option<u32>);

/// So that no jump inside a group exceeds its 16 bits.
const MAX_NUMBERS: usize = 4096;

/// Rules that differ in the device number only.
struct Group {
    allow: bool,
    kind: DeviceKind,
    access: DeviceAccess,
    numbers: Vec<Number>,
}

impl Group {
    fn takes(&self, rule: &DeviceRule) -> bool {
        self.kind == rule.kind && self.access == rule.access && self.numbers.len() < MAX_NUMBERS
    }
}

/// The rules from the last to the first, those of a run of equal verdicts grouped.
fn groups(rules: &[DeviceRule]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut run = 0;
    for rule in rules.iter().rev().filter(|rule| rule.access != DeviceAccess::default()) {
        if groups.last().is_some_and(|last| last.allow != rule.allow) {
            run = groups.len();
        }
        let number = (rule.major, rule.minor);
        match groups[run..].iter_mut().find(|group| group.takes(rule)) {
            Some(group) => group.numbers.push(number),
            None => groups.push(Group {
                allow: rule.allow,
                kind: rule.kind,
                access: rule.access,
                numbers: vec![number],
            }),
        }
    }
    for group in &mut groups {
        group.numbers.sort_unstable();
        group.numbers.dedup();
    }
    groups
}

fn emit_group(code: &mut Vec<u64>, group: &Group) {
    let (mut to_body, mut to_end) = (Vec::new(), Vec::new());
    let kind = match group.kind {
        DeviceKind::All => None,
        DeviceKind::Block => Some(BLOCK),
        DeviceKind::Char => Some(CHAR),
    };
    if let Some(kind) = kind {
        to_end.push(code.len());
        code.push(instruction(JMP32_NE_IMM, KIND, 0, 0, kind));
    }
    if !group.numbers.contains(&(None, None)) {
        emit_numbers(code, &group.numbers, &mut to_body);
        to_end.push(code.len());
        code.push(instruction(JUMP, 0, 0, 0, 0));
    }
    let body = code.len();
    emit_body(code, group);
    let end = code.len();
    to_body.into_iter().for_each(|at| aim(code, at, body));
    to_end.into_iter().for_each(|at| aim(code, at, end));
}

/// Jump to the body (positions of the jumps are left in `to_body`) if the device has one of the sorted `numbers`.
///
/// Numbers are loaded afresh each time: one kept in a register would stay known to the verifier after a match,
/// and a thousand rules would be a thousand states to follow through all later rules.
fn emit_numbers(code: &mut Vec<u64>, numbers: &[Number], to_body: &mut Vec<usize>) {
    let mut jump = |code: &mut Vec<u64>, value| {
        to_body.push(code.len());
        code.push(instruction(JMP32_EQ_IMM, NUMBER, 0, 0, value));
    };
    for section in numbers.chunk_by(|a, b| a.0 == b.0) {
        if let (Some(major), first_minor) = section[0] {
            code.push(instruction(LOAD_WORD, NUMBER, CONTEXT, MAJOR_AT, 0));
            if first_minor.is_none() {
                jump(code, major);
                continue;
            }
            let rest = (section.len() + 1) as i16;
            code.push(instruction(JMP32_NE_IMM, NUMBER, 0, rest, major));
        }
        code.push(instruction(LOAD_WORD, NUMBER, CONTEXT, MINOR_AT, 0));
        section.iter().filter_map(|number| number.1).for_each(|minor| jump(code, minor));
    }
}

/// Give the jump at position `at` its target; offsets count from the next instruction.
fn aim(code: &mut [u64], at: usize, target: usize) {
    let mut bytes = code[at].to_ne_bytes();
    bytes[2..4].copy_from_slice(&((target - at - 1) as i16).to_ne_bytes());
    code[at] = u64::from_ne_bytes(bytes);
}

/// What happens when a rule speaks of the device.
fn emit_body(code: &mut Vec<u64>, group: &Group) {
    let bits = group.access.bits();
    if group.allow {
        code.push(instruction(ALU32_AND_IMM, WANTED, 0, 0, !bits));
        code.push(instruction(JMP32_NE_IMM, WANTED, 0, 2, 0));
    } else {
        code.push(instruction(JMP32_SET_IMM, WANTED, 0, 1, bits));
        code.push(instruction(JUMP, 0, 0, 2, 0));
    }
    emit_verdict(code, group.allow);
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
