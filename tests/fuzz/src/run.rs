//! The loop: an input, a reading of it, a look at what that took. What cannot be seen from inside, because the process has ended,
//! is known by the number in the file of the last input.

use crate::targets::{Form, Target};
use crate::{corpus, json, mutate, watch};
use casemate_tests::generate::Rng;
use std::time::Duration;

/// The largest input, for what must not take more than its share: 256 KiB.
const LARGE: usize = 1 << 18;

/// What reading an input may take: memory for so many times its length, and a part that all have.
const TIMES: usize = 400;
const ALWAYS: usize = 32 << 20;
/// Seconds of a processor, far above what the largest input takes in a build without optimisation.
const SECONDS: u64 = 20;

/// Input number `number` of a seed.
#[must_use]
pub fn input(target: &Target, corpus: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
    // Each number has numbers of its own, so that one input can be made without those before it.
    let mut rng = Rng::new(Rng::new(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95)).bits());
    let mut bytes = corpus[rng.below(corpus.len())].clone();
    let other = &corpus[rng.below(corpus.len())];
    if target.form == Form::Json && rng.chance(70) {
        json::change(&mut rng, &mut bytes, other);
    }
    if target.form != Form::Json || rng.chance(30) {
        mutate::change(&mut rng, &mut bytes, other);
    }
    if rng.chance(1) {
        let size = LARGE >> rng.below(6);
        mutate::enlarge(&mut rng, &mut bytes, size);
    }
    bytes
}

/// Read one input; whether it was taken.
///
/// # Panics
/// If that takes too much; or as the reader does.
pub fn once(target: &Target, bytes: &[u8]) -> bool {
    let mut taken = false;
    let cost = watch::cost(|| taken = (target.read)(bytes));
    let length = bytes.len();
    assert!(
        cost.bytes <= ALWAYS + TIMES * length,
        "{} bytes of memory for an input of {length}",
        cost.bytes
    );
    assert!(cost.time <= Duration::from_secs(SECONDS), "{:?} for an input of {length}", cost.time);
    taken
}

/// How many were read, and how many of them taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub read: u64,
    pub taken: u64,
}

/// The good inputs themselves, and then these numbers of a seed, until `before`, which is told each number, says that it is
/// over.
///
/// # Panics
/// As [`once`], or if a good input is not taken.
pub fn all(
    target: &Target,
    seed: u64,
    numbers: std::ops::Range<u64>,
    mut before: impl FnMut(u64) -> bool,
) -> Counts {
    let corpus = corpus::of(target);
    for (number, bytes) in corpus.iter().enumerate() {
        assert!(once(target, bytes), "{}: good input {number} is not taken", target.name);
    }
    let mut counts = Counts::default();
    for number in numbers {
        if !before(number) {
            break;
        }
        counts.taken += u64::from(once(target, &input(target, &corpus, seed, number)));
        counts.read += 1;
    }
    counts
}
