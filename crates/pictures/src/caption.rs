//! [`caption`]: texts on a frame of a video.

use crate::canvas::{Canvas, Ink};
use crate::font;

const BACKGROUND: Ink = [16; 3];
const INK: Ink = [240; 3];
const ALERT: Ink = [208, 24, 24];

/// Space around a text.
const MARGIN_PX: usize = 3;

/// Width of the frame around the picture of an alert.
const BORDER_PX: usize = 3;

/// Returns a frame with a text on a dark line at its bottom and, if there is an alert, a red border with its text at the top.
///
/// # Shapes
/// - `pixels`: `[H, W, 3]` with `W` = `width`, as the result
pub fn caption(pixels: Vec<u8>, width: usize, text: &str, alert: Option<&str>) -> Vec<u8> {
    let mut canvas = Canvas { pixels, width };
    let height = canvas.height();
    let line_px = font::HEIGHT_PX + 2 * MARGIN_PX;
    let mut line = |top: usize, text: &str, ink: Ink| {
        canvas.fill(0, top, width, line_px, ink);
        let text = font::shortened(text, width.saturating_sub(2 * MARGIN_PX));
        canvas.text(&text, MARGIN_PX, top + MARGIN_PX, INK);
    };
    if !text.is_empty() {
        line(height.saturating_sub(line_px), text, BACKGROUND);
    }
    if let Some(alert) = alert {
        line(0, alert, ALERT);
        canvas.fill(0, 0, BORDER_PX, height, ALERT);
        canvas.fill(width.saturating_sub(BORDER_PX), 0, BORDER_PX, height, ALERT);
        canvas.fill(0, height.saturating_sub(BORDER_PX), width, BORDER_PX, ALERT);
    }
    canvas.pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_at_the_bottom_and_an_alert_around_the_frame() {
        let (width, height) = (64, 60);
        let pixel = |pixels: &[u8], x: usize, y: usize| -> Ink { pixels.as_chunks::<3>().0[y * width + x] };
        let plain = caption(vec![100; 3 * width * height], width, "run 0.9", None);
        assert_eq!((pixel(&plain, 0, 0), pixel(&plain, 0, height - 1)), ([100; 3], BACKGROUND));
        assert!(plain.as_chunks::<3>().0.contains(&INK), "letters");
        let alert = caption(vec![100; 3 * width * height], width, "", Some("fall"));
        for (x, y) in [(0, 30), (width - 1, 30), (30, 0), (30, height - 1)] {
            assert_eq!(pixel(&alert, x, y), ALERT, "{x}, {y}");
        }
        assert_eq!(pixel(&alert, 30, 40), [100; 3]);
        // A frame that is smaller than a line keeps its size.
        assert_eq!(caption(vec![0; 3 * 4 * 2], 4, "long text", Some("alert")).len(), 3 * 4 * 2);
    }
}
