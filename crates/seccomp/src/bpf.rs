//! Classic BPF instructions and finished programs. What the instructions compute is in `eval`, how
//! a filter becomes a program in `compile` and `codegen`.

use std::borrow::Cow;
use std::fmt;

/// The kernel refuses longer programs (BPF_MAXINSNS, include/uapi/linux/bpf_common.h).
pub const MAX_INSNS: usize = 4096;

/// The bytes of one `struct sock_filter`.
const INSN_BYTES: usize = 8;

/// `struct sock_filter` (include/uapi/linux/filter.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Insn {
    /// Operation code.
    pub code: u16,
    /// Instructions to skip where a conditional jump's condition holds.
    pub jt: u8,
    /// Instructions to skip where it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Operation codes the compiler uses (include/uapi/linux/bpf_common.h).
pub(crate) mod op {
    pub(crate) const LD_ABS: u16 = 0x20;
    pub(crate) const AND: u16 = 0x54;
    pub(crate) const JA: u16 = 0x05;
    pub(crate) const JEQ: u16 = 0x15;
    pub(crate) const JGT: u16 = 0x25;
    pub(crate) const JGE: u16 = 0x35;
    pub(crate) const RET: u16 = 0x06;
}

impl Insn {
    pub(crate) const fn new(code: u16, k: u32) -> Insn {
        Insn { code, jt: 0, jf: 0, k }
    }

    pub(crate) const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Insn {
        Insn { code, jt, jf, k }
    }

    fn to_bytes(self) -> [u8; INSN_BYTES] {
        let [code0, code1] = self.code.to_ne_bytes();
        let [k0, k1, k2, k3] = self.k.to_ne_bytes();
        [code0, code1, self.jt, self.jf, k0, k1, k2, k3]
    }

    fn from_bytes(bytes: &[u8]) -> Insn {
        let code = u16::from_ne_bytes([bytes[0], bytes[1]]);
        let k = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        Insn { code, jt: bytes[2], jf: bytes[3], k }
    }
}

/// A program as seccomp(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// Borrowed where the program was compiled together with this crate.
    insns: Cow<'static, [Insn]>,
}

impl Program {
    pub(crate) fn new(insns: Vec<Insn>) -> Program {
        Program { insns: Cow::Owned(insns) }
    }

    pub(crate) const fn precompiled(insns: &'static [Insn]) -> Program {
        Program { insns: Cow::Borrowed(insns) }
    }

    /// The instructions, in order.
    pub fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The program as an array of `struct sock_filter` in this machine's byte order: what the
    /// `filter` member of `struct sock_fprog` points to. Its `len` is `insns().len()`.
    pub fn as_bytes(&self) -> Vec<u8> {
        self.insns.iter().flat_map(|insn| insn.to_bytes()).collect()
    }

    /// A program from the bytes that [`Program::as_bytes`] gave, as kept in a cache. The kernel
    /// checks a program's instructions when it is loaded; only the length is checked here.
    ///
    /// # Errors
    /// [`BadProgram`] where the bytes are no whole number of instructions between 1 and 4096.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program, BadProgram> {
        let count = bytes.len() / INSN_BYTES;
        if bytes.len() % INSN_BYTES != 0 || count == 0 || count > MAX_INSNS {
            return Err(BadProgram { bytes: bytes.len() });
        }
        Ok(Program::new(bytes.chunks_exact(INSN_BYTES).map(Insn::from_bytes).collect()))
    }
}

/// Bytes that cannot be a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadProgram {
    /// How many bytes there were.
    pub bytes: usize,
}

impl fmt::Display for BadProgram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes;
        write!(out, "{bytes} bytes are no BPF program (1 to {MAX_INSNS} instructions of 8 bytes)")
    }
}

impl std::error::Error for BadProgram {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_back_as_the_same_program() {
        let insns = vec![Insn::new(op::LD_ABS, 4), Insn::jump(op::JEQ, 0xc000_003e, 1, 2)];
        let program = Program::new(insns);
        assert_eq!(program.as_bytes().len(), 16);
        assert_eq!(Program::from_bytes(&program.as_bytes()), Ok(program));
    }

    #[test]
    fn a_torn_or_oversized_program_is_refused() {
        for bytes in [0, 7, 12, (MAX_INSNS + 1) * 8] {
            assert_eq!(Program::from_bytes(&vec![0; bytes]), Err(BadProgram { bytes }));
        }
    }
}
