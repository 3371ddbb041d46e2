//! Changes of single levels and pixels of a frame, which operations are made of.

/// Rounds a level to 0..=255.
pub(super) fn rounded(level: f32) -> u8 {
    level.round().clamp(0.0, 255.0) as u8
}

/// Replaces every level by a function of its channel and value, which is called once for each pair.
pub(super) fn by_level(frame: &mut [u8], change: impl Fn(usize, f32) -> u8) {
    let table: [[u8; 256]; 3] =
        std::array::from_fn(|channel| std::array::from_fn(|level| change(channel, level as f32)));
    by_pixel(frame, |pixel| std::array::from_fn(|channel| table[channel][usize::from(pixel[channel])]));
}

/// Replaces every pixel by a function of it.
pub(super) fn by_pixel(frame: &mut [u8], change: impl Fn([u8; 3]) -> [u8; 3]) {
    for pixel in frame.as_chunks_mut::<3>().0 {
        *pixel = change(*pixel);
    }
}
