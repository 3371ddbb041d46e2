//! [`MersenneTwister`]: the generator that `numpy.random.seed` seeds.

const LENGTH: usize = 624;

/// Distance between two words that are mixed.
const DISTANCE: usize = 397;

/// Draws the same numbers as NumPy's `RandomState`.
///
/// Source: Matsumoto and Nishimura, "Mersenne Twister" (1998), MT19937.
pub(crate) struct MersenneTwister {
    words: [u32; LENGTH],
    next: usize,
}

impl MersenneTwister {
    pub(crate) fn new(seed: u32) -> Self {
        let mut words = [seed; LENGTH];
        for place in 1..LENGTH {
            let before = words[place - 1];
            words[place] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(place as u32);
        }
        Self { words, next: LENGTH }
    }

    /// Draws from `0..bound` as `randint` does: as many bits as `bound` has, until their value is below it.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let highest = bound.saturating_sub(1);
        if highest == 0 {
            return 0;
        }
        let mask = u32::MAX >> highest.leading_zeros();
        loop {
            let drawn = self.bits() & mask;
            if drawn <= highest {
                return drawn;
            }
        }
    }

    fn bits(&mut self) -> u32 {
        if self.next == LENGTH {
            self.twist();
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for place in 0..LENGTH {
            let (one, other) = (self.words[place], self.words[(place + 1) % LENGTH]);
            let mixed = (one & 0x8000_0000) | (other & 0x7fff_ffff);
            let odd = if other & 1 == 0 { 0 } else { 0x9908_b0df };
            self.words[place] = self.words[(place + DISTANCE) % LENGTH] ^ (mixed >> 1) ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by NumPy 2.4.
    #[test]
    fn bits_are_those_of_numpy() {
        let bits = |seed| {
            let mut draws = MersenneTwister::new(seed);
            [(); 4].map(|()| draws.bits())
        };
        assert_eq!(bits(0), [2_357_136_044, 2_546_248_239, 3_071_714_933, 3_626_093_760]);
        assert_eq!(bits(255), [1_992_592_179, 1_460_470_953, 957_929_695, 2_012_040_825]);
    }
}
