//! Changes of bytes: what a disk, a kernel of another time or somebody hostile makes of a good input.

use casemate_tests::generate::Rng;

/// No input grows beyond this, unless it is made large on purpose.
const LONGEST: usize = 1 << 16;

/// Words that readers of numbers, paths, options and tables stumble over.
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551616",
    "1e999",
    "\0",
    "\n",
    "\\",
    "\\012",
    "\\134",
    "/",
    "/../",
    "//",
    ":",
    ",",
    "=",
    " - ",
    "\u{fffd}",
    "\u{202e}",
    "max",
    "(",
    ")",
];

fn part(rng: &mut Rng, bytes: &[u8]) -> std::ops::Range<usize> {
    let from = rng.below(bytes.len() + 1);
    let length = 1 << rng.below(12);
    from..bytes.len().min(from + rng.below(length + 1))
}

/// One change.
fn once(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    if bytes.is_empty() {
        bytes.extend_from_slice(other);
        return;
    }
    let at = rng.below(bytes.len());
    match rng.below(10) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = rng.bits() as u8,
        2 => drop(bytes.drain(part(rng, bytes))),
        3 => {
            let copy = bytes[part(rng, bytes)].to_vec();
            bytes.splice(at..at, copy);
        }
        4 => {
            let copy = other[part(rng, other)].to_vec();
            bytes.splice(at..at, copy);
        }
        5 => drop(bytes.splice(at..at, rng.pick(&WORDS).bytes())),
        6 => bytes.truncate(at),
        7 => {
            let number = *[0_u64, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, u64::MAX, rng.bits()]
                .get(rng.below(8))
                .unwrap_or(&0);
            let width = 1 << rng.below(4);
            let end = bytes.len().min(at + width);
            bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
        }
        8 => {
            let times = 1 << rng.below(8);
            let copy = bytes[part(rng, bytes)].repeat(times);
            bytes.splice(at..at, copy);
        }
        _ => {
            let line =
                |at: usize| bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let begin = line(at);
            let end =
                bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n + 1);
            let copy = bytes[begin..end].to_vec();
            let to = line(rng.below(bytes.len()));
            bytes.splice(to..to, copy);
        }
    }
    bytes.truncate(LONGEST);
}

/// A few changes of `bytes`; `other` is another good input.
pub fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..1 + rng.below(6) {
        once(rng, bytes, other);
    }
}

/// The same thing very often: what takes more than its share of time or memory with the length shows here.
pub fn enlarge(rng: &mut Rng, bytes: &mut Vec<u8>, size: usize) {
    if bytes.is_empty() {
        return;
    }
    let piece = match bytes[part(rng, bytes)].to_vec() {
        piece if piece.is_empty() => vec![bytes[0]],
        piece => piece,
    };
    let at = rng.below(bytes.len());
    bytes.splice(at..at, piece.repeat(size / piece.len()));
}
