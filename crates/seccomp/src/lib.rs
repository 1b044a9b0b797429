//! Typed seccomp rules, their compiler to BPF and an interpreter; no I/O
