//! Letters for labels in pictures: Noto Sans Mono, 16 pixels high, with the letters of European languages in Latin script.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};

const WEIGHT: FontWeight = FontWeight::Regular;
const SIZE: RasterHeight = RasterHeight::Size16;

/// Width of a letter, with the gap after it.
pub(crate) const ADVANCE_PX: usize = get_raster_width(WEIGHT, SIZE);

/// Height of a letter, with the space between lines.
pub(crate) const HEIGHT_PX: usize = SIZE.val();

/// Returns the coverage of each pixel by a letter, from 0 to 255, row by row from the top. A letter of another script becomes the
/// replacement character.
pub(crate) fn letter(letter: char) -> Option<RasterizedChar> {
    let raster = |letter| get_raster(letter, WEIGHT, SIZE);
    raster(letter).or_else(|| raster(char::REPLACEMENT_CHARACTER))
}

/// End of a text that is too long.
const ELLIPSIS: &str = "...";

/// Returns a text shortened to a width.
pub(crate) fn shortened(text: &str, width_px: usize) -> String {
    let max_letters = width_px / ADVANCE_PX;
    if text.chars().count() <= max_letters {
        return text.to_owned();
    }
    let letters = text.chars().take(max_letters.saturating_sub(ELLIPSIS.len()));
    letters.chain(ELLIPSIS.chars()).take(max_letters).collect()
}
