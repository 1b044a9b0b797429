//! Numbers that look random and are always the same for one seed (SplitMix64, Steele and others, OOPSLA 2014).

/// The state: a seed that moves on.
#[derive(Clone, Copy, Debug)]
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    /// One of these numbers.
    pub fn number(&mut self, list: &[i64]) -> i64 {
        list[self.below(list.len())]
    }

    /// Some of these words in their order, each with this chance of a hundred.
    pub fn some(&mut self, list: &[&str], percent: usize) -> Vec<String> {
        let chosen = list.iter().filter(|_| self.chance(percent));
        chosen.map(|word| (*word).to_owned()).collect()
    }
}
