//! [`FrameSampler`]: which frames of a video a sampling keeps.

use pipe_schemas::stages::frames::FrameSampling;

/// How far a time may be rounded: some containers store times in whole milliseconds.
const ROUNDING_NANOS: f64 = 500_000.0;

/// Decides for each frame, in order, whether it is kept.
///
/// With `fps`, the k-th picture is due k / fps seconds after the first frame, and is the latest frame presented by then, give
/// or take half a millisecond. A frame is kept once, however many pictures it serves, so the result never has more frames than
/// the video. The last frame counts as shown for as long as the frame before it.
///
/// With `count`, the video is divided into `count` equal parts, and the frame in the middle of each is kept.
#[derive(Debug)]
pub struct FrameSampler {
    sampling: FrameSampling,
    first_pts_nanos: Option<i64>,
    /// Frames of the video; used with `count` only.
    num_frames: u64,
    /// With `count`, the number of parts whose frames have passed.
    parts_done: u64,
}

impl FrameSampler {
    /// Returns a sampler. `num_frames` is used only if [`FrameSampler::needs_num_frames`] returns true.
    pub fn new(sampling: FrameSampling, num_frames: u64) -> Self {
        Self { sampling, first_pts_nanos: None, num_frames, parts_done: 0 }
    }

    /// Returns whether a sampling depends on the number of frames, which only decoding the video determines.
    pub fn needs_num_frames(sampling: FrameSampling) -> bool {
        match sampling {
            FrameSampling::Count(_) => true,
            FrameSampling::All | FrameSampling::Fps(_) | FrameSampling::Stride(_) => false,
        }
    }

    /// Returns whether a sampling depends on how long a frame is shown, which the next frame determines.
    pub fn needs_end(sampling: FrameSampling) -> bool {
        match sampling {
            FrameSampling::Fps(_) => true,
            FrameSampling::All | FrameSampling::Stride(_) | FrameSampling::Count(_) => false,
        }
    }

    /// Returns whether the frame at `frame_index` is kept, which is shown from `pts_nanos` to `end_nanos`.
    pub fn keeps(&mut self, frame_index: u64, pts_nanos: i64, end_nanos: i64) -> bool {
        let first = *self.first_pts_nanos.get_or_insert(pts_nanos);
        match self.sampling {
            FrameSampling::All => true,
            FrameSampling::Stride(stride) => frame_index.is_multiple_of(u64::from(stride)),
            FrameSampling::Count(count) => {
                let middle = |part: u64| (2 * part + 1) * self.num_frames / (2 * u64::from(count));
                while self.parts_done < u64::from(count) && middle(self.parts_done) < frame_index {
                    self.parts_done += 1;
                }
                self.parts_done < u64::from(count) && middle(self.parts_done) == frame_index
            }
            FrameSampling::Fps(fps) => {
                let start = (pts_nanos.saturating_sub(first) as f64 - ROUNDING_NANOS).max(0.0);
                let end = end_nanos.saturating_sub(first) as f64 - ROUNDING_NANOS;
                let period_nanos = 1e9 / fps;
                let next_wanted = (start / period_nanos).ceil() * period_nanos;
                next_wanted < end || frame_index == 0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns which of `count` frames are kept, at `rate` frames per second and with times rounded to `rounding` nanoseconds.
    fn kept(sampling: FrameSampling, rate: f64, count: u64, rounding: i64) -> Vec<u64> {
        let mut sampler = FrameSampler::new(sampling, count);
        let pts = |index: u64| {
            let exact = (index as f64 * 1e9 / rate) as i64 + 7_000_000_000;
            (exact + rounding / 2) / rounding * rounding
        };
        (0..count).filter(|&index| sampler.keeps(index, pts(index), pts(index + 1))).collect()
    }

    #[test]
    fn strides_and_all() {
        assert_eq!(kept(FrameSampling::All, 25.0, 4, 1), [0, 1, 2, 3]);
        assert_eq!(kept(FrameSampling::Stride(3), 25.0, 8, 1), [0, 3, 6]);
        assert_eq!(kept(FrameSampling::Stride(30), 25.0, 8, 1), [0]);
    }

    #[test]
    fn a_count_is_spread_over_the_video() {
        let check = |count: u32, num_frames: u64, expect: &[u64]| {
            assert_eq!(kept(FrameSampling::Count(count), 25.0, num_frames, 1), expect);
        };
        check(1, 9, &[4]);
        check(2, 8, &[2, 6]);
        check(3, 10, &[1, 5, 8]); // 1.67, 5, 8.33
        check(8, 8, &[0, 1, 2, 3, 4, 5, 6, 7]);
        check(20, 3, &[0, 1, 2]);
        assert_eq!(kept(FrameSampling::Count(16), 25.0, 164, 1).len(), 16);
    }

    #[test]
    fn rates_follow_time() {
        for rounding in [1, 1_000_000] {
            let check = |fps: f64, rate: f64, count: u64, expect: &[u64]| {
                assert_eq!(kept(FrameSampling::Fps(fps), rate, count, rounding), expect, "{fps} of {rate}");
            };
            check(10.0, 30.0, 12, &[0, 3, 6, 9]);
            check(10.0, 25.0, 13, &[0, 2, 5, 7, 10, 12]); // at 0, 100, 200, 300, 400, 500 ms: 80, 200, 280, 400, 480
            check(30.0, 30.0, 5, &[0, 1, 2, 3, 4]);
            check(60.0, 30.0, 5, &[0, 1, 2, 3, 4]);
            check(0.1, 30.0, 5, &[0]);
        }
        let whole = kept(FrameSampling::Fps(10.0), 30_000.0 / 1001.0, 300, 1);
        assert_eq!(whole.len(), 101); // 10.01 seconds: at 0.0 to 10.0
    }
}
