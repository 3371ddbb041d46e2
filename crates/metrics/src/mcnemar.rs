//! [`McNemar`]: whether two networks are correct on the same videos equally often (McNemar 1947). Only videos on which one is correct and
//! the other is wrong say something: if neither is better, each of the two kinds has half of them.

/// The test of two networks on the same videos.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Number of videos on which only the first is correct.
    pub num_only_first: u64,
    /// Number of videos on which only the second is correct.
    pub num_only_second: u64,
    /// p-value of the exact test: two-sided, binomial.
    pub exact_p: f64,
    /// Statistic with Edwards' continuity correction, `(|b - c| - 1)^2 / (b + c)`; 0 if there is no such video.
    pub chi_squared: f64,
    /// p-value of that statistic, by the chi-squared distribution with one degree of freedom. It is an approximation for 25 videos or more.
    pub chi_squared_p: f64,
}

impl McNemar {
    /// Tests pairs of whether the first and the second network are correct.
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let (mut only_first, mut only_second) = (0, 0);
        for (first, second) in pairs {
            only_first += u64::from(first && !second);
            only_second += u64::from(second && !first);
        }
        let total = (only_first + only_second) as f64;
        let gap = (only_first.abs_diff(only_second) as f64 - 1.0).max(0.0);
        let chi_squared = if total > 0.0 { gap * gap / total } else { 0.0 };
        Self {
            num_only_first: only_first,
            num_only_second: only_second,
            exact_p: exact(only_first, only_second),
            chi_squared,
            chi_squared_p: erfc((chi_squared / 2.0).sqrt()),
        }
    }
}

/// Returns the probability that of `one + two` fair coins at most as many as the smaller number, or at least as many as the larger one, fall
/// on one side.
fn exact(one: u64, two: u64) -> f64 {
    let (fewer, total) = (one.min(two), one + two);
    // Logarithms, because 2^-total may be too small for a float.
    let mut log_term = -(total as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for count in 0..fewer {
        log_term += ((total - count) as f64).ln() - ((count + 1) as f64).ln();
        sum += log_term.exp();
    }
    (2.0 * sum).min(1.0)
}

/// Returns the complementary error function of a number that is not negative, to about 14 digits: the series of erf below 2, else the
/// continued fraction of erfc (Abramowitz and Stegun 7.1.5 and 7.1.14).
fn erfc(x: f64) -> f64 {
    let gauss = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 1.0 - 2.0 * sum / std::f64::consts::PI.sqrt();
    }
    let fraction = (1..=120).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    gauss / fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expect: f64) -> bool {
        (found - expect).abs() <= 1e-12 + 1e-10 * expect.abs()
    }

    fn of(both: u64, only_first: u64, only_second: u64) -> McNemar {
        let times = |pair, count| (0..count).map(move |_| pair);
        McNemar::of(
            times((true, true), both).chain(times((true, false), only_first)).chain(times((false, true), only_second)),
        )
    }

    /// The p-values are those of scipy's `binomtest` and `chi2.sf`.
    #[test]
    fn values_are_those_of_scipy() {
        let found = of(100, 10, 2);
        assert_eq!((found.num_only_first, found.num_only_second), (10, 2));
        assert!(near(found.exact_p, 0.038_574_218_75), "{found:?}");
        assert!(
            near(found.chi_squared, 49.0 / 12.0) && near(found.chi_squared_p, 0.043_308_142_810_791_9),
            "{found:?}"
        );
        let large = of(0, 2000, 1800);
        assert!(near(large.chi_squared, 199.0 * 199.0 / 3800.0), "{large:?}");
        assert!((large.exact_p - large.chi_squared_p).abs() < 1e-4, "{large:?}");
    }

    #[test]
    fn equal_networks_have_a_p_value_of_one() {
        for found in [of(5, 0, 0), of(5, 3, 3), of(5, 1, 0), of(0, 500, 501)] {
            assert!(
                near(found.exact_p, 1.0) && near(found.chi_squared_p, 1.0) && found.chi_squared == 0.0,
                "{found:?}"
            );
        }
    }

    #[test]
    fn the_complementary_error_function_is_that_of_the_tables() {
        assert!(near(erfc(0.0), 1.0));
        assert!(near(erfc(0.5), 0.479_500_122_186_953_5));
        assert!(near(erfc(1.999_999), 0.004_677_755_648_073_953));
        assert!(near(erfc(2.0), 0.004_677_734_981_047_266));
        assert!((erfc(5.0) - 1.537_459_794_428_035e-12).abs() < 1e-22);
    }
}
