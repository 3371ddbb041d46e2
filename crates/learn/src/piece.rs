//! [`Piece`]: the clips of a step that one of several processes shows.

/// The clips of a step that one of several processes shows. Together, the pieces of all processes are the step: each clip is in one of
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The first clip, counted from 0 in the step.
    pub first: usize,
    /// Number of clips, at least 1 if the step has any.
    pub len: usize,
    /// Number of clips of the whole step.
    pub num_clips: usize,
    /// Whether the clips count. A process that has none in a short step computes with those of the first process, so that all take part
    /// in every reduction, and adds nothing to the sums.
    pub counts: bool,
}

impl Piece {
    /// Returns all clips of a step.
    pub fn whole(num_clips: usize) -> Self {
        Self { first: 0, len: num_clips, num_clips, counts: true }
    }

    /// Returns the clips of process `rank` of `world_size`: the step is cut into pieces of consecutive clips whose lengths differ by one at
    /// most. If that makes pieces of fewer than `smallest` clips, only some of the processes get one.
    ///
    /// Two clips are the smallest number from which a batch normalisation can take statistics.
    pub fn of(num_clips: usize, rank: u32, world_size: u32, smallest: usize) -> Self {
        let pieces = (num_clips / smallest.max(1)).clamp(1, world_size.max(1) as usize);
        let counts = (rank as usize) < pieces;
        let place = if counts { rank as usize } else { 0 };
        let start = |place: usize| num_clips * place / pieces;
        Self { first: start(place), len: start(place + 1) - start(place), num_clips, counts }
    }

    /// Returns the share of the clips of the step that the piece adds.
    pub(crate) fn share(self) -> f64 {
        if self.counts { self.len as f64 / self.num_clips.max(1) as f64 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_all_processes_are_the_step() {
        for world_size in 1..=9_u32 {
            for smallest in [1, 2] {
                for num_clips in 1..=40 {
                    let pieces: Vec<Piece> =
                        (0..world_size).map(|rank| Piece::of(num_clips, rank, world_size, smallest)).collect();
                    let shown = pieces.iter().filter(|piece| piece.counts);
                    let shown: Vec<usize> = shown.flat_map(|piece| piece.first..piece.first + piece.len).collect();
                    assert_eq!(shown, (0..num_clips).collect::<Vec<_>>(), "{pieces:?}");
                    let total: f64 = pieces.iter().map(|piece| piece.share()).sum();
                    assert!((total - 1.0).abs() < 1e-12, "{pieces:?}");
                    assert!(pieces.iter().all(|piece| piece.len >= smallest.min(num_clips)), "{pieces:?}");
                    assert!(pieces[0].counts);
                }
            }
        }
    }

    #[test]
    fn pieces_are_even_and_short_steps_leave_processes_out() {
        let of = |num_clips: usize, smallest: usize| {
            [0, 1, 2].map(|rank| {
                let Piece { first, len, num_clips: _, counts } = Piece::of(num_clips, rank, 3, smallest);
                (first, len, counts)
            })
        };
        assert_eq!(of(12, 2), [(0, 4, true), (4, 4, true), (8, 4, true)]);
        assert_eq!(of(8, 2), [(0, 2, true), (2, 3, true), (5, 3, true)]);
        assert_eq!(of(5, 2), [(0, 2, true), (2, 3, true), (0, 2, false)]);
        assert_eq!(of(2, 1), [(0, 1, true), (1, 1, true), (0, 1, false)]);
        assert_eq!(Piece::whole(3), Piece::of(3, 0, 1, 2));
    }
}
