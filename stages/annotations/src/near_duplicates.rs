//! Finds pairs of similar videos by the hashes of their frames: [`for_each_similar_pair`].
//!
//! Two frames are similar if their 64-bit hashes differ in at most 6 bits. Two videos are similar if at least half of the frames
//! of the shorter one, and at least two, have a similar frame in the other: a single frame may be an intro or a title that many
//! videos share. A video with only one hash, which is hardly longer than a second, is compared by that hash.
//!
//! Not every pair of frames is compared. A hash consists of four bands of 16 bits; if at most 6 bits differ, at least one band
//! differs in at most one bit. So the hashes of one list are sorted by each band, and the hashes of the other list are looked up
//! by each band: unchanged, and with each of its bits flipped. If all videos show the same picture, this still compares every pair.

/// Maximum number of bits in which the hashes of similar frames differ.
const MAX_BITS: u32 = 6;
/// Number of bands, so that [`MAX_BITS`] differing bits leave at least one band with fewer than two.
const BANDS: u32 = MAX_BITS / 2 + 1;
const BAND_BITS: u32 = u64::BITS / BANDS;
const BAND_MASK: usize = (1 << BAND_BITS) - 1;
/// Maximum number of hashes per video. Each has a bit in a `u64`.
const MAX_HASHES: usize = pipe_schemas::tables::MAX_HASHES_PER_VIDEO;
const _: () = assert!(MAX_HASHES <= u64::BITS as usize);

/// Two similar videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SimilarPair {
    /// Position in the first list.
    pub(crate) first: usize,
    /// Position in the second list.
    pub(crate) second: usize,
    /// Number of frames with a similar frame in the other video, in the video with fewer frames.
    pub(crate) num_matching: u32,
    /// Number of frames in the video with fewer frames.
    pub(crate) num_frames: u32,
}

/// Calls `found` for each pair of similar videos, in order. Videos are given as lists of hashes. There may be many pairs, so they
/// are not collected.
pub(crate) fn for_each_similar_pair(ones: &[&[u64]], others: &[&[u64]], mut found: impl FnMut(SimilarPair)) {
    let index = Index::of(others);
    // One bit per frame with a similar frame: in each of the `others`, and in the current one.
    let mut partners = vec![(0_u64, 0_u64); others.len()];
    let mut touched = Vec::new();
    for (one, hashes) in ones.iter().enumerate() {
        for (position, hash) in hashes.iter().take(MAX_HASHES).enumerate() {
            index.each_near(*hash, |frame| {
                let partners = &mut partners[frame.video as usize];
                if *partners == (0, 0) {
                    touched.push(frame.video as usize);
                }
                partners.0 |= 1 << frame.position;
                partners.1 |= 1 << position;
            });
        }
        touched.sort_unstable();
        for other in touched.drain(..) {
            let (of_other, of_one) = std::mem::take(&mut partners[other]);
            let counts = [(*hashes, of_one), (others[other], of_other)];
            let counts = counts.map(|(hashes, bits)| (hashes.len().min(MAX_HASHES) as u32, bits.count_ones()));
            let (num_frames, num_matching) = if counts[0].0 <= counts[1].0 { counts[0] } else { counts[1] };
            if num_matching >= num_frames.div_ceil(2).max(num_frames.min(2)) {
                found(SimilarPair { first: one, second: other, num_matching, num_frames });
            }
        }
    }
}

/// The frames of many videos, searchable by similar hashes.
struct Index(Vec<Band>);

/// All frames, sorted by one band of their hashes.
struct Band {
    frames: Vec<Frame>,
    /// Start of the frames with each value of the band, and the end.
    starts: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Frame {
    hash: u64,
    video: u32,
    position: u8,
}

impl Index {
    fn of(videos: &[&[u64]]) -> Self {
        let mut frames = Vec::new();
        for (video, hashes) in (0..).zip(videos) {
            frames.extend((0..).zip(hashes.iter().take(MAX_HASHES)).map(|(position, &hash)| Frame {
                hash,
                video,
                position,
            }));
        }
        Self((0..BANDS).map(|band| Band::of(band, frames.clone())).collect())
    }

    /// Calls `found` for each similar frame, for some more than once.
    fn each_near(&self, hash: u64, mut found: impl FnMut(&Frame)) {
        for (band, sorted) in (0..).zip(&self.0) {
            let exact = value(hash, band);
            // Flips one bit at a time; the last one is outside the band and flips none.
            for bit in 0..=BAND_BITS {
                let near = exact ^ (1 << bit & BAND_MASK);
                for frame in &sorted.frames[sorted.starts[near] as usize..sorted.starts[near + 1] as usize] {
                    if (frame.hash ^ hash).count_ones() <= MAX_BITS {
                        found(frame);
                    }
                }
            }
        }
    }
}

impl Band {
    fn of(band: u32, mut frames: Vec<Frame>) -> Self {
        frames.sort_by_key(|frame| value(frame.hash, band));
        let mut starts = vec![0; BAND_MASK + 2];
        for frame in &frames {
            starts[value(frame.hash, band) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { frames, starts }
    }
}

/// Returns the value of a band.
fn value(hash: u64, band: u32) -> usize {
    (hash >> (band * BAND_BITS)) as usize & BAND_MASK
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn similar(ones: &[&[u64]], others: &[&[u64]]) -> Vec<SimilarPair> {
        let mut found = Vec::new();
        for_each_similar_pair(ones, others, |pair| found.push(pair));
        found
    }

    /// Returns the pairs: positions, matching frames, frames.
    fn found(ones: &[&[u64]], others: &[&[u64]]) -> Vec<(usize, usize, u32, u32)> {
        let found = similar(ones, others).into_iter();
        found.map(|pair| (pair.first, pair.second, pair.num_matching, pair.num_frames)).collect()
    }

    /// Returns a hash that is not similar to those of other numbers.
    fn far(number: u64) -> u64 {
        number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn half_of_the_frames_and_two_of_them_must_match() {
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(far);
        assert_eq!(found(&[&[a, b]], &[&[a, b, c, d]]), [(0, 0, 2, 2)]);
        assert_eq!(found(&[&[a, b]], &[&[a, c]]), [], "only one frame, such as a title");
        assert_eq!(found(&[&[a]], &[&[c, d, a]]), [(0, 0, 1, 1)], "the only frame");
        assert_eq!(found(&[&[c, d, e, a]], &[&[b, a, a, c]]), [(0, 0, 2, 4)]);
        assert_eq!(found(&[&[c, d, e, a, b]], &[&[a, c, far(5), far(6), far(7)]]), [], "2 of 5");
        assert_eq!(found(&[&[], &[a]], &[&[], &[b]]), [], "no frames");
    }

    #[test]
    fn any_six_bits_may_differ() {
        let check =
            |bits: u64, expect: usize| assert_eq!(found(&[&[far(9)]], &[&[far(9) ^ bits]]).len(), expect, "{bits:x}");
        check(0x3f, 1);
        check(0x8001_8001_0001_0001, 1);
        check(0x8001_8001_0001_0003, 0);
        check(0x7f, 0);
    }

    #[test]
    fn pairs_are_sorted() {
        let [a, b] = [0, 1].map(far);
        let found: Vec<_> =
            found(&[&[b], &[a], &[b]], &[&[a], &[b], &[a, b]]).into_iter().map(|it| (it.0, it.1)).collect();
        assert_eq!(found, [(0, 1), (0, 2), (1, 0), (1, 2), (2, 1), (2, 2)]);
    }

    #[test]
    fn ucf101_is_compared_quickly() {
        // A thousand pictures with up to 12 flipped bits each: real hashes are not uniform either.
        let noisy = |number: u64| {
            let flipped = (0..12).fold(0, |bits, round| bits | 1 << (far(number * 12 + round) >> 58));
            far(number * 7919 % 1000) ^ flipped
        };
        let videos: Vec<Vec<u64>> =
            (0..13_320).map(|video| (0..10).map(|at| noisy(video * 10 + at)).collect()).collect();
        let videos: Vec<&[u64]> = videos.iter().map(Vec::as_slice).collect();
        let found = similar(&videos[..9537], &videos[9537..]);
        assert!(found.len() > 10_000, "{} pairs", found.len());
    }

    proptest! {
        #[test]
        fn no_similar_pair_is_missed(
            ones in prop::collection::vec(prop::collection::vec(0_u64..6, 0..5), 0..6),
            others in prop::collection::vec(prop::collection::vec((0_u64..6, any::<u64>(), any::<u64>()), 0..5), 0..6),
        ) {
            // On average, 16 of 64 bits are set in two random numbers, and 4 in four.
            let noisy = |(number, one, other): (u64, u64, u64)| far(number) ^ (one & other & one.rotate_left(7) & other.rotate_left(29));
            let ones: Vec<Vec<u64>> = ones.into_iter().map(|video| video.into_iter().map(far).collect()).collect();
            let others: Vec<Vec<u64>> = others.into_iter().map(|video| video.into_iter().map(noisy).collect()).collect();
            let near = |one: &u64, other: &u64| (one ^ other).count_ones() <= MAX_BITS;
            let mut expect = Vec::new();
            for (at_one, one) in ones.iter().enumerate() {
                for (at_other, other) in others.iter().enumerate() {
                    let (fewer, more) = if one.len() <= other.len() { (one, other) } else { (other, one) };
                    let matching = fewer.iter().filter(|hash| more.iter().any(|partner| near(hash, partner))).count();
                    if matching > 0 && matching * 2 >= fewer.len() && matching >= fewer.len().min(2) {
                        expect.push((at_one, at_other, matching as u32, fewer.len() as u32));
                    }
                }
            }
            let ones: Vec<&[u64]> = ones.iter().map(Vec::as_slice).collect();
            let others: Vec<&[u64]> = others.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(found(&ones, &others), expect);
        }
    }
}
