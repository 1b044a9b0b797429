//! All that a program may answer to calls of which only a part of the arguments is known: it is walked on every way that these
//! leave open.

use crate::arch::Arch;
use crate::bpf::{Insn, Program};
use crate::eval::{SeccompData, Verdict};
use crate::model::Action;
use std::collections::HashSet;

/// How many instructions are looked at: a program has 4096 at most, and what it keeps in its accumulator tells ways apart.
const STEPS: usize = 1 << 16;

/// A value of which some bits are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bits<T> {
    /// Ones where a bit is known.
    pub known: T,
    /// These bits; zeros elsewhere.
    pub value: T,
}

type Word = Bits<u32>;

impl Word {
    fn exactly(value: u32) -> Self {
        Self { known: u32::MAX, value }
    }

    fn and(self, mask: u32) -> Self {
        Self { known: self.known | !mask, value: self.value & mask }
    }

    fn most(self) -> u32 {
        self.value | !self.known
    }
}

impl Program {
    /// What the program may answer to system call `nr`, with these bits of its arguments and any others, wherever it is made.
    /// `None` where that cannot be told: it is one that the kernel would refuse, or computes more than masks.
    pub fn answers(&self, native: Arch, nr: u32, args: [Bits<u64>; 6]) -> Option<HashSet<Action>> {
        let known = SeccompData::new(native, u32::MAX, args.map(|arg| arg.known));
        let value = SeccompData::new(native, nr, args.map(|arg| arg.value));
        let words = known.words(native.is_big_endian()).into_iter();
        let mut words: Vec<Word> = words
            .zip(value.words(native.is_big_endian()))
            .map(|(known, value)| Bits { known, value })
            .collect();
        (words[0], words[1]) = (Word::exactly(nr), Word::exactly(native.audit_token()));
        let (mut seen, mut found) = (HashSet::new(), HashSet::new());
        let mut open = vec![(0, Word::exactly(0))];
        while let Some((at, a)) = open.pop() {
            if !seen.insert((at, a)) {
                continue;
            }
            if seen.len() > STEPS {
                return None;
            }
            let insn = self.insns().get(at)?;
            match step(insn, a, &words)? {
                Step::On(a) => open.push((at + 1, a)),
                Step::Jump(ways) => {
                    open.extend(ways.into_iter().flatten().map(|skip| (at + 1 + skip, a)));
                }
                Step::Return(value) => _ = found.insert(Verdict(value).action()),
            }
        }
        Some(found)
    }
}

enum Step {
    On(Word),
    Jump([Option<usize>; 2]),
    Return(u32),
}

/// `None` for an instruction that is not followed: what compilers of filters make has no others.
fn step(insn: &Insn, a: Word, words: &[Word]) -> Option<Step> {
    use crate::bpf::op;
    Some(match insn.code {
        op::LD_ABS if insn.k % 4 == 0 => Step::On(*words.get(insn.k as usize / 4)?),
        op::AND => Step::On(a.and(insn.k)),
        op::JA => Step::Jump([Some(insn.k as usize), None]),
        op::RET => Step::Return(insn.k),
        op::JEQ | op::JGT | op::JGE => {
            let (yes, no) = outcomes(insn, a);
            let way = |open: bool, skip: u8| open.then_some(usize::from(skip));
            Step::Jump([way(yes, insn.jt), way(no, insn.jf)])
        }
        _ => return None,
    })
}

/// Whether a comparison may hold, and whether it may not.
fn outcomes(insn: &Insn, a: Word) -> (bool, bool) {
    use crate::bpf::op;
    let k = insn.k;
    match insn.code {
        op::JEQ => (k & a.known == a.value, a.known != u32::MAX || k != a.value),
        op::JGT => (a.most() > k, a.value <= k),
        _ => (a.most() >= k, a.value < k),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::op;

    fn ret(value: u32) -> Insn {
        Insn::new(op::RET, value)
    }

    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0001;

    fn answers(insns: Vec<Insn>, first: Bits<u64>) -> Option<Vec<Action>> {
        let mut args = [Bits::default(); 6];
        args[0] = first;
        let found = Program::new(insns).answers(Arch::X86_64, 7, args)?;
        let mut found: Vec<Action> = found.into_iter().collect();
        found.sort_by_key(|action| format!("{action:?}"));
        Some(found)
    }

    #[test]
    fn every_way_that_the_unknown_bits_leave_open_is_walked() {
        let user = Bits { known: 0x1000_0000, value: 0x1000_0000 };
        let named = |value| {
            vec![
                Insn::new(op::LD_ABS, 16),
                Insn::jump(op::JEQ, value, 0, 1),
                ret(ERRNO),
                ret(ALLOW),
            ]
        };
        let both = Some(vec![Action::Allow, Action::Errno(1)]);
        assert_eq!(answers(named(0x1000_0011), user), both, "one value is not all");
        assert_eq!(answers(named(0x11), user), Some(vec![Action::Allow]));
        let masked = vec![
            Insn::new(op::LD_ABS, 16),
            Insn::new(op::AND, 0x7e02_0000),
            Insn::jump(op::JEQ, 0, 0, 1),
            ret(ALLOW),
            ret(ERRNO),
        ];
        assert_eq!(answers(masked.clone(), user), Some(vec![Action::Errno(1)]));
        assert_eq!(answers(masked, Bits::default()), both);
    }

    #[test]
    fn number_and_architecture_are_known_and_the_rest_is_not() {
        let nothing = Bits::default();
        let by_number = vec![Insn::new(op::LD_ABS, 0), Insn::new(op::LD_ABS, 4), ret(ALLOW)];
        assert_eq!(answers(by_number, nothing), Some(vec![Action::Allow]));
        let at = |offset| {
            vec![
                Insn::new(op::LD_ABS, offset),
                Insn::jump(op::JEQ, 7, 0, 1),
                ret(ALLOW),
                ret(ERRNO),
            ]
        };
        assert_eq!(answers(at(0), nothing), Some(vec![Action::Allow]));
        for offset in [8, 16, 60] {
            assert_eq!(answers(at(offset), nothing).map(|found| found.len()), Some(2));
        }
        assert_eq!(answers(vec![Insn::new(op::LD_ABS, 0)], nothing), None, "no return");
    }
}
