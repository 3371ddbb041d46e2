//! Random frames of equal parts, as MMAction2's `UniformSampleFrames` takes them: [`random_frames`].

/// Returns a random frame of each of `clip_len` equal parts.
///
/// A video of less than two clips gives all frames but some, which are drawn. A shorter one than a clip wraps, from `start` or, if
/// there is none, from a frame drawn. `below` draws a number below another.
pub(super) fn random_frames(
    num_frames: u32,
    clip_len: u32,
    start: Option<u32>,
    below: &mut impl FnMut(u32) -> u32,
) -> Vec<u32> {
    if num_frames < clip_len {
        let start = start.unwrap_or_else(|| below(num_frames));
        return (0..clip_len).map(|frame| (start + frame) % num_frames).collect();
    }
    if num_frames - clip_len < clip_len {
        let gaps = gaps(clip_len + 1, num_frames - clip_len, below);
        let mut left_out = 0;
        let frame = |(frame, gap): (u32, bool)| {
            left_out += u32::from(gap);
            frame + left_out
        };
        return (0..clip_len).zip(gaps).map(frame).collect();
    }
    let edge = |part: u32| (u64::from(part) * u64::from(num_frames) / u64::from(clip_len)) as u32;
    (0..clip_len).map(|part| edge(part) + below(edge(part + 1) - edge(part))).collect()
}

/// Returns where a test clip of a video starts that is shorter than a clip.
pub(super) fn test_start(num_frames: u32, num_clips: u32, clip: u32) -> u32 {
    if num_frames < num_clips {
        return clip % num_frames;
    }
    (u64::from(clip) * u64::from(num_frames) / u64::from(num_clips)) as u32
}

/// Returns which of `places` are among `count` drawn ones, shuffled as by NumPy.
fn gaps(places: u32, count: u32, below: &mut impl FnMut(u32) -> u32) -> Vec<bool> {
    let mut order: Vec<u32> = (0..places).collect();
    for place in (1..places).rev() {
        order.swap(place as usize, below(place + 1) as usize);
    }
    let mut gaps = vec![false; places as usize];
    order[..count as usize].iter().for_each(|place| gaps[*place as usize] = true);
    gaps
}
