//! [`Mix`]: how a row blends a clip with another one.

use crate::{ClipError, ClipSize};
use pipe_schemas::tables::SampleRow;

/// How a clip is blended with another one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mix {
    /// Index of the other row in the table.
    pub(crate) other: usize,
    /// Share of the other clip in the label and, without a box, in each pixel.
    pub(crate) share: f32,
    /// Left, top, width and height of the box that is taken from the other clip.
    area: Option<[usize; 4]>,
}

impl Mix {
    /// Returns how `row` is blended, if it is. `rows` are sorted by position.
    pub(crate) fn of(row: &SampleRow, rows: &[SampleRow], size: ClipSize) -> Result<Option<Self>, ClipError> {
        let Some(position) = row.mix_position else { return Ok(None) };
        let found = rows.binary_search_by_key(&(row.epoch, position), |row| (row.epoch, row.position));
        let other = found.ok().ok_or(ClipError::MixPartner { position })?;
        let share = row.mix_share;
        let misfit = || {
            let (mix_box, width_px, height_px) = (row.mix_box.clone(), size.width, size.height);
            ClipError::Mix { share, mix_box, width_px, height_px }
        };
        let area = match row.mix_box[..] {
            [] => None,
            [left, top, width, height] => Some([left, top, width, height].map(|edge| edge as usize)),
            _ => return Err(misfit()),
        };
        let inside =
            area.is_none_or(|[left, top, width, height]| left + width <= size.width && top + height <= size.height);
        if inside && (0.0..=1.0).contains(&share) { Ok(Some(Self { other, share, area })) } else { Err(misfit()) }
    }

    /// Blends `clip` with `other`, both `[T, H, W, 3]`. Levels are rounded.
    pub(crate) fn apply(&self, clip: &mut [u8], other: &[u8], size: ClipSize) {
        const ONE: u32 = 1 << 16;
        let Some([left, top, width, height]) = self.area else {
            let share = (self.share * ONE as f32).round() as u32;
            for (level, other) in clip.iter_mut().zip(other) {
                *level = ((u32::from(*level) * (ONE - share) + u32::from(*other) * share + ONE / 2) / ONE) as u8;
            }
            return;
        };
        let row_bytes = 3 * size.width;
        let (start, end) = (3 * left, 3 * (left + width));
        for (clip, other) in
            clip.chunks_exact_mut(size.height * row_bytes).zip(other.chunks_exact(size.height * row_bytes))
        {
            let rows = clip.chunks_exact_mut(row_bytes).zip(other.chunks_exact(row_bytes));
            for (row, other) in rows.skip(top).take(height) {
                row[start..end].copy_from_slice(&other[start..end]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ClipSize = ClipSize { frames: 2, height: 2, width: 3 };

    fn rows(share: f32, mix_box: &[u32]) -> [SampleRow; 2] {
        let first = SampleRow { position: 4, mix_position: Some(5), mix_share: share, ..SampleRow::default() };
        [SampleRow { mix_box: mix_box.into(), ..first.clone() }, SampleRow { position: 5, ..first }]
    }

    #[track_caller]
    fn check(share: f32, mix_box: &[u32], expect: &[u8]) {
        let rows = rows(share, mix_box);
        let mix = Mix::of(&rows[0], &rows, SIZE).expect("fits").expect("blended");
        let (mut clip, other) = (vec![10; 36], vec![21; 36]);
        mix.apply(&mut clip, &other, SIZE);
        assert_eq!(mix.other, 1);
        assert_eq!(clip.chunks_exact(3).map(|pixel| pixel[1]).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn clips_are_blended_completely_or_in_a_box() {
        check(0.0, &[], &[10; 12]);
        check(1.0, &[], &[21; 12]);
        check(0.25, &[], &[13; 12]); // 12.75
        check(0.25, &[1, 0, 2, 1], &[10, 21, 21, 10, 10, 10].repeat(2));
    }

    #[test]
    fn invalid_shares_and_boxes_are_refused() {
        for (share, mix_box) in [(1.5, &[][..]), (f32::NAN, &[]), (0.5, &[0, 0, 4, 1]), (0.5, &[1, 2])] {
            let rows = rows(share, mix_box);
            assert!(matches!(Mix::of(&rows[0], &rows, SIZE), Err(ClipError::Mix { .. })), "{share} {mix_box:?}");
        }
        let alone = &rows(0.5, &[])[..1];
        assert!(matches!(Mix::of(&alone[0], alone, SIZE), Err(ClipError::MixPartner { position: 5 })));
    }
}
