//! [`shift_hue`]: turns the color of a pixel on the color circle.

use super::levels::rounded;

/// Returns the pixel with its hue shifted by `share` of the circle.
pub(super) fn shift_hue(pixel: [u8; 3], share: f32) -> [u8; 3] {
    let [red, green, blue] = pixel.map(|level| f32::from(level) / 255.0);
    let (high, low) = (red.max(green).max(blue), red.min(green).min(blue));
    let chroma = high - low;
    if chroma == 0.0 {
        return pixel;
    }
    let sixths = if red >= green && red >= blue {
        (green - blue) / chroma
    } else if green >= blue {
        2.0 + (blue - red) / chroma
    } else {
        4.0 + (red - green) / chroma
    };
    let turned = (sixths + 6.0 * share).rem_euclid(6.0);
    // Each channel is a trapezium over the circle.
    let channel = |peak: f32| {
        let distance = (turned - peak).abs().min(6.0 - (turned - peak).abs());
        rounded(255.0 * (low + chroma * (2.0 - distance).clamp(0.0, 1.0)))
    };
    [channel(0.0), channel(2.0), channel(4.0)]
}
