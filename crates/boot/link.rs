//! How the program is linked, for the build script of the binary: only that can tell the linker something.

/// The order of functions, for the linker.
const HOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../boot/hot.ld");

/// Static, optimised builds start in `casemate_boot::entry`, before the C library.
pub(crate) fn settings() {
    let known = is("CARGO_CFG_TARGET_ARCH", "x86_64") || is("CARGO_CFG_TARGET_ARCH", "aarch64");
    let optimised = ["2", "3", "s", "z"].iter().any(|level| is("OPT_LEVEL", level));
    let is_static = is("CARGO_CFG_TARGET_FEATURE", "crt-static");
    if known && optimised && is_static && !without("early") {
        println!("cargo::rustc-link-arg-bins=-Wl,-e,casemate_entry,-u,casemate_entry");
    }
    println!("cargo::rerun-if-changed={HOT}");
    let x86_64 = is("CARGO_CFG_TARGET_ARCH", "x86_64");
    if x86_64 && optimised && is_static && !without("hot-order") {
        // What making and entering containers executes lies together at the front (hack/hot writes the list). The kernel
        // maps 64 KiB at a fault, and a third of the program is used, a little of it everywhere otherwise. A name that the
        // linker does not find is nothing to it.
        for argument in ["-T", HOT] {
            println!("cargo::rustc-link-arg-bins=-Xlinker");
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
    if x86_64 && is_static && !without("packed-relocations") {
        // Seven thousand relocations in 2 KiB instead of 170, which every start would read. GNU ld knows it for this
        // architecture since 2.38, the C library since 2.36.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

fn is(name: &str, wanted: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value.split(',').any(|v| v == wanted))
}

/// What `hack/bench --ablate` measures the lack of.
fn without(name: &str) -> bool {
    is("CARGO_CFG_CASEMATE_WITHOUT", name)
}
