use super::*;
use pipe_schemas::stages::augment::{
    DenseSampleFrames, SampleFrames, UniformSample, UniformSampleFrames, UntrimmedSampleFrames,
};

fn frames(num_frames: u32) -> Timeline {
    Timeline { num_frames, fps: 25.0 }
}

fn dense(clip_len: u32, frame_interval: u32, num_clips: u32) -> Sampler {
    let (sample_range, num_sample_positions) = (64, 10);
    let out_of_bound_opt = OutOfBound::Loop;
    DenseSampleFrames { clip_len, frame_interval, num_clips, sample_range, num_sample_positions, out_of_bound_opt }
        .into()
}

/// Changes a sampler of MMAction2's `{clip_len}x{frame_interval}x{num_clips}`.
fn with((clip_len, frame_interval, num_clips): (u32, u32, u32), change: impl Fn(&mut SampleFrames)) -> Sampler {
    let mut sampler = SampleFrames { clip_len, frame_interval, num_clips, ..SampleFrames::default() };
    change(&mut sampler);
    sampler.into()
}

fn twice(sampler: &mut SampleFrames) {
    sampler.twice_sample = true;
}

fn repeat_last(sampler: &mut SampleFrames) {
    sampler.out_of_bound_opt = OutOfBound::RepeatLast;
}

fn keep_tail(sampler: &mut SampleFrames) {
    sampler.keep_tail_frames = true;
}

fn jitter(sampler: &mut SampleFrames) {
    sampler.temporal_jitter = true;
}

fn at_30_fps(sampler: &mut SampleFrames) {
    sampler.target_fps = Some(30.0);
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
    let golden =
        [3, 9, 16, 22, 29, 36, 42, 49, 55, 62, 68, 75, 82, 88, 95, 101, 108, 114, 121, 127, 134, 141, 147, 154, 160];
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
    let uniform = |num_clips| UniformSample { clip_len: 8, num_clips }.into();
    check_test(&uniform(1), 100, &[6, 18, 31, 43, 56, 68, 80, 93]);
    check_test(&uniform(2), 100, &[4, 16, 29, 41, 54, 66, 78, 91, 8, 20, 33, 45, 58, 70, 82, 95]);
}

/// Printed by MMAction2's code with NumPy 2.4: long videos, those of less than two clips, and those shorter than one.
#[test]
fn random_test_frames_are_those_of_mmaction2() {
    let uniform = |clip_len, num_clips| UniformSampleFrames { clip_len, num_clips, seed: 255 }.into();
    check_test(&uniform(8, 2), 100, &[3, 21, 34, 43, 55, 70, 80, 96, 2, 16, 34, 37, 60, 69, 76, 99]);
    check_test(&uniform(8, 1), 17, &[1, 3, 5, 7, 8, 11, 13, 14]);
    check_test(&uniform(8, 2), 16, &[1, 3, 5, 7, 8, 11, 13, 14, 1, 3, 4, 6, 9, 10, 12, 15]);
    let golden = [0, 1, 3, 4, 6, 7, 9, 10, 0, 1, 2, 4, 5, 7, 9, 11, 0, 1, 2, 4, 5, 7, 8, 10];
    check_test(&uniform(8, 3), 12, &golden);
    check_test(&uniform(8, 1), 8, &[0, 1, 2, 3, 4, 5, 6, 7]);
    check_test(&uniform(8, 2), 5, &[0, 1, 2, 3, 4, 0, 1, 2, 2, 3, 4, 0, 1, 2, 3, 4]);
    check_test(&uniform(4, 3), 2, &[0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1]);
    let golden = [
        19, 29, 47, 67, 98, 113, 143, 165, 166, 194, 225, 249, 267, 277, 307, 318, 339, 370, 381, 415, 436, 441, 473,
        499, 509, 530, 561, 574, 584, 621, 644, 648, 668, 687, 722, 747, 761, 774, 798, 822, 848, 868, 884, 913, 918,
        956, 966, 993,
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
    let windows = |clip_len| UntrimmedSampleFrames { clip_len, clip_interval: 16, frame_interval: 2 }.into();
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
    let uniform = Sampler::from(UniformSample { clip_len: 8, num_clips: 1 });
    check_even_spread(&uniform, 100, 0, 0..13); // round(12.375), inclusive
    check_even_spread(&uniform, 100, 7, 87..100);
    let uniform = |clip_len| UniformSampleFrames { clip_len, num_clips: 1, seed: 0 }.into();
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
        let changes: [fn(&mut SampleFrames); 6] = [|_| {}, repeat_last, keep_tail, jitter, twice, at_30_fps];
        samplers.extend(changes.map(|change| with(size, change)));
        samplers.push(dense(size.0, size.1, size.2));
        samplers.push(UniformSample { clip_len: size.0, num_clips: size.2 }.into());
        samplers.push(UniformSampleFrames { clip_len: size.0, num_clips: size.2, seed: size.1 }.into());
        let (clip_len, clip_interval) = (size.0, size.1);
        samplers.push(UntrimmedSampleFrames { clip_len, clip_interval, frame_interval: size.2 }.into());
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

#[test]
fn a_video_has_clips_from_min_frames_on() {
    let untrimmed =
        |clip_interval| Sampler::from(UntrimmedSampleFrames { clip_len: 4, clip_interval, frame_interval: 1 });
    let uniform = UniformSampleFrames { clip_len: 8, num_clips: 3, seed: 255 };
    let samplers = [
        (Sampler::frames(8, 4, 3), 1),
        (with((8, 4, 3), keep_tail), 1),
        (dense(8, 4, 10), 1),
        (UniformSample { clip_len: 8, num_clips: 2 }.into(), 1),
        (uniform.into(), 1),
        (untrimmed(1), 1),
        (untrimmed(2), 2),
        (untrimmed(16), 9),
        (untrimmed(17), 9),
    ];
    for (sampler, expect) in samplers {
        assert_eq!(min_frames(&sampler), expect, "{sampler:?}");
        for num_frames in 1..40 {
            let has_clips = num_frames >= expect;
            assert_eq!(!test_clips(&sampler, frames(num_frames)).expect("frames").is_empty(), has_clips, "{sampler:?}");
            assert_eq!(!train(&sampler, num_frames, 1).is_empty(), has_clips, "{sampler:?}, {num_frames} frames");
        }
    }
}
