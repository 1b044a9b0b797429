//! Device rules as a BPF program of type BPF_PROG_TYPE_CGROUP_DEVICE, and the same decision in Rust.
//!
//! The kernel calls the program with a kind, a device number and the set of accesses wanted at once (open O_RDWR
//! wants two). Walking the rules from the last to the first, each wanted access is decided by the first rule met
//! that speaks of it: a denying rule ends the walk, an allowing one strikes its accesses off what is still open.
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
        for rule in rules.iter().rev().filter(|rule| rule.access != DeviceAccess::default()) {
            emit_rule(&mut code, rule);
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

fn emit_rule(code: &mut Vec<u64>, rule: &DeviceRule) {
    let kind = match rule.kind {
        DeviceKind::All => None,
        DeviceKind::Block => Some(BLOCK),
        DeviceKind::Char => Some(CHAR),
    };
    let body = rule_body(rule);
    // Back to front, so that each test knows how far the end of the rule is.
    let mut reversed: Vec<u64> = body.into_iter().rev().collect();
    for (offset, number) in [(MINOR_AT, rule.minor), (MAJOR_AT, rule.major)] {
        if let Some(number) = number {
            push_test(&mut reversed, NUMBER, number);
            // Loaded afresh for each rule: a number kept in a register would stay known to the verifier after a match,
            // and a thousand rules would be a thousand states to follow through all later rules.
            reversed.push(instruction(LOAD_WORD, NUMBER, CONTEXT, offset, 0));
        }
    }
    if let Some(kind) = kind {
        push_test(&mut reversed, KIND, kind);
    }
    code.extend(reversed.into_iter().rev());
}

/// Skip the rest of the rule, which is what `reversed` holds so far (ten instructions at most), unless equal.
fn push_test(reversed: &mut Vec<u64>, register: u8, value: u32) {
    let rest = reversed.len() as i16;
    reversed.push(instruction(JMP32_NE_IMM, register, 0, rest, value));
}

/// What happens when a rule speaks of the device.
fn rule_body(rule: &DeviceRule) -> Vec<u64> {
    let bits = rule.access.bits();
    let mut body = Vec::with_capacity(5);
    if rule.allow {
        body.push(instruction(ALU32_AND_IMM, WANTED, 0, 0, !bits));
        body.push(instruction(JMP32_NE_IMM, WANTED, 0, 2, 0));
        emit_verdict(&mut body, true);
    } else {
        body.push(instruction(JMP32_SET_IMM, WANTED, 0, 1, bits));
        body.push(instruction(JUMP, 0, 0, 2, 0));
        emit_verdict(&mut body, false);
    }
    body
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
