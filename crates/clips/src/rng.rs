//! [`Draws`]: a random generator that is named by what it is for.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A random generator whose seed is derived from a run's seed and names, such as the epoch and the video.
///
/// The way from the generator's bits to numbers is defined here, so that equal names give equal numbers whatever the
/// release of a library.
#[derive(Debug, Clone)]
pub struct Draws(Pcg64);

impl Draws {
    /// Returns the generator for `parts`: PCG64 seeded by BLAKE3 of the seed and each part with its length before it.
    pub fn new(seed: u64, parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(Pcg64::from_seed(*hasher.finalize().as_bytes()))
    }

    /// Draws 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws an integer from `0..bound`, each as likely as the others; 0 where `bound` is 0.
    ///
    /// Source: Lemire, "Fast Random Integer Generation in an Interval" (2019).
    pub fn below(&mut self, bound: u64) -> u64 {
        let mut product = u128::from(self.bits()) * u128::from(bound);
        if (product as u64) < bound {
            let biased = bound.wrapping_neg() % bound;
            while (product as u64) < biased {
                product = u128::from(self.bits()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// Draws a multiple of 2⁻⁵³ from `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.bits() >> 11) as f64 * STEP
    }

    /// Draws from `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A changed number here means that every `samples` table changes: raise the version of `augment` with it.
    #[test]
    fn numbers_are_pinned() {
        let mut draws = Draws::new(7, &["train", "0", "Biking/v_Biking_g01_c04"]);
        let drawn = (draws.bits(), draws.below(100), draws.below(100), draws.unit());
        assert_eq!(drawn, (7_853_815_244_922_070_854, 3, 16, 0.695_775_473_144_149_8));
    }

    #[test]
    fn moving_a_byte_between_parts_is_another_generator() {
        let first = |parts: &[&str]| Draws::new(0, parts).bits();
        assert_ne!(first(&["ab", "c"]), first(&["a", "bc"]));
        assert_ne!(first(&["a"]), first(&["a", ""]));
        assert_ne!(Draws::new(0, &["a"]).bits(), Draws::new(1, &["a"]).bits());
        assert_eq!(first(&["a", "b"]), first(&["a", "b"]));
    }

    #[test]
    fn integers_are_even() {
        let mut counts = [0_u32; 6];
        let mut draws = Draws::new(0, &["dice"]);
        for _ in 0..60_000 {
            counts[draws.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_700..10_300).contains(count)), "{counts:?}");
        assert_eq!((draws.below(0), draws.below(1)), (0, 0));
    }

    #[test]
    fn floats_stay_in_range() {
        let mut draws = Draws::new(0, &["floats"]);
        let drawn: Vec<f64> = (0..10_000).map(|_| draws.between(2.0, 4.0)).collect();
        assert!(drawn.iter().all(|value| (2.0..4.0).contains(value)));
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        assert!((mean - 3.0).abs() < 0.02, "{mean}");
    }
}
