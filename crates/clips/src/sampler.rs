//! Which frames of a video make a clip: MMAction2's samplers, by [`train_clips`] and [`test_clips`].
//!
//! With `clip_len` 1 the `num_clips` frames of `SampleFrames` and `DenseSampleFrames` are the segments of one clip (TSN,
//! TSM); else each of the `num_clips` clips stands alone. Both functions return clips in this sense.

mod mersenne;
mod parts;
mod starts;

use crate::{ClipError, Draws};
use mersenne::MersenneTwister;
use parts::{random_frames, test_start};
use pipe_schemas::stages::augment::{OutOfBound, Sampler};
use starts::{at_rate, dense_positions, dense_starts, even, segment_starts, tail_starts, test_starts, train_starts};

/// What a sampler asks of a video.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeline {
    /// Stored frames.
    pub num_frames: u32,
    /// Their average rate; 0 if it is not known.
    pub fps: f64,
}

/// Returns `T`, the frames in each clip that `sampler` makes.
pub fn frames_per_clip(sampler: &Sampler) -> u32 {
    match *sampler {
        Sampler::SampleFrames { clip_len: 1, num_clips, .. }
        | Sampler::DenseSampleFrames { clip_len: 1, num_clips, .. } => num_clips,
        Sampler::SampleFrames { clip_len, .. }
        | Sampler::DenseSampleFrames { clip_len, .. }
        | Sampler::UniformSample { clip_len, .. }
        | Sampler::UniformSampleFrames { clip_len, .. }
        | Sampler::UntrimmedSampleFrames { clip_len, .. } => clip_len,
    }
}

/// Returns the frame indices of the clips for training, `T` in each.
///
/// # Errors
/// [`ClipError::NoFrames`] if the video has none.
pub fn train_clips(sampler: &Sampler, video: Timeline, draws: &mut Draws) -> Result<Vec<Vec<u32>>, ClipError> {
    let num_frames = not_empty(video)?;
    Ok(match *sampler {
        Sampler::SampleFrames {
            clip_len,
            frame_interval,
            num_clips,
            temporal_jitter,
            twice_sample: _,
            out_of_bound_opt,
            keep_tail_frames,
            target_fps,
        } => {
            let whole = f64::from(clip_len) * f64::from(frame_interval);
            let (offsets, span) = match target_fps {
                Some(target) => at_rate(clip_len, whole, video.fps, target),
                None => (even(clip_len, frame_interval), whole),
            };
            let starts = if keep_tail_frames {
                tail_starts(num_frames, span, num_clips, draws)
            } else {
                train_starts(num_frames, span, num_clips, draws)
            };
            let mut moved = frames_from(&starts, &offsets);
            if temporal_jitter {
                let jitter = |index: &mut f64| *index += draws.below(u64::from(frame_interval)) as f64;
                moved.iter_mut().flatten().for_each(jitter);
            }
            clips_of(&moved, num_frames, out_of_bound_opt, num_clips)
        }
        Sampler::DenseSampleFrames { clip_len, frame_interval, num_clips, sample_range, out_of_bound_opt, .. } => {
            let positions = dense_positions(num_frames, sample_range);
            // As in MMAction2 the last position is never drawn: its upper bound is left out twice.
            let start = if positions == 1 { 0 } else { draws.below(positions - 1) };
            let frames =
                frames_from(&dense_starts(num_frames, sample_range, num_clips, start), &even(clip_len, frame_interval));
            clips_of(&frames, num_frames, out_of_bound_opt, num_clips)
        }
        Sampler::UniformSample { clip_len, .. } => {
            let frame = |(start, end): (u32, u32)| start + draws.up_to(end - start);
            vec![uniform_parts(num_frames, clip_len).map(frame).collect()]
        }
        Sampler::UniformSampleFrames { clip_len, num_clips, seed: _ } => {
            let mut below = |bound| draws.below(u64::from(bound)) as u32;
            (0..num_clips).map(|_| random_frames(num_frames, clip_len, None, &mut below)).collect()
        }
        Sampler::UntrimmedSampleFrames { clip_len, clip_interval, frame_interval } => {
            windows(num_frames, clip_len, clip_interval, frame_interval)
        }
    })
}

/// Returns the frame indices of the clips for testing, `T` in each; the same ones every time.
///
/// # Errors
/// [`ClipError::NoFrames`] if the video has none.
pub fn test_clips(sampler: &Sampler, video: Timeline) -> Result<Vec<Vec<u32>>, ClipError> {
    let num_frames = not_empty(video)?;
    Ok(match *sampler {
        Sampler::SampleFrames {
            clip_len,
            frame_interval,
            num_clips,
            temporal_jitter: _,
            twice_sample,
            out_of_bound_opt,
            keep_tail_frames: _,
            target_fps,
        } => {
            let (offsets, span) = match target_fps {
                Some(target) => at_rate(clip_len, f64::from(clip_len) * f64::from(frame_interval), video.fps, target),
                None => (even(clip_len, frame_interval), f64::from(clip_len - 1) * f64::from(frame_interval) + 1.0),
            };
            let starts = if clip_len == 1 {
                segment_starts(num_frames, num_clips, twice_sample)
            } else {
                let num_clips = if twice_sample { 2 * num_clips } else { num_clips };
                test_starts((f64::from(num_frames) - span).max(0.0), num_clips, target_fps.is_some())
            };
            clips_of(&frames_from(&starts, &offsets), num_frames, out_of_bound_opt, num_clips)
        }
        Sampler::DenseSampleFrames {
            clip_len,
            frame_interval,
            num_clips,
            sample_range,
            num_sample_positions,
            out_of_bound_opt,
        } => {
            let last = (dense_positions(num_frames, sample_range) - 1) as f64;
            let step = last / f64::from(num_sample_positions.max(2) - 1);
            let start = |position: u32| (f64::from(position) * step).min(last) as u64;
            let starts: Vec<f64> = (0..num_sample_positions)
                .flat_map(|position| dense_starts(num_frames, sample_range, num_clips, start(position)))
                .collect();
            let frames = frames_from(&starts, &even(clip_len, frame_interval));
            clips_of(&frames, num_frames, out_of_bound_opt, num_clips)
        }
        Sampler::UniformSample { clip_len, num_clips } => {
            let step = f64::from(num_frames - 1) / f64::from(clip_len) / f64::from(num_clips + 1);
            let clip = |number: u32| {
                let moved = (step * f64::from(number + 1)) as u32;
                uniform_parts(num_frames, clip_len).map(|(start, _)| start + moved).collect()
            };
            (0..num_clips).map(clip).collect()
        }
        Sampler::UniformSampleFrames { clip_len, num_clips, seed } => {
            let mut draws = MersenneTwister::new(seed);
            let mut below = |bound| draws.below(bound);
            let start = |clip| Some(test_start(num_frames, num_clips, clip));
            (0..num_clips).map(|clip| random_frames(num_frames, clip_len, start(clip), &mut below)).collect()
        }
        Sampler::UntrimmedSampleFrames { clip_len, clip_interval, frame_interval } => {
            windows(num_frames, clip_len, clip_interval, frame_interval)
        }
    })
}

fn not_empty(video: Timeline) -> Result<u32, ClipError> {
    if video.num_frames == 0 { Err(ClipError::NoFrames) } else { Ok(video.num_frames) }
}

/// Returns first and last frame of `clip_len` equal parts; neighbours share a frame.
fn uniform_parts(num_frames: u32, clip_len: u32) -> impl Iterator<Item = (u32, u32)> {
    let part = f64::from(num_frames - 1) / f64::from(clip_len);
    let edge = move |number: u32| (part * f64::from(number)).round_ties_even() as u32;
    (0..clip_len).map(move |number| (edge(number), edge(number + 1)))
}

/// Returns windows whose middles are `clip_interval` apart. What reaches out of the video shows its first or last frame.
fn windows(num_frames: u32, clip_len: u32, clip_interval: u32, frame_interval: u32) -> Vec<Vec<u32>> {
    let before = i64::from(clip_len / 2) * i64::from(frame_interval);
    let window = |middle: u32| {
        let index = |frame: u32| i64::from(middle) - before + i64::from(frame) * i64::from(frame_interval);
        (0..clip_len).map(|frame| index(frame).clamp(0, i64::from(num_frames) - 1) as u32).collect()
    };
    (clip_interval / 2..num_frames).step_by(clip_interval as usize).map(window).collect()
}

fn frames_from(starts: &[f64], offsets: &[f64]) -> Vec<Vec<f64>> {
    starts.iter().map(|start| offsets.iter().map(|offset| start + offset).collect()).collect()
}

/// Returns indices that are all in the video. Clips of a single frame become the segments of one clip, `num_clips` of them.
fn clips_of(frames: &[Vec<f64>], num_frames: u32, out_of_bound: OutOfBound, num_clips: u32) -> Vec<Vec<u32>> {
    segments_as_one(in_bound(frames, num_frames, out_of_bound), num_clips)
}

/// Fractions are cut off after the wrap, as in MMAction2.
fn in_bound(clips: &[Vec<f64>], num_frames: u32, out_of_bound: OutOfBound) -> Vec<Vec<u32>> {
    let end = f64::from(num_frames);
    let clip = |indices: &Vec<f64>| {
        let last = indices.iter().copied().filter(|index| *index < end).fold(0.0, f64::max);
        let within = |index: &f64| match out_of_bound {
            OutOfBound::Loop => *index % end,
            OutOfBound::RepeatLast if *index < end => *index,
            OutOfBound::RepeatLast => last,
        };
        indices.iter().map(|index| within(index) as u32).collect()
    };
    clips.iter().map(clip).collect()
}

/// Makes clips of a single frame to the segments of one clip, `num_clips` of them.
fn segments_as_one(clips: Vec<Vec<u32>>, num_clips: u32) -> Vec<Vec<u32>> {
    if clips.iter().any(|clip| clip.len() > 1) {
        return clips;
    }
    clips.chunks(num_clips as usize).map(<[Vec<u32>]>::concat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(num_frames: u32) -> Timeline {
        Timeline { num_frames, fps: 25.0 }
    }

    fn dense(clip_len: u32, frame_interval: u32, num_clips: u32) -> Sampler {
        Sampler::DenseSampleFrames {
            clip_len,
            frame_interval,
            num_clips,
            sample_range: 64,
            num_sample_positions: 10,
            out_of_bound_opt: OutOfBound::Loop,
        }
    }

    /// Changes a sampler of MMAction2's `{clip_len}x{frame_interval}x{num_clips}`.
    fn with(size: (u32, u32, u32), change: impl Fn(&mut Sampler)) -> Sampler {
        let mut sampler = Sampler::frames(size.0, size.1, size.2);
        change(&mut sampler);
        sampler
    }

    fn twice(sampler: &mut Sampler) {
        if let Sampler::SampleFrames { twice_sample, .. } = sampler {
            *twice_sample = true;
        }
    }

    fn repeat_last(sampler: &mut Sampler) {
        if let Sampler::SampleFrames { out_of_bound_opt, .. } = sampler {
            *out_of_bound_opt = OutOfBound::RepeatLast;
        }
    }

    fn keep_tail(sampler: &mut Sampler) {
        if let Sampler::SampleFrames { keep_tail_frames, .. } = sampler {
            *keep_tail_frames = true;
        }
    }

    fn jitter(sampler: &mut Sampler) {
        if let Sampler::SampleFrames { temporal_jitter, .. } = sampler {
            *temporal_jitter = true;
        }
    }

    fn at_30_fps(sampler: &mut Sampler) {
        if let Sampler::SampleFrames { target_fps, .. } = sampler {
            *target_fps = Some(30.0);
        }
    }

    #[track_caller]
    fn check_test(sampler: &Sampler, num_frames: u32, expect: &[u32]) {
        assert_eq!(test_clips(sampler, frames(num_frames)).expect("frames").concat(), expect);
    }

    #[track_caller]
    fn check_test_starts(sampler: &Sampler, num_frames: u32, expect: &[u32]) {
        let clips = test_clips(sampler, frames(num_frames)).expect("frames");
        assert_eq!(clips.iter().map(|clip| clip[0]).collect::<Vec<_>>(), expect);
    }

    fn train(sampler: &Sampler, num_frames: u32, seed: u64) -> Vec<Vec<u32>> {
        train_clips(sampler, frames(num_frames), &mut Draws::new(seed, &["a"])).expect("frames")
    }

    #[track_caller]
    fn check_train(sampler: &Sampler, num_frames: u32, expect: &[u32]) {
        assert_eq!(train(sampler, num_frames, 0).concat(), expect);
    }

    /// Checks that frame `at` of what is drawn is spread over `values` as by `weights`: chi-square, at a level that one
    /// of a million fair generators would miss.
    #[track_caller]
    fn check_spread(sampler: &Sampler, num_frames: u32, at: usize, values: &[u32], weights: &[f64]) {
        const DRAWS: u32 = 6_000;
        let mut counts = vec![0_u32; values.len()];
        for seed in 0..DRAWS {
            let drawn = train(sampler, num_frames, u64::from(seed)).concat()[at];
            let place = values.iter().position(|value| *value == drawn);
            counts[place.unwrap_or_else(|| panic!("{drawn} is none of {values:?}"))] += 1;
        }
        let total: f64 = weights.iter().sum();
        let expected = |weight: &f64| f64::from(DRAWS) * weight / total;
        let terms = counts
            .iter()
            .zip(weights)
            .map(|(count, weight)| (f64::from(*count) - expected(weight)).powi(2) / expected(weight));
        let (chi_square, freedom) = (terms.sum::<f64>(), values.len() as f64 - 1.0);
        // Wilson and Hilferty: the cube root is nearly normal.
        let z = ((chi_square / freedom).cbrt() - (1.0 - 2.0 / (9.0 * freedom))) / (2.0 / (9.0 * freedom)).sqrt();
        assert!(z < 4.75, "chi-square {chi_square} with {freedom} degrees of freedom: {counts:?}");
    }

    #[track_caller]
    fn check_even_spread(sampler: &Sampler, num_frames: u32, at: usize, values: std::ops::Range<u32>) {
        let values: Vec<u32> = values.collect();
        check_spread(sampler, num_frames, at, &values, &vec![1.0; values.len()]);
    }

    /// Printed by MMAction2 1.2.
    #[test]
    fn test_segments_are_those_of_mmaction2() {
        check_test(&Sampler::frames(1, 1, 8), 100, &[6, 18, 31, 43, 56, 68, 81, 93]);
        check_test(&Sampler::frames(1, 1, 3), 10, &[1, 5, 8]);
        check_test(&Sampler::frames(1, 1, 8), 5, &[0, 0, 1, 2, 2, 3, 4, 4]);
        let golden = [
            3, 9, 16, 22, 29, 36, 42, 49, 55, 62, 68, 75, 82, 88, 95, 101, 108, 114, 121, 127, 134, 141, 147, 154, 160,
        ];
        check_test(&Sampler::frames(1, 1, 25), 164, &golden);
        let golden = [6, 18, 31, 43, 56, 68, 81, 93, 0, 12, 25, 37, 50, 62, 75, 87];
        check_test(&with((1, 1, 8), twice), 100, &golden);
        assert_eq!(test_clips(&with((1, 1, 8), twice), frames(100)).expect("frames").len(), 2);
    }

    /// Printed by MMAction2 1.2.
    #[test]
    fn test_clips_are_those_of_mmaction2() {
        check_test_starts(&Sampler::frames(32, 2, 10), 250, &[0, 21, 42, 62, 83, 104, 125, 145, 166, 187]);
        let clips = test_clips(&Sampler::frames(32, 2, 10), frames(250)).expect("frames");
        assert_eq!(clips.last().and_then(|clip| clip.last()), Some(&249));
        check_test(&Sampler::frames(8, 8, 1), 100, &[21, 29, 37, 45, 53, 61, 69, 77]);
        check_test(&Sampler::frames(8, 8, 1), 50, &[0, 8, 16, 24, 32, 40, 48, 6]);
        check_test_starts(&Sampler::frames(16, 4, 5), 164, &[0, 26, 52, 77, 103]);
        check_test(&with((8, 8, 1), repeat_last), 50, &[0, 8, 16, 24, 32, 40, 48, 48]);
    }

    /// Printed by MMAction2 1.2: `1x1x8` on 100 frames begins so, and has 80 indices.
    #[test]
    fn dense_and_uniform_clips_are_those_of_mmaction2() {
        let clips = test_clips(&dense(1, 1, 8), frames(100)).expect("frames");
        assert_eq!((clips.len(), clips.concat().len()), (10, 80));
        assert_eq!(clips[0], [0, 8, 16, 24, 32, 40, 48, 56]);
        assert_eq!(clips[1], [4, 12, 20, 28, 36, 44, 52, 60]);
        assert_eq!(clips[9], [36, 44, 52, 60, 68, 76, 84, 92]);
        check_test(&dense(1, 1, 8), 40, &[0, 8, 16, 24, 32, 0, 8, 16].repeat(10));
        let uniform = |num_clips| Sampler::UniformSample { clip_len: 8, num_clips };
        check_test(&uniform(1), 100, &[6, 18, 31, 43, 56, 68, 80, 93]);
        check_test(&uniform(2), 100, &[4, 16, 29, 41, 54, 66, 78, 91, 8, 20, 33, 45, 58, 70, 82, 95]);
    }

    /// Printed by MMAction2's code with NumPy 2.4: long videos, those of less than two clips, and those shorter than one.
    #[test]
    fn random_test_frames_are_those_of_mmaction2() {
        let uniform = |clip_len, num_clips| Sampler::UniformSampleFrames { clip_len, num_clips, seed: 255 };
        check_test(&uniform(8, 2), 100, &[3, 21, 34, 43, 55, 70, 80, 96, 2, 16, 34, 37, 60, 69, 76, 99]);
        check_test(&uniform(8, 1), 17, &[1, 3, 5, 7, 8, 11, 13, 14]);
        check_test(&uniform(8, 2), 16, &[1, 3, 5, 7, 8, 11, 13, 14, 1, 3, 4, 6, 9, 10, 12, 15]);
        let golden = [0, 1, 3, 4, 6, 7, 9, 10, 0, 1, 2, 4, 5, 7, 9, 11, 0, 1, 2, 4, 5, 7, 8, 10];
        check_test(&uniform(8, 3), 12, &golden);
        check_test(&uniform(8, 1), 8, &[0, 1, 2, 3, 4, 5, 6, 7]);
        check_test(&uniform(8, 2), 5, &[0, 1, 2, 3, 4, 0, 1, 2, 2, 3, 4, 0, 1, 2, 3, 4]);
        check_test(&uniform(4, 3), 2, &[0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1]);
        let golden = [
            19, 29, 47, 67, 98, 113, 143, 165, 166, 194, 225, 249, 267, 277, 307, 318, 339, 370, 381, 415, 436, 441,
            473, 499, 509, 530, 561, 574, 584, 621, 644, 648, 668, 687, 722, 747, 761, 774, 798, 822, 848, 868, 884,
            913, 918, 956, 966, 993,
        ];
        check_test(&uniform(48, 1), 1000, &golden);
        let golden = [35_635, 316_729, 555_520, 835_627, 83_430, 339_989, 516_377, 981_959];
        check_test(&uniform(4, 2), 1_000_003, &golden);
    }

    /// Worked out by hand from MMAction2's `target_fps` and `UntrimmedSampleFrames`.
    #[test]
    fn rates_and_windows_are_those_of_mmaction2() {
        // 8 x 3 frames at 30 fps are 20 at 25 fps: linspace(0, 19, 8) cut off, from (100 - 20) / 2.
        check_test(&with((8, 3, 1), at_30_fps), 100, &[40, 42, 45, 48, 50, 53, 56, 59]);
        // 80 / 3 = 26.67 is cut off to 26.
        check_test_starts(&with((8, 3, 4), at_30_fps), 100, &[0, 26, 52, 78]);
        let windows = |clip_len| Sampler::UntrimmedSampleFrames { clip_len, clip_interval: 16, frame_interval: 2 };
        check_test(&windows(1), 50, &[8, 24, 40]);
        check_test(&windows(5), 20, &[4, 6, 8, 10, 12]);
        check_test(&windows(12), 10, &[0, 0, 0, 2, 4, 6, 8, 9, 9, 9, 9, 9]);
    }

    /// Worked out by hand from MMAction2's three cases without a draw.
    #[test]
    fn short_videos_train_on_fixed_frames() {
        check_train(&Sampler::frames(1, 1, 8), 5, &[0, 1, 1, 2, 2, 3, 4, 4]); // around(i * 5 / 8), halves to even
        check_train(&Sampler::frames(1, 1, 3), 1, &[0, 0, 0]); // around(i / 3) = 0 0 1, and 1 wraps to 0
        check_train(&Sampler::frames(4, 2, 2), 3, &[0, 2, 1, 0, 0, 2, 1, 0]); // shorter than a clip: from 0, wraps
        check_train(&with((4, 2, 2), keep_tail), 3, &[0, 2, 1, 0, 0, 2, 1, 0]);
    }

    #[test]
    fn draws_have_the_distribution_of_mmaction2() {
        let segments = Sampler::frames(1, 1, 8);
        check_even_spread(&segments, 100, 0, 0..12); // (100 - 1 + 1) / 8 = 12
        check_even_spread(&segments, 100, 7, 84..96); // the last 4 frames are never drawn
        check_even_spread(&Sampler::frames(16, 2, 1), 100, 0, 0..69);
        // Real intervals of 12.5: frame 12 is in the first for half its length.
        let tail = with((1, 1, 8), keep_tail);
        let weights: Vec<f64> = (0..13).map(|frame| if frame == 12 { 0.5 } else { 1.0 }).collect();
        check_spread(&tail, 100, 0, &(0..13).collect::<Vec<_>>(), &weights);
        let weights: Vec<f64> = (87..100).map(|frame| if frame == 87 { 0.5 } else { 1.0 }).collect();
        check_spread(&tail, 100, 7, &(87..100).collect::<Vec<_>>(), &weights);
        // 10 frames have 7 places for 4 frames: 8 of them are drawn with replacement and sorted. The first is the least.
        let zeros = (0..6_000).filter(|seed| train(&Sampler::frames(4, 1, 8), 10, *seed)[0][0] == 0).count();
        let (found, expect) = (zeros as f64 / 6_000.0, 1.0 - (6.0_f64 / 7.0).powi(8));
        assert!((found - expect).abs() < 0.03, "{found}, not {expect}");
        check_even_spread(&dense(1, 1, 8), 100, 0, 0..36); // 37 positions, of which the last is left out
        let uniform = Sampler::UniformSample { clip_len: 8, num_clips: 1 };
        check_even_spread(&uniform, 100, 0, 0..13); // round(12.375), inclusive
        check_even_spread(&uniform, 100, 7, 87..100);
        let uniform = |clip_len| Sampler::UniformSampleFrames { clip_len, num_clips: 1, seed: 0 };
        check_even_spread(&uniform(8), 100, 7, 87..100); // 7 * 100 / 8 = 87
        check_even_spread(&uniform(8), 5, 0, 0..5);
        // Of 9 places to leave out a frame of 10, the first 2 come before the second frame of 8: 0, 1 or 2 of them.
        check_spread(&uniform(8), 10, 1, &[1, 2, 3], &[21.0, 14.0, 1.0]);
    }

    #[test]
    fn jitter_moves_each_frame_within_its_interval() {
        let sampler = with((4, 5, 1), jitter);
        check_even_spread(&sampler, 20, 3, 15..20); // 20 frames are a clip of 4 x 5: it starts at 0
        let clip = &train(&sampler, 20, 1)[0];
        assert!(clip.iter().enumerate().all(|(frame, index)| (*index as usize) / 5 == frame), "{clip:?}");
    }

    #[test]
    fn training_segments_lie_in_their_part() {
        for seed in 0..200 {
            let clips = train(&Sampler::frames(1, 1, 8), 100, seed);
            let [clip] = &clips[..] else { panic!("segments are one clip") };
            for (segment, index) in clip.iter().enumerate() {
                let part = segment as u32 * 12..(segment as u32 + 1) * 12;
                assert!(part.contains(index), "segment {segment} drew {index}");
            }
        }
    }

    /// 10 frames hold a clip of 8 at 3 places, fewer than the 4 clips asked for: sorted draws with repeats.
    #[test]
    fn crowded_clips_are_sorted_and_whole() {
        for seed in 0..200 {
            let clips = train(&Sampler::frames(8, 1, 4), 10, seed);
            let starts: Vec<u32> = clips.iter().map(|clip| clip[0]).collect();
            assert!(starts.is_sorted() && starts.iter().all(|start| *start <= 2), "{starts:?}");
            assert!(clips.iter().all(|clip| clip.len() == 8 && clip[7] == clip[0] + 7));
        }
    }

    #[test]
    fn indices_are_in_range_for_any_length() {
        let mut samplers = Vec::new();
        for size in [(1, 1, 8), (1, 3, 1), (4, 1, 3), (8, 8, 2), (32, 2, 10)] {
            let changes: [fn(&mut Sampler); 6] = [|_| {}, repeat_last, keep_tail, jitter, twice, at_30_fps];
            samplers.extend(changes.map(|change| with(size, change)));
            samplers.push(dense(size.0, size.1, size.2));
            samplers.push(Sampler::UniformSample { clip_len: size.0, num_clips: size.2 });
            samplers.push(Sampler::UniformSampleFrames { clip_len: size.0, num_clips: size.2, seed: size.1 });
            let (clip_len, clip_interval) = (size.0, size.1);
            samplers.push(Sampler::UntrimmedSampleFrames { clip_len, clip_interval, frame_interval: size.2 });
        }
        for sampler in samplers {
            for num_frames in 1..300 {
                let train = train(&sampler, num_frames, u64::from(num_frames));
                for clips in [train, test_clips(&sampler, frames(num_frames)).expect("frames")] {
                    assert!(clips.iter().all(|clip| clip.len() as u32 == frames_per_clip(&sampler)), "{sampler:?}");
                    assert!(clips.iter().flatten().all(|index| *index < num_frames), "{sampler:?} {num_frames}");
                }
            }
        }
    }

    #[test]
    fn no_frames_is_an_error() {
        assert!(matches!(test_clips(&Sampler::frames(1, 1, 8), frames(0)), Err(ClipError::NoFrames)));
        let drawn = train_clips(&Sampler::frames(8, 1, 1), frames(0), &mut Draws::new(0, &[]));
        assert!(matches!(drawn, Err(ClipError::NoFrames)));
    }
}
