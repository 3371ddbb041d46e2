//! Which frames of a video make a clip: MMAction2's `SampleFrames`, by [`train_clips`] and [`test_clips`].
//!
//! With `clip_len` 1 the `num_clips` frames are the segments of one clip (TSN, TSM); else each of the `num_clips` clips
//! stands alone. Both functions return clips in this sense.

use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::{OutOfBound, Sampler};

/// Returns `T`, the frames in each clip that `sampler` makes.
pub fn frames_per_clip(sampler: &Sampler) -> u32 {
    match *sampler {
        Sampler::SampleFrames { clip_len: 1, num_clips, .. } => num_clips,
        Sampler::SampleFrames { clip_len, .. } => clip_len,
    }
}

/// Returns the frame indices of the clips for training, `T` in each.
///
/// # Errors
/// [`ClipError::NoFrames`] if `num_frames` is 0.
pub fn train_clips(sampler: &Sampler, num_frames: u32, draws: &mut Draws) -> Result<Vec<Vec<u32>>, ClipError> {
    let Sampler::SampleFrames { clip_len, frame_interval, num_clips, .. } = *sampler;
    let span = u64::from(clip_len) * u64::from(frame_interval);
    let starts = train_starts(u64::from(num_frames), span, u64::from(num_clips), draws);
    clips(sampler, num_frames, &starts)
}

/// Returns the frame indices of the clips for testing, `T` in each; the same ones every time.
///
/// # Errors
/// [`ClipError::NoFrames`] if `num_frames` is 0.
pub fn test_clips(sampler: &Sampler, num_frames: u32) -> Result<Vec<Vec<u32>>, ClipError> {
    let Sampler::SampleFrames { clip_len, frame_interval, num_clips, .. } = *sampler;
    let starts = if clip_len == 1 {
        let interval = f64::from(num_frames) / f64::from(num_clips);
        (0..num_clips).map(|clip| f64::from(clip) * interval + interval / 2.0).collect()
    } else {
        let span = u64::from(clip_len - 1) * u64::from(frame_interval) + 1;
        test_starts(u64::from(num_frames).saturating_sub(span), num_clips)
    };
    clips(sampler, num_frames, &starts)
}

fn train_starts(num_frames: u64, span: u64, num_clips: u64, draws: &mut Draws) -> Vec<f64> {
    // Starts that leave room for a whole clip; below 1 where the video is shorter than a clip.
    let num_starts = num_frames as i64 - span as i64 + 1;
    let interval = num_starts.div_euclid(num_clips.max(1) as i64);
    if interval > 0 {
        (0..num_clips).map(|clip| (clip * interval as u64 + draws.below(interval as u64)) as f64).collect()
    } else if num_frames > num_clips.max(span) {
        let mut starts: Vec<u64> = (0..num_clips).map(|_| draws.below(num_starts as u64)).collect();
        starts.sort_unstable();
        starts.into_iter().map(|start| start as f64).collect()
    } else if interval == 0 {
        let ratio = num_starts as f64 / num_clips as f64;
        (0..num_clips).map(|clip| (clip as f64 * ratio).round_ties_even()).collect()
    } else {
        vec![0.0; num_clips as usize]
    }
}

fn test_starts(max_start: u64, num_clips: u32) -> Vec<f64> {
    if num_clips == 1 {
        return vec![(max_start / 2) as f64];
    }
    let interval = max_start as f64 / f64::from(num_clips - 1);
    (0..num_clips).map(|clip| (f64::from(clip) * interval).round_ties_even()).collect()
}

/// Starts are fractions where MMAction2 has fractions, and are cut off after the wrap, as there.
fn clips(sampler: &Sampler, num_frames: u32, starts: &[f64]) -> Result<Vec<Vec<u32>>, ClipError> {
    let Sampler::SampleFrames { clip_len, frame_interval, out_of_bound_opt, .. } = *sampler;
    if num_frames == 0 {
        return Err(ClipError::NoFrames);
    }
    let end = f64::from(num_frames);
    let mut clips = Vec::with_capacity(starts.len());
    for start in starts {
        let offsets = (0..clip_len).map(|frame| f64::from(frame) * f64::from(frame_interval));
        let indices: Vec<f64> = offsets.map(|offset| start + offset).collect();
        let last = indices.iter().copied().filter(|index| *index < end).fold(0.0, f64::max);
        let in_bound = |index: f64| match out_of_bound_opt {
            OutOfBound::Loop => index % end,
            OutOfBound::RepeatLast if index < end => index,
            OutOfBound::RepeatLast => last,
        };
        clips.push(indices.into_iter().map(|index| in_bound(index) as u32).collect());
    }
    Ok(if clip_len == 1 { vec![clips.concat()] } else { clips })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(clip_len: u32, frame_interval: u32, num_clips: u32) -> Sampler {
        Sampler::SampleFrames { clip_len, frame_interval, num_clips, out_of_bound_opt: OutOfBound::Loop }
    }

    #[track_caller]
    fn check_test(sampler: &Sampler, num_frames: u32, expect: &[u32]) {
        assert_eq!(test_clips(sampler, num_frames).expect("frames").concat(), expect);
    }

    #[track_caller]
    fn check_test_starts(sampler: &Sampler, num_frames: u32, expect: &[u32]) {
        let clips = test_clips(sampler, num_frames).expect("frames");
        assert_eq!(clips.iter().map(|clip| clip[0]).collect::<Vec<_>>(), expect);
    }

    #[track_caller]
    fn check_train(sampler: &Sampler, num_frames: u32, expect: &[u32]) {
        let mut draws = Draws::new(0, &["a"]);
        assert_eq!(train_clips(sampler, num_frames, &mut draws).expect("frames").concat(), expect);
    }

    /// Printed by MMAction2 1.2.
    #[test]
    fn test_segments_are_those_of_mmaction2() {
        check_test(&sampler(1, 1, 8), 100, &[6, 18, 31, 43, 56, 68, 81, 93]);
        check_test(&sampler(1, 1, 3), 10, &[1, 5, 8]);
        check_test(&sampler(1, 1, 8), 5, &[0, 0, 1, 2, 2, 3, 4, 4]);
        let golden = [
            3, 9, 16, 22, 29, 36, 42, 49, 55, 62, 68, 75, 82, 88, 95, 101, 108, 114, 121, 127, 134, 141, 147, 154, 160,
        ];
        check_test(&sampler(1, 1, 25), 164, &golden);
    }

    /// Printed by MMAction2 1.2.
    #[test]
    fn test_clips_are_those_of_mmaction2() {
        check_test_starts(&sampler(32, 2, 10), 250, &[0, 21, 42, 62, 83, 104, 125, 145, 166, 187]);
        let clips = test_clips(&sampler(32, 2, 10), 250).expect("frames");
        assert_eq!(clips.last().and_then(|clip| clip.last()), Some(&249));
        check_test(&sampler(8, 8, 1), 100, &[21, 29, 37, 45, 53, 61, 69, 77]);
        check_test(&sampler(8, 8, 1), 50, &[0, 8, 16, 24, 32, 40, 48, 6]);
        check_test_starts(&sampler(16, 4, 5), 164, &[0, 26, 52, 77, 103]);
        let repeat_last = Sampler::SampleFrames {
            clip_len: 8,
            frame_interval: 8,
            num_clips: 1,
            out_of_bound_opt: OutOfBound::RepeatLast,
        };
        check_test(&repeat_last, 50, &[0, 8, 16, 24, 32, 40, 48, 48]);
    }

    /// Worked out by hand from MMAction2's three cases without a draw.
    #[test]
    fn short_videos_train_on_fixed_frames() {
        check_train(&sampler(1, 1, 8), 5, &[0, 1, 1, 2, 2, 3, 4, 4]); // around(i * 5 / 8), halves to even
        check_train(&sampler(1, 1, 3), 1, &[0, 0, 0]); // around(i / 3) = 0 0 1, and 1 wraps to 0
        check_train(&sampler(4, 2, 2), 3, &[0, 2, 1, 0, 0, 2, 1, 0]); // shorter than a clip: starts at 0, wraps
    }

    #[test]
    fn training_segments_lie_in_their_part() {
        for seed in 0..200 {
            let clips = train_clips(&sampler(1, 1, 8), 100, &mut Draws::new(seed, &[])).expect("frames");
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
            let clips = train_clips(&sampler(8, 1, 4), 10, &mut Draws::new(seed, &[])).expect("frames");
            let starts: Vec<u32> = clips.iter().map(|clip| clip[0]).collect();
            assert!(starts.is_sorted() && starts.iter().all(|start| *start <= 2), "{starts:?}");
            assert!(clips.iter().all(|clip| clip.len() == 8 && clip[7] == clip[0] + 7));
        }
    }

    #[test]
    fn indices_are_in_range_for_any_length() {
        for out_of_bound_opt in [OutOfBound::Loop, OutOfBound::RepeatLast] {
            for (clip_len, frame_interval, num_clips) in [(1, 1, 8), (1, 3, 1), (4, 1, 3), (8, 8, 2), (32, 2, 10)] {
                let sampler = Sampler::SampleFrames { clip_len, frame_interval, num_clips, out_of_bound_opt };
                for num_frames in 1..300 {
                    let train = train_clips(&sampler, num_frames, &mut Draws::new(u64::from(num_frames), &["range"]));
                    for clips in [train, test_clips(&sampler, num_frames)] {
                        let clips = clips.expect("frames");
                        assert_eq!(clips.len() as u32, if clip_len == 1 { 1 } else { num_clips });
                        assert!(clips.iter().all(|clip| clip.len() as u32 == frames_per_clip(&sampler)));
                        assert!(clips.iter().flatten().all(|index| *index < num_frames), "{sampler:?} {num_frames}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_frames_is_an_error() {
        assert!(matches!(test_clips(&sampler(1, 1, 8), 0), Err(ClipError::NoFrames)));
        assert!(matches!(train_clips(&sampler(8, 1, 1), 0, &mut Draws::new(0, &[])), Err(ClipError::NoFrames)));
    }
}
