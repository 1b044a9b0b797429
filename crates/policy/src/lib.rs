//! From a bundle's spec to a hardened spec and the decisions that explain it; no I/O
