//! [`Numerics`]: whether results depend on the machine, and the [`Tolerance`] for comparing them.

use std::fmt;

/// Whether the bytes of a stage's result depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Numerics {
    /// Equal keys give equal bytes on every machine.
    Exact,
    /// Equal keys give equal bytes in the same environment only: processor, number of compute threads, device. Results of
    /// two environments are compared numerically, with this tolerance.
    FloatingPoint(Tolerance),
    /// The result has measurements, such as times, which are different each time. Only the figures of the summary can be compared, with this
    /// tolerance.
    Measured(Tolerance),
}

/// How much two numbers may differ that count as equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Share of the larger of the two absolute values.
    pub relative: f64,
    /// Added to that; what numbers near zero may differ by.
    pub absolute: f64,
}

impl Tolerance {
    /// Returns whether two numbers count as equal. NaN equals NaN.
    pub fn accepts(&self, one: f64, two: f64) -> bool {
        let most = self.absolute + self.relative * one.abs().max(two.abs());
        one.total_cmp(&two).is_eq() || (one.is_nan() && two.is_nan()) || (one - two).abs() <= most
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} relative + {} absolute", self.relative, self.absolute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_within_the_tolerance_count_as_equal() {
        let tolerance = Tolerance { relative: 0.01, absolute: 0.001 };
        let check = |one: f64, two: f64, expect: bool| {
            assert_eq!(tolerance.accepts(one, two), expect, "{one} {two}");
            assert_eq!(tolerance.accepts(two, one), expect, "{two} {one}");
        };
        check(100.0, 101.0, true);
        check(100.0, 101.1, false);
        check(0.0, 0.001, true);
        check(0.0, 0.0011, false);
        check(-1.0, 1.0, false);
        check(f64::NAN, f64::NAN, true);
        check(f64::NAN, 1.0, false);
        check(f64::INFINITY, f64::INFINITY, true);
    }
}
