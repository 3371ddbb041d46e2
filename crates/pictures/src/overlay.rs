//! [`overlay`]: heat maps over frames, in colours.

/// The share of the heat map's colour in a pixel with the value 1; others have less in proportion.
const OPACITY: f32 = 0.75;

/// The colours of the values 0, 1/4, … 1, from cold to hot; between them, they are interpolated.
const COLORS: [[f32; 3]; 5] =
    [[0.0, 0.0, 143.0], [0.0, 144.0, 255.0], [112.0, 255.0, 112.0], [255.0, 176.0, 0.0], [220.0, 0.0, 0.0]];

/// Colours frames by a heat map. Pixels with the value 0 stay as they are.
///
/// # Shapes
/// - `frames`: `[T, H, W, 3]`, as the result
/// - `values`: `[T, H, W]`, from 0 to 1
pub fn overlay(frames: &[u8], values: &[f32]) -> Vec<u8> {
    let pixels = frames.as_chunks::<3>().0.iter().zip(values);
    pixels.flat_map(|(pixel, value)| colored(*pixel, value.clamp(0.0, 1.0))).collect()
}

fn colored(pixel: [u8; 3], value: f32) -> [u8; 3] {
    let last = COLORS.len() - 1;
    let place = value * last as f32;
    let below = (place as usize).min(last - 1);
    let (share, opacity) = (place - below as f32, OPACITY * value);
    std::array::from_fn(|channel| {
        let color = COLORS[below][channel] * (1.0 - share) + COLORS[below + 1][channel] * share;
        (f32::from(pixel[channel]) * (1.0 - opacity) + color * opacity).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hot_places_are_red_and_cold_ones_as_they_were() {
        let frames = [100, 100, 100, 100, 100, 100, 100, 100, 100];
        assert_eq!(overlay(&frames, &[0.0, 1.0, 0.5])[..6], [100, 100, 100, 190, 25, 25]);
        assert_eq!(overlay(&frames[..3], &[f32::NAN]).len(), 3);
        assert_eq!(overlay(&frames[..3], &[9.0]), overlay(&frames[..3], &[1.0]));
    }
}
