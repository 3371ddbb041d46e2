//! [`YuvImage`] and [`RgbImage`]: images in memory, and how they are turned upright ([`Orientation`]).

/// An image as JPEG files store it: YUV 4:2:0, full-range BT.601.
///
/// Rows follow each other without gaps. An odd side is padded by one row or column, so that each chroma sample has four luma
/// samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct YuvImage {
    /// Width in pixels, without padding.
    pub width_px: u32,
    /// Height in pixels, without padding.
    pub height_px: u32,
    /// `[even(H), even(W)]`, then twice `[even(H) / 2, even(W) / 2]`.
    pub planes: [Vec<u8>; 3],
}

/// An image in sRGB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RgbImage {
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// `[H, W, 3]`.
    pub pixels: Vec<u8>,
}

/// How a coded picture becomes upright: it is mirrored, left to right, and then rotated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Whether left and right are exchanged before the rotation.
    pub mirrored: bool,
    /// Clockwise rotation in degrees: 0, 90, 180 or 270.
    pub rotation: u32,
}

impl Orientation {
    /// Returns whether a picture is upright as coded.
    pub fn is_upright(self) -> bool {
        self == Self::default()
    }

    /// Returns the width and height of a picture after it is turned upright; or before, given those after.
    pub fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.rotation % 180 == 90 { (height, width) } else { (width, height) }
    }
}

impl YuvImage {
    /// Returns the width and height of a plane, with padding.
    pub fn plane_size(&self, plane: usize) -> (usize, usize) {
        let (width, height) = (self.width_px.div_ceil(2) as usize, self.height_px.div_ceil(2) as usize);
        if plane == 0 { (2 * width, 2 * height) } else { (width, height) }
    }

    /// Writes the image, turned upright, to `upright`.
    pub fn orient(&self, orientation: Orientation, upright: &mut Self) {
        (upright.width_px, upright.height_px) = orientation.size((self.width_px, self.height_px));
        for plane in 0..3 {
            let ((stride, rows), size) = (self.plane_size(plane), upright.plane_size(plane));
            // Padding stays at the right and at the bottom: only the picture is turned.
            let inside = |size: usize, padded: u32| size - usize::from(plane == 0 && padded % 2 == 1);
            let from = (inside(stride, self.width_px), inside(rows, self.height_px));
            let source = &self.planes[plane];
            let target = &mut upright.planes[plane];
            target.clear();
            target.extend(places(from, size, orientation).map(|(x, y)| source[y * stride + x]));
        }
    }
}

impl RgbImage {
    /// Writes the image, turned upright, to `upright`.
    pub fn orient(&self, orientation: Orientation, upright: &mut Self) {
        let from = (self.width_px as usize, self.height_px as usize);
        (upright.width_px, upright.height_px) = orientation.size((self.width_px, self.height_px));
        let (source, _) = self.pixels.as_chunks::<3>();
        let places = places(from, (upright.width_px as usize, upright.height_px as usize), orientation);
        upright.pixels.clear();
        upright.pixels.extend(places.flat_map(|(x, y)| source[y * from.0 + x]));
    }
}

/// Returns the column and row in an image of size `from` for each pixel of the upright image of size `size`, row by row. Where
/// the upright image is larger, the last column and row are repeated.
fn places(
    from: (usize, usize),
    size: (usize, usize),
    orientation: Orientation,
) -> impl Iterator<Item = (usize, usize)> {
    let (last_x, last_y) = (from.0 - 1, from.1 - 1);
    let place = move |x: usize, y: usize| {
        let (x, y) = match orientation.rotation {
            0 => (x.min(last_x), y.min(last_y)),
            90 => (y.min(last_x), last_y - x.min(last_y)),
            180 => (last_x - x.min(last_x), last_y - y.min(last_y)),
            _ => (last_x - y.min(last_x), x.min(last_y)),
        };
        if orientation.mirrored { (last_x - x, y) } else { (x, y) }
    };
    (0..size.1).flat_map(move |y| (0..size.0).map(move |x| place(x, y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose luma counts up inside, row by row, with padding repeated.
    fn image(width_px: u32, height_px: u32) -> YuvImage {
        let mut image = YuvImage { width_px, height_px, ..YuvImage::default() };
        for plane in 0..3 {
            let (width, height) = image.plane_size(plane);
            let columns = if plane == 0 { width_px as usize } else { width };
            let rows = if plane == 0 { height_px as usize } else { height };
            let value = |x: usize, y: usize| (y.min(rows - 1) * columns + x.min(columns - 1)) as u8;
            image.planes[plane] = (0..width * height).map(|at| value(at % width, at / width)).collect();
        }
        image
    }

    #[test]
    fn images_become_upright_and_keep_their_padding_at_the_end() {
        let check = |mirrored: bool, rotation: u32, size: (u32, u32), expect: &[u8]| {
            let orientation = Orientation { mirrored, rotation };
            let mut upright = YuvImage::default();
            image(3, 2).orient(orientation, &mut upright);
            assert_eq!((upright.width_px, upright.height_px), size);
            assert_eq!(upright.planes[0], expect, "{orientation:?}");
            let rgb = RgbImage { width_px: 3, height_px: 2, pixels: (0..6).flat_map(|value| [value; 3]).collect() };
            let mut upright = RgbImage::default();
            rgb.orient(orientation, &mut upright);
            assert_eq!((upright.width_px, upright.height_px), size);
            let padded_width = size.0.next_multiple_of(2) as usize;
            let unpadded = expect.chunks(padded_width).take(size.1 as usize).flat_map(|row| &row[..size.0 as usize]);
            assert!(upright.pixels.iter().step_by(3).eq(unpadded), "{orientation:?}");
        };
        // 0 1 2
        // 3 4 5
        check(false, 0, (3, 2), &[0, 1, 2, 2, 3, 4, 5, 5]);
        check(false, 90, (2, 3), &[3, 0, 4, 1, 5, 2, 5, 2]);
        check(false, 180, (3, 2), &[5, 4, 3, 3, 2, 1, 0, 0]);
        check(false, 270, (2, 3), &[2, 5, 1, 4, 0, 3, 0, 3]);
        check(true, 0, (3, 2), &[2, 1, 0, 0, 5, 4, 3, 3]);
        check(true, 90, (2, 3), &[5, 2, 4, 1, 3, 0, 3, 0]);
        check(true, 180, (3, 2), &[3, 4, 5, 5, 0, 1, 2, 2]);
        check(true, 270, (2, 3), &[0, 3, 1, 4, 2, 5, 2, 5]);
    }

    #[test]
    fn four_quarter_turns_or_two_mirrors_change_nothing() {
        let start = image(5, 7);
        let turned = |orientation: Orientation, times: usize| {
            (0..times).fold(start.clone(), |now, _| {
                let mut next = YuvImage::default();
                now.orient(orientation, &mut next);
                next
            })
        };
        assert_eq!(turned(Orientation { mirrored: false, rotation: 90 }, 4), start);
        for rotation in [0, 90, 180, 270] {
            assert_eq!(turned(Orientation { mirrored: true, rotation }, 2), start, "{rotation}");
        }
    }
}
