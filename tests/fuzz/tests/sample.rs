//! A few inputs for each target, always the same ones: `hack/fuzz` searches on.

use casemate_fuzz::{run, watch, TARGETS};

#[global_allocator]
static ALLOCATOR: watch::Counting = watch::Counting;

/// One test for all: the allocator counts for the whole process.
#[test]
fn mutated_inputs_are_read_without_a_panic_and_take_their_share_at_most() {
    for target in TARGETS {
        let counts = run::all(target, 1, 0..target.sample, |number| {
            // Shown if it fails: what repeats it.
            println!("casemate-fuzz {} --seed 1 --number {number}", target.name);
            true
        });
        // Most inputs are refused, but what is behind the first look has to be reached as well.
        assert!(counts.taken > counts.read / 20, "{}: {counts:?}", target.name);
    }
}
