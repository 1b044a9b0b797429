//! An interpreter of classic BPF as seccomp uses it (seccomp(2), net/core/filter.c): it answers
//! what a program would do to a system call without making the call. Tests compare programs with
//! it and `explain` asks it. It accepts any program that the kernel's seccomp accepts, not only
//! ours, and it never loops: jumps go forward only.

use crate::arch::Arch;
use crate::bpf::{Insn, Program};
use crate::model::Action;
use std::fmt;

/// `struct seccomp_data`: what a program sees of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeccompData {
    /// System call number, with the ABI's base or bit.
    pub nr: u32,
    /// AUDIT_ARCH_* token.
    pub arch: u32,
    /// Address of the instruction that makes the call.
    pub instruction_pointer: u64,
    /// Arguments as the kernel sees them.
    pub args: [u64; 6],
}

impl SeccompData {
    /// A call of system call `nr` through `arch`.
    pub fn new(arch: Arch, nr: u32, args: [u64; 6]) -> SeccompData {
        SeccompData { nr, arch: arch.audit_token(), instruction_pointer: 0, args }
    }

    /// The 16 words of the structure on a machine of the given byte order.
    pub(crate) fn words(&self, big_endian: bool) -> [u32; 16] {
        let mut words = [0; 16];
        words[0] = self.nr;
        words[1] = self.arch;
        let wide = std::iter::once(self.instruction_pointer).chain(self.args);
        for (slot, value) in words[2..].chunks_exact_mut(2).zip(wide) {
            let (low, high) = (value as u32, (value >> 32) as u32);
            (slot[0], slot[1]) = if big_endian { (high, low) } else { (low, high) };
        }
        words
    }
}

/// The raw value a program returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict(pub u32);

impl Verdict {
    /// The action of the value; one that the kernel does not know kills the process.
    pub fn action(self) -> Action {
        Action::from_ret(self.0).unwrap_or(Action::KillProcess)
    }
}

/// A program that the kernel would not load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// The instruction at this position is not one that seccomp allows.
    BadInsn(usize),
    /// Control left the program at its end.
    FellOff,
}

impl fmt::Display for EvalError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::BadInsn(at) => write!(out, "BPF instruction {at} is not allowed in seccomp"),
            EvalError::FellOff => write!(out, "BPF program ends without a return"),
        }
    }
}

impl std::error::Error for EvalError {}

impl Program {
    /// What the program answers to `data` on a machine whose byte order is `native`'s.
    ///
    /// # Errors
    /// [`EvalError`] where the program is one the kernel would refuse.
    pub fn evaluate(&self, native: Arch, data: &SeccompData) -> Result<Verdict, EvalError> {
        let mut machine =
            Machine { words: data.words(native.is_big_endian()), a: 0, x: 0, mem: [0; 16] };
        let mut at = 0;
        while let Some(insn) = self.insns().get(at) {
            match machine.step(insn).ok_or(EvalError::BadInsn(at))? {
                Step::Skip(count) => at += 1 + count,
                Step::Return(value) => return Ok(Verdict(value)),
            }
        }
        Err(EvalError::FellOff)
    }

    /// What the program answers to a system call whatever its arguments are, and wherever it is made; `None` where it looks at
    /// these, or is one that the kernel would refuse.
    pub fn answer_to_all(&self, native: Arch, nr: u32) -> Option<Action> {
        let data = SeccompData::new(native, nr, [0; 6]);
        let mut machine =
            Machine { words: data.words(native.is_big_endian()), a: 0, x: 0, mem: [0; 16] };
        let mut at = 0;
        while let Some(insn) = self.insns().get(at) {
            if machine.looks_at_call(insn) {
                return None;
            }
            match machine.step(insn)? {
                Step::Skip(count) => at += 1 + count,
                Step::Return(value) => return Some(Verdict(value).action()),
            }
        }
        None
    }
}

struct Machine {
    words: [u32; 16],
    a: u32,
    x: u32,
    mem: [u32; 16],
}

enum Step {
    Skip(usize),
    Return(u32),
}

// Fields of an operation code.
const CLASS: u16 = 0x07;
const SOURCE_X: u16 = 0x08;
const OPERATION: u16 = 0xf0;
const MODE: u16 = 0xe0;

impl Machine {
    /// `None` for an instruction that seccomp does not have.
    fn step(&mut self, insn: &Insn) -> Option<Step> {
        match insn.code & CLASS {
            0 => self.a = self.load(insn, true)?,
            1 => self.x = self.load(insn, false)?,
            2 => *self.mem.get_mut(insn.k as usize)? = self.a,
            3 => *self.mem.get_mut(insn.k as usize)? = self.x,
            4 => self.a = self.arithmetic(insn)?,
            5 => return self.jump(insn),
            6 => return self.ret(insn),
            _ => self.transfer(insn)?,
        }
        Some(Step::Skip(0))
    }

    fn load(&self, insn: &Insn, accumulator: bool) -> Option<u32> {
        match insn.code & MODE {
            0x00 => Some(insn.k),
            0x20 if accumulator && insn.k % 4 == 0 => self.words.get(insn.k as usize / 4).copied(),
            0x60 => self.mem.get(insn.k as usize).copied(),
            0x80 => Some(64),
            _ => None,
        }
    }

    /// Loads an argument or the address of the call: what lies behind number and architecture.
    fn looks_at_call(&self, insn: &Insn) -> bool {
        insn.code & CLASS == 0 && insn.code & MODE == 0x20 && insn.k >= 8
    }

    fn operand(&self, insn: &Insn) -> u32 {
        if insn.code & SOURCE_X == 0 {
            insn.k
        } else {
            self.x
        }
    }

    fn arithmetic(&self, insn: &Insn) -> Option<u32> {
        let operand = self.operand(insn);
        match insn.code & OPERATION {
            0x00 => Some(self.a.wrapping_add(operand)),
            0x10 => Some(self.a.wrapping_sub(operand)),
            0x20 => Some(self.a.wrapping_mul(operand)),
            0x30 => Some(self.a.checked_div(operand).unwrap_or(0)),
            0x40 => Some(self.a | operand),
            0x50 => Some(self.a & operand),
            0x60 => Some(self.a.checked_shl(operand).unwrap_or(0)),
            0x70 => Some(self.a.checked_shr(operand).unwrap_or(0)),
            0x80 => Some(self.a.wrapping_neg()),
            0xa0 => Some(self.a ^ operand),
            _ => None,
        }
    }

    fn jump(&self, insn: &Insn) -> Option<Step> {
        let operand = self.operand(insn);
        let holds = match insn.code & OPERATION {
            0x00 => return Some(Step::Skip(insn.k as usize)),
            0x10 => self.a == operand,
            0x20 => self.a > operand,
            0x30 => self.a >= operand,
            0x40 => self.a & operand != 0,
            _ => return None,
        };
        Some(Step::Skip(usize::from(if holds { insn.jt } else { insn.jf })))
    }

    fn ret(&self, insn: &Insn) -> Option<Step> {
        match insn.code & 0x18 {
            0x00 => Some(Step::Return(insn.k)),
            0x10 => Some(Step::Return(self.a)),
            _ => None,
        }
    }

    fn transfer(&mut self, insn: &Insn) -> Option<()> {
        match insn.code & 0xf8 {
            0x00 => self.x = self.a,
            0x80 => self.a = self.x,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::op;

    fn run(insns: Vec<Insn>) -> Result<Verdict, EvalError> {
        let data = SeccompData::new(Arch::X86_64, 7, [0x1_0000_0002, 0, 0, 0, 0, 0]);
        Program::new(insns).evaluate(Arch::X86_64, &data)
    }

    #[test]
    fn loads_see_the_structure_of_the_machine() {
        for (offset, expected) in [(0, 7), (4, 0xc000_003e), (16, 2), (20, 1)] {
            let insns = vec![Insn::new(op::LD_ABS, offset), Insn::new(op::RET | 0x10, 0)];
            assert_eq!(run(insns), Ok(Verdict(expected)));
        }
    }

    #[test]
    fn big_endian_machines_store_the_high_half_first() {
        let data = SeccompData::new(Arch::S390X, 0, [0x1_0000_0002, 0, 0, 0, 0, 0]);
        let insns = vec![Insn::new(op::LD_ABS, 16), Insn::new(op::RET | 0x10, 0)];
        assert_eq!(Program::new(insns).evaluate(Arch::S390X, &data), Ok(Verdict(1)));
    }

    #[test]
    fn programs_the_kernel_refuses_are_errors() {
        assert_eq!(run(vec![Insn::new(op::LD_ABS, 64)]), Err(EvalError::BadInsn(0)));
        assert_eq!(run(vec![Insn::new(op::LD_ABS, 0)]), Err(EvalError::FellOff));
        assert_eq!(run(vec![Insn::new(op::JA, 9)]), Err(EvalError::FellOff));
    }

    #[test]
    fn an_answer_to_all_calls_depends_on_the_number_alone() {
        let answer = |insns| Program::new(insns).answer_to_all(Arch::X86_64, 7);
        let ret = |value| Insn::new(op::RET, value);
        assert_eq!(answer(vec![ret(0x7fff_0000)]), Some(Action::Allow));
        let by_number = vec![Insn::new(op::LD_ABS, 0), Insn::new(op::LD_ABS, 4), ret(0x7fff_0000)];
        assert_eq!(answer(by_number), Some(Action::Allow));
        for offset in [8, 16, 60] {
            assert_eq!(answer(vec![Insn::new(op::LD_ABS, offset), ret(0x7fff_0000)]), None);
        }
        assert_eq!(answer(vec![Insn::new(op::LD_ABS, 0)]), None, "no return");
    }
}
