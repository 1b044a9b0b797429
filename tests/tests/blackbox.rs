//! Containers, seen from outside: one binary, because each is a link step. Modules lie in blackbox/.

#[path = "blackbox/smoke.rs"]
mod smoke;
