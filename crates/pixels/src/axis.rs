//! [`Axis`]: the source samples and weights that make each target sample along one direction.

/// The weights of one target sample add up to `1 << WEIGHT_BITS`, times the gain.
pub(crate) const WEIGHT_BITS: u32 = 14;

/// Which source samples contribute to a target sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The two nearest samples in each direction, whatever the scale, as in OpenCV's `INTER_LINEAR`.
    Linear,
    /// A triangle that widens with the scale, so that shrinking averages all samples that fall together, as in Pillow's
    /// `BILINEAR`. Equal to [`Filter::Linear`] where the image does not shrink.
    Triangle,
}

/// One direction of a resize.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Number of source samples.
    pub(crate) source: usize,
    /// Start of the part to scale, in source samples.
    pub(crate) start: f64,
    /// Length of the part to scale, in source samples.
    pub(crate) length: f64,
    /// Number of target samples.
    pub(crate) target: usize,
    /// Whether the order of the target samples is reversed.
    pub(crate) mirrored: bool,
}

/// The source samples and weights that make each target sample.
pub(crate) struct Axis {
    /// Source samples per target sample; even, so the last weight can be 0.
    pub(crate) taps: usize,
    /// `[target]`: index of the first source sample.
    pub(crate) starts: Vec<usize>,
    /// `[target, taps]`
    pub(crate) weights: Vec<i16>,
}

impl Axis {
    /// Returns the axis of `span`; the weights of each target sample add up to `gain`.
    pub(crate) fn new(span: Span, filter: Filter, gain: f64) -> Self {
        let scale = span.length / span.target as f64;
        let radius = match filter {
            Filter::Linear => 1.0,
            Filter::Triangle => scale.max(1.0),
        };
        let covered = ((2.0 * radius).ceil() as usize).min(span.source);
        let taps = covered.next_multiple_of(2);
        let mut axis = Self { taps, starts: Vec::with_capacity(span.target), weights: vec![0; taps * span.target] };
        let mut shares = vec![0.0; covered];
        for (number, weights) in axis.weights.chunks_exact_mut(taps).enumerate() {
            let number = if span.mirrored { span.target - 1 - number } else { number };
            let center = span.start + (number as f64 + 0.5) * scale;
            let first = (center - radius - 0.5).floor() + 1.0;
            let start = (first.max(0.0) as usize).min(span.source - covered);
            for (sample, share) in (start..).zip(&mut shares) {
                *share = (1.0 - (sample as f64 + 0.5 - center).abs() / radius).max(0.0);
            }
            if shares.iter().all(|&share| share == 0.0) {
                // The center lies beyond the last sample, which is repeated.
                shares[covered - 1] = 1.0;
            }
            fixed_weights(&shares, gain, weights);
            axis.starts.push(start);
        }
        axis
    }

    /// Returns the weights of a target sample.
    pub(crate) fn weights(&self, number: usize) -> &[i16] {
        &self.weights[number * self.taps..(number + 1) * self.taps]
    }

    /// Returns the range of source samples that are read, without those whose weight is 0 because `taps` is even.
    pub(crate) fn used(&self, source: usize) -> std::ops::Range<usize> {
        let first = self.starts.iter().min().copied().unwrap_or(0);
        let last = self.starts.iter().max().copied().unwrap_or(0);
        first..(last + self.taps).min(source)
    }
}

/// Rounds the weights so that their sum is exact: the largest weight absorbs the rounding errors.
fn fixed_weights(shares: &[f64], gain: f64, weights: &mut [i16]) {
    let total: f64 = shares.iter().sum();
    let mut rest = fixed(gain);
    for (share, weight) in shares.iter().zip(&mut *weights) {
        *weight = fixed(share / total * gain) as i16;
        rest -= i32::from(*weight);
    }
    if let Some(largest) = weights.iter_mut().max() {
        *largest += rest as i16;
    }
}

fn fixed(value: f64) -> i32 {
    (value * f64::from(1 << WEIGHT_BITS)).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_add_up_to_the_gain() {
        let check = |span: Span, filter, gain: f64, taps| {
            let axis = Axis::new(span, filter, gain);
            assert_eq!(axis.taps, taps);
            for number in 0..span.target {
                let sum: i32 = axis.weights(number).iter().map(|&weight| i32::from(weight)).sum();
                assert_eq!(sum, fixed(gain), "target sample {number} of {span:?}");
                assert!(axis.starts[number] < span.source);
            }
        };
        let span = |source, start, length, target| Span { source, start, length, target, mirrored: false };
        check(span(320, 0.0, 320.0, 341), Filter::Triangle, 255.0 / 219.0, 2);
        check(span(320, 0.0, 320.0, 100), Filter::Triangle, 1.0, 8);
        check(span(320, 10.5, 300.25, 100), Filter::Linear, 1.0, 2);
        check(span(1, 0.0, 1.0, 5), Filter::Linear, 1.0, 2);
    }
}
