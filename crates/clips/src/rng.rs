//! [`Draws`]: a random generator that is seeded by the purpose of its draws.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A random generator whose seed is derived from a run's seed and names, such as the epoch and the video.
///
/// The conversion from random bits to numbers is defined here, so that equal names give equal numbers with every release of a
/// library.
#[derive(Debug, Clone)]
pub struct Draws(Pcg64);

impl Draws {
    /// Returns the generator for `names`: PCG64, seeded with the BLAKE3 hash of `seed` and of each name with its length.
    pub fn new(seed: u64, names: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        for name in names {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
        }
        Self(Pcg64::from_seed(*hasher.finalize().as_bytes()))
    }

    /// Draws 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws an integer from `0..bound`, all equally probable; returns 0 if `bound` is 0.
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

    /// Draws an integer from `0..=most`, all equally probable.
    pub fn up_to(&mut self, most: u32) -> u32 {
        self.below(u64::from(most) + 1) as u32
    }

    /// Draws a multiple of 2⁻⁵³ from `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.bits() >> 11) as f64 * STEP
    }

    /// Draws a number from `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// Draws a number from the normal distribution with this mean and standard deviation.
    ///
    /// Source: Box and Muller, "A Note on the Generation of Random Normal Deviates" (1958).
    pub fn normal(&mut self, mean: f64, std: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        mean + std * radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Draws a number from Beta(alpha, alpha), from 0 to 1.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        self.dirichlet(alpha, 2)[0]
    }

    /// Draws `count` shares, which sum to 1, from the symmetric Dirichlet distribution with parameter `alpha`.
    pub fn dirichlet(&mut self, alpha: f64, count: usize) -> Vec<f64> {
        let parts: Vec<f64> = (0..count).map(|_| self.gamma(alpha)).collect();
        let sum: f64 = parts.iter().sum();
        if sum > 0.0 {
            return parts.into_iter().map(|part| part / sum).collect();
        }
        // All parts are too small for a float. With such parameters one share is nearly 1.
        let largest = self.below(count as u64) as usize;
        (0..count).map(|at| if at == largest { 1.0 } else { 0.0 }).collect()
    }

    /// Draws a number from Gamma(shape, 1).
    ///
    /// Source: Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables" (2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let power = (1.0 - self.unit()).powf(1.0 / shape);
            return self.gamma(shape + 1.0) * power;
        }
        let mean = shape - 1.0 / 3.0;
        let width = 1.0 / (9.0 * mean).sqrt();
        loop {
            let normal = self.normal(0.0, 1.0);
            let cube = (1.0 + width * normal).powi(3);
            let limit = 0.5 * normal * normal + mean * (1.0 - cube + cube.max(f64::MIN_POSITIVE).ln());
            if cube > 0.0 && (1.0 - self.unit()).ln() < limit {
                return mean * cube;
            }
        }
    }

    /// Shuffles `items`; all orders are equally probable.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If a number changes here, every `samples` table changes: raise the version of `augment` in the same commit.
    #[test]
    fn numbers_are_pinned() {
        let mut draws = Draws::new(7, &["train", "0", "Biking/v_Biking_g01_c04"]);
        let drawn = (draws.bits(), draws.below(100), draws.below(100), draws.unit());
        assert_eq!(drawn, (7_853_815_244_922_070_854, 3, 16, 0.695_775_473_144_149_8));
    }

    #[test]
    fn moving_a_byte_between_names_changes_the_generator() {
        let first = |names: &[&str]| Draws::new(0, names).bits();
        assert_ne!(first(&["ab", "c"]), first(&["a", "bc"]));
        assert_ne!(first(&["a"]), first(&["a", ""]));
        assert_ne!(Draws::new(0, &["a"]).bits(), Draws::new(1, &["a"]).bits());
        assert_eq!(first(&["a", "b"]), first(&["a", "b"]));
    }

    #[test]
    fn integers_are_equally_probable() {
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

    /// Returns the mean and the variance of 20,000 draws.
    fn moments(mut draw: impl FnMut(&mut Draws) -> f64) -> (f64, f64) {
        let mut draws = Draws::new(0, &["moments"]);
        let drawn: Vec<f64> = (0..20_000).map(|_| draw(&mut draws)).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        (mean, drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / drawn.len() as f64)
    }

    #[test]
    fn distributions_have_the_expected_mean_and_variance() {
        let (mean, variance) = moments(|draws| draws.normal(3.0, 2.0));
        assert!((mean - 3.0).abs() < 0.06 && (variance - 4.0).abs() < 0.2, "{mean} {variance}");
        for alpha in [0.01, 0.2, 1.0, 8.0] {
            let (mean, variance) = moments(|draws| draws.beta(alpha));
            let expect = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 0.015 && (variance - expect).abs() < 0.01, "{alpha}: {mean} {variance}");
        }
        let (mean, _) = moments(|draws| draws.dirichlet(1.0, 4)[2]);
        assert!((mean - 0.25).abs() < 0.01, "{mean}");
    }

    #[test]
    fn orders_are_equally_probable() {
        let mut counts = std::collections::BTreeMap::new();
        let mut draws = Draws::new(0, &["orders"]);
        for _ in 0..6_000 {
            let mut order = [0, 1, 2];
            draws.shuffle(&mut order);
            *counts.entry(order).or_insert(0) += 1;
        }
        assert!(counts.len() == 6 && counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}
