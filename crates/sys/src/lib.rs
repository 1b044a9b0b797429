//! The only crate with unsafe code: system calls as safe, typed functions
