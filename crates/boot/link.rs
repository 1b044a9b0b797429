//! How the program is linked, for the build script of the binary: only that can tell the linker something.

/// Static, optimised builds start in `casemate_boot::entry`, before the C library.
pub(crate) fn settings() {
    let known = is("CARGO_CFG_TARGET_ARCH", "x86_64") || is("CARGO_CFG_TARGET_ARCH", "aarch64");
    let optimised = ["2", "3", "s", "z"].iter().any(|level| is("OPT_LEVEL", level));
    let is_static = is("CARGO_CFG_TARGET_FEATURE", "crt-static");
    if known && optimised && is_static && !without("early") {
        println!("cargo::rustc-link-arg-bins=-Wl,-e,casemate_entry,-u,casemate_entry");
    }
    let x86_64 = is("CARGO_CFG_TARGET_ARCH", "x86_64");
    if x86_64 && optimised && is_static {
        order_of_functions();
    }
    if x86_64 && is_static {
        // Seven thousand relocations in 2 KiB instead of 170: a smaller file. GNU ld knows it for this architecture since 2.38,
        // the C library since 2.36.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// What making and entering containers executes lies together at the front, where `hack/hot` has written down what that is. The
/// kernel maps 64 KiB at a fault, and a third of the program is used, a little of it everywhere otherwise. The order is a product of
/// the build: `hack/build` names it. One that fits so little that it must be another program's ends the build.
///
/// Gains 3.3 % of a run and 5.8 % of an exec (docs/TUNING.md). Switch: `hack/build --order none`.
fn order_of_functions() {
    for (variable, option) in [("CASEMATE_LINK_ORDER", "-T"), ("CASEMATE_LINK_MAP", "-Map")] {
        println!("cargo::rerun-if-env-changed={variable}");
        let Some(file) = std::env::var(variable).ok().filter(|file| !file.is_empty()) else {
            continue;
        };
        if option == "-T" {
            println!("cargo::rerun-if-changed={file}");
        }
        for argument in [option, &file] {
            println!("cargo::rustc-link-arg-bins=-Xlinker");
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}

fn is(name: &str, wanted: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value.split(',').any(|v| v == wanted))
}

/// What `hack/bench --ablate` measures the lack of.
fn without(name: &str) -> bool {
    is("CARGO_CFG_CASEMATE_WITHOUT", name)
}
