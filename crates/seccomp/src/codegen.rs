//! From decisions to instructions: what each range of system call numbers gets becomes a binary
//! search, what a call's arguments decide becomes comparisons. Which decision a range gets is
//! `compile`'s matter.
//!
//! Programs are written back to front, because every jump of classic BPF goes forward: what lies
//! behind a jump is then already there and its distance known.

use crate::bpf::{op, Insn};
use crate::model::{Arg, Op};
use crate::order::Case;

/// Offsets into `struct seccomp_data` (include/uapi/linux/seccomp.h).
const NR_OFFSET: u32 = 0;
const ARCH_OFFSET: u32 = 4;
const ARGS_OFFSET: u32 = 16;

/// The longest distance a conditional jump spans.
const FAR: usize = u8::MAX as usize;

/// What a range of system call numbers gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// One answer whatever the arguments.
    Ret(u32),
    /// Instructions that always end in an answer.
    Code(Vec<Insn>),
}

/// Adjacent ranges that together cover every 32-bit number; neighbours differ.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    list: Vec<(u32, Body)>,
}

impl Ranges {
    pub(crate) fn with_capacity(count: usize) -> Ranges {
        Ranges { list: Vec::with_capacity(count) }
    }

    /// From `start` upward everything gets `body`. `start` must not lie below an earlier one.
    pub(crate) fn from(&mut self, start: u32, body: Body) {
        if self.list.last().is_some_and(|(last, _)| *last == start) {
            self.list.pop();
        }
        if self.list.last().is_none_or(|(_, last)| *last != body) {
            self.list.push((start, body));
        }
    }

    /// The ranges, with one number between two ranges of one answer taken together with both: such
    /// holes are frequent, and one comparison for equality serves them instead of two.
    fn leaves(&self) -> Vec<(u32, Leaf<'_>)> {
        let mut leaves = Vec::with_capacity(self.list.len());
        let mut rest = self.list.as_slice();
        while let [(start, body), after @ ..] = rest {
            match after {
                [(nr, that), (next, others), beyond @ ..] if *next == nr + 1 && others == body => {
                    leaves.push((*start, Leaf::Except { nr: *nr, that, others }));
                    rest = beyond;
                }
                _ => {
                    leaves.push((*start, Leaf::Of(body)));
                    rest = after;
                }
            }
        }
        leaves
    }
}

/// What the search over numbers ends in.
#[derive(Debug)]
enum Leaf<'a> {
    Of(&'a Body),
    /// One number gets another body than its neighbours on both sides.
    Except {
        nr: u32,
        that: &'a Body,
        others: &'a Body,
    },
}

/// How the ABI at hand lays out an argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Compare all 64 bits.
    pub(crate) wide: bool,
    /// The high half comes first.
    pub(crate) big_endian: bool,
}

impl Layout {
    fn low(self, index: u32) -> u32 {
        ARGS_OFFSET + 8 * index + if self.big_endian { 4 } else { 0 }
    }

    fn high(self, index: u32) -> u32 {
        ARGS_OFFSET + 8 * index + if self.big_endian { 0 } else { 4 }
    }
}

/// A program under construction, last instruction first. A place in it is told by how many
/// instructions lie from there to the end, which stays true however much is put before it.
///
/// Answers are shared: a jump goes to one that is there already if it is near enough. The kernel
/// translates every instruction whenever a filter is loaded, so a program of half the length costs
/// every container half the time.
#[derive(Debug)]
pub(crate) struct Backwards {
    insns: Vec<Insn>,
    /// The foremost place of each answer.
    answers: Vec<(u32, usize)>,
}

/// Where a range's decision begins.
#[derive(Clone, Copy)]
enum Target {
    At(usize),
    /// At any instruction that gives this answer.
    Answer(u32),
}

impl Backwards {
    /// Begins with the program's last word: what an unlisted architecture gets.
    pub(crate) fn ending_in(ret: u32) -> Backwards {
        let mut program = Backwards { insns: Vec::with_capacity(512), answers: Vec::new() };
        program.push(Insn::new(op::RET, ret));
        program
    }

    /// Puts one architecture's calls before what is there already.
    pub(crate) fn section(&mut self, audit_token: u32, ranges: &Ranges) {
        let before = self.insns.len();
        if let Target::Answer(ret) = self.search(&ranges.leaves()) {
            self.push(Insn::new(op::RET, ret));
        }
        self.push(Insn::new(op::LD_ABS, NR_OFFSET));
        let length = self.insns.len() - before;
        // The accumulator still holds the architecture where this jump is taken.
        self.push(Insn::new(op::JA, length as u32));
        self.push(Insn::jump(op::JEQ, audit_token, 1, 0));
    }

    /// The finished program.
    pub(crate) fn finish(mut self) -> Vec<Insn> {
        self.push(Insn::new(op::LD_ABS, ARCH_OFFSET));
        self.insns.reverse();
        self.insns
    }

    /// Writes the decision among `leaves`; unless that is one answer it is then the foremost.
    fn search(&mut self, leaves: &[(u32, Leaf<'_>)]) -> Target {
        match leaves {
            [(_, Leaf::Of(body))] => self.body(body),
            [(_, Leaf::Except { nr, that, others })] => {
                let (that, others) = (self.body(that), self.body(others));
                self.branch(op::JEQ, *nr, that, others)
            }
            _ => {
                let (low, high) = leaves.split_at(leaves.len() / 2);
                let start = high[0].0;
                let (high, low) = (self.search(high), self.search(low));
                self.branch(op::JGE, start, high, low)
            }
        }
    }

    fn body(&mut self, body: &Body) -> Target {
        match body {
            Body::Ret(ret) => Target::Answer(*ret),
            Body::Code(code) => {
                code.iter().rev().for_each(|insn| self.push(*insn));
                Target::At(self.insns.len())
            }
        }
    }

    fn branch(&mut self, code: u16, k: u32, when_true: Target, when_false: Target) -> Target {
        let when_true = self.within_reach(when_true);
        let when_false = self.within_reach(when_false);
        let distance = |place| (self.insns.len() - place) as u8;
        self.push(Insn::jump(code, k, distance(when_true), distance(when_false)));
        Target::At(self.insns.len())
    }

    /// The place of `target` if a jump reaches it from here, else of a step put in between.
    fn within_reach(&mut self, target: Target) -> usize {
        // The other side of the same jump may still need a step.
        let here = self.insns.len() + 1;
        match target {
            Target::At(place) if here - place <= FAR => return place,
            Target::At(place) => {
                self.push(Insn::new(op::JA, (self.insns.len() - place) as u32));
            }
            Target::Answer(ret) => {
                let known = self.answers.iter().find(|(known, _)| *known == ret);
                match known {
                    Some((_, place)) if here - place <= FAR => return *place,
                    _ => self.push(Insn::new(op::RET, ret)),
                }
            }
        }
        self.insns.len()
    }

    fn push(&mut self, insn: Insn) {
        self.insns.push(insn);
        if insn.code == op::RET {
            let place = self.insns.len();
            match self.answers.iter_mut().find(|(ret, _)| *ret == insn.k) {
                Some((_, foremost)) => *foremost = place,
                None => self.answers.push((insn.k, place)),
            }
        }
    }
}

/// The instructions that try `cases` in order and answer `rest` where none holds. `None` where one
/// case has more comparisons than a jump can pass over.
pub(crate) fn cases(cases: &[Case], rest: u32, layout: Layout) -> Option<Vec<Insn>> {
    let mut code = Vec::new();
    for case in cases {
        let mut writer = CaseWriter { layout, insns: Vec::new(), misses: Vec::new() };
        for test in &case.tests {
            writer.test(test);
        }
        writer.insns.push(Insn::new(op::RET, case.action.to_ret()));
        code.extend(writer.finish()?);
    }
    code.push(Insn::new(op::RET, rest));
    Some(code)
}

/// Which side of a conditional jump leaves a case.
#[derive(Clone, Copy)]
enum Side {
    True,
    False,
}

/// One case: comparisons, then its answer. A comparison that holds falls through to the next.
struct CaseWriter {
    layout: Layout,
    insns: Vec<Insn>,
    /// Jumps that leave the case, to be given their distance when its length is known.
    misses: Vec<(usize, Side)>,
}

impl CaseWriter {
    fn test(&mut self, arg: &Arg) {
        match arg.op {
            Op::Eq => self.equal(arg.index, u64::MAX, arg.value),
            Op::MaskedEq => self.equal(arg.index, arg.value, arg.value_two),
            Op::Ne => self.differs(arg),
            Op::Gt => self.above(arg, op::JGT),
            Op::Ge => self.above(arg, op::JGE),
            Op::Lt => self.below(arg, op::JGE),
            Op::Le => self.below(arg, op::JGT),
        }
    }

    fn equal(&mut self, index: u32, mask: u64, value: u64) {
        let (high, low) = (self.layout.high(index), self.layout.low(index));
        if self.layout.wide {
            self.half_equal(high, (mask >> 32) as u32, (value >> 32) as u32);
        }
        self.half_equal(low, mask as u32, value as u32);
    }

    fn half_equal(&mut self, offset: u32, mask: u32, value: u32) {
        if mask == 0 {
            return;
        }
        self.load(offset);
        if mask != u32::MAX {
            self.insns.push(Insn::new(op::AND, mask));
        }
        self.leave_unless(op::JEQ, value & mask);
    }

    fn differs(&mut self, arg: &Arg) {
        if self.layout.wide {
            self.load(self.layout.high(arg.index));
            // A different high half settles it: over the load and jump of the low half.
            self.insns.push(Insn::jump(op::JEQ, (arg.value >> 32) as u32, 0, 2));
        }
        self.load(self.layout.low(arg.index));
        self.leave_if(op::JEQ, arg.value as u32);
    }

    fn above(&mut self, arg: &Arg, low_jump: u16) {
        if self.layout.wide {
            let high = (arg.value >> 32) as u32;
            self.load(self.layout.high(arg.index));
            // Over the equality jump and the load and jump of the low half.
            self.insns.push(Insn::jump(op::JGT, high, 3, 0));
            self.leave_unless(op::JEQ, high);
        }
        self.load(self.layout.low(arg.index));
        self.leave_unless(low_jump, arg.value as u32);
    }

    fn below(&mut self, arg: &Arg, low_jump: u16) {
        if self.layout.wide {
            let high = (arg.value >> 32) as u32;
            self.load(self.layout.high(arg.index));
            self.leave_if(op::JGT, high);
            // A smaller high half settles it.
            self.insns.push(Insn::jump(op::JEQ, high, 0, 2));
        }
        self.load(self.layout.low(arg.index));
        self.leave_if(low_jump, arg.value as u32);
    }

    fn load(&mut self, offset: u32) {
        self.insns.push(Insn::new(op::LD_ABS, offset));
    }

    fn leave_if(&mut self, code: u16, k: u32) {
        self.misses.push((self.insns.len(), Side::True));
        self.insns.push(Insn::new(code, k));
    }

    fn leave_unless(&mut self, code: u16, k: u32) {
        self.misses.push((self.insns.len(), Side::False));
        self.insns.push(Insn::new(code, k));
    }

    fn finish(mut self) -> Option<Vec<Insn>> {
        let end = self.insns.len();
        for (at, side) in self.misses {
            let distance = u8::try_from(end - at - 1).ok()?;
            match side {
                Side::True => self.insns[at].jt = distance,
                Side::False => self.insns[at].jf = distance,
            }
        }
        Some(self.insns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ranges_with_one_answer_are_merged() {
        let mut ranges = Ranges::default();
        for (start, ret) in [(0, 1), (3, 2), (4, 1), (4, 2), (5, 1), (6, 1)] {
            ranges.from(start, Body::Ret(ret));
        }
        let starts: Vec<u32> = ranges.list.iter().map(|(start, _)| *start).collect();
        assert_eq!(starts, [0, 3, 5]);
    }

    fn program(answers: impl Iterator<Item = u32>) -> Vec<Insn> {
        let mut ranges = Ranges::default();
        for (nr, ret) in (0..).zip(answers) {
            ranges.from(nr, Body::Ret(ret));
        }
        let mut program = Backwards::ending_in(0);
        program.section(1, &ranges);
        program.finish()
    }

    #[test]
    fn a_far_jump_takes_two_instructions() {
        let insns = program(0..2000);
        assert!(insns.iter().filter(|insn| insn.code == op::JA).count() > 1);
    }

    #[test]
    fn near_answers_are_shared() {
        let insns = program((0..200).map(|nr| 5 + nr % 2));
        assert_eq!(insns.iter().filter(|insn| insn.code == op::RET).count(), 3);
        assert_eq!(insns.iter().filter(|insn| insn.code == op::JA).count(), 1);
    }

    #[test]
    fn a_hole_takes_one_comparison() {
        let insns = program([7, 7, 8, 7, 7].into_iter());
        let expected = [Insn::jump(op::JEQ, 2, 1, 0), Insn::new(op::RET, 7), Insn::new(op::RET, 8)];
        assert_eq!(insns[4..7], expected);
    }
}
