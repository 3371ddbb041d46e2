//! [`View`], the result of the transforms that crop, scale and mirror, and [`Frame`], the state between two of them.

use crate::ClipError;
use pipe_schemas::stages::augment::Scale;

/// The part of each stored frame that a view shows, and its size.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Left edge of the crop, in pixels of the stored frame.
    pub crop_x: f32,
    /// Top edge of the crop, in pixels of the stored frame.
    pub crop_y: f32,
    /// Width of the crop, in pixels of the stored frame.
    pub crop_width: f32,
    /// Height of the crop, in pixels of the stored frame.
    pub crop_height: f32,
    /// Width that the crop is scaled to.
    pub width_px: u32,
    /// Height that the crop is scaled to.
    pub height_px: u32,
    /// Whether the crop is mirrored left to right.
    pub flip: bool,
    /// Labels of the view, ascending and distinct. `flip_label_map` may change those of the video.
    pub class_indices: Vec<u32>,
}

/// A frame at one point of the pipeline: its size there, and the part of the stored frame that it shows.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
    pub(crate) flip: bool,
    pub(crate) class_indices: Vec<u32>,
}

/// A box in pixels of a [`Frame`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crop {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Fixed places of a crop, in quarters of the room to its right and below it. The first five, the corners and the center, are
/// those of TSN.
pub(crate) const FIXED_CROPS: [(u32, u32); 13] =
    [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)];

impl Frame {
    /// Returns a whole stored frame.
    pub(crate) fn stored(width_px: u32, height_px: u32, class_indices: &[u32]) -> Self {
        let (width, height) = (f64::from(width_px), f64::from(height_px));
        Self { x: 0.0, y: 0.0, width, height, width_px, height_px, flip: false, class_indices: class_indices.into() }
    }

    /// Checks that the size is that of an image.
    pub(crate) fn check(&self, transform: &'static str) -> Result<(), ClipError> {
        let (width_px, height_px) = (self.width_px, self.height_px);
        let sides = 1..=65_535; // as in JPEG
        if sides.contains(&width_px) && sides.contains(&height_px) {
            Ok(())
        } else {
            Err(ClipError::Size { transform, width_px, height_px })
        }
    }

    pub(crate) fn short_side(&self) -> u32 {
        self.width_px.min(self.height_px)
    }

    pub(crate) fn resize(&mut self, transform: &'static str, scale: Scale) -> Result<(), ClipError> {
        (self.width_px, self.height_px) = match scale {
            Scale::Exact([width_px, height_px]) => (width_px, height_px),
            Scale::ShortSidePx(short_side) => {
                let factor = f64::from(short_side) / f64::from(self.short_side());
                let scaled = |old: u32| (f64::from(old) * factor + 0.5) as u32;
                (scaled(self.width_px), scaled(self.height_px))
            }
        };
        self.check(transform)
    }

    pub(crate) fn crop(&mut self, crop: Crop) {
        let left = if self.flip { self.width_px - crop.left - crop.width } else { crop.left };
        let (scale_x, scale_y) = (self.width / f64::from(self.width_px), self.height / f64::from(self.height_px));
        self.x += f64::from(left) * scale_x;
        self.y += f64::from(crop.top) * scale_y;
        self.width = f64::from(crop.width) * scale_x;
        self.height = f64::from(crop.height) * scale_y;
        (self.width_px, self.height_px) = (crop.width, crop.height);
    }

    /// Returns a square of the frame.
    pub(crate) fn square(&self, left: u32, top: u32, side: u32) -> Self {
        let mut square = self.clone();
        square.crop(Crop { left, top, width: side, height: side });
        square
    }

    /// Returns how far a box of this size can be moved to the right and down.
    pub(crate) fn room(&self, transform: &'static str, width: u32, height: u32) -> Result<(u32, u32), ClipError> {
        let fits = (1..=self.width_px).contains(&width) && (1..=self.height_px).contains(&height);
        if fits {
            return Ok((self.width_px - width, self.height_px - height));
        }
        Err(ClipError::CropTooLarge {
            transform,
            crop_width_px: width,
            crop_height_px: height,
            width_px: self.width_px,
            height_px: self.height_px,
        })
    }

    pub(crate) fn into_view(mut self) -> View {
        self.class_indices.sort_unstable();
        self.class_indices.dedup(); // two labels may have the same mirror image
        View {
            crop_x: self.x as f32,
            crop_y: self.y as f32,
            crop_width: self.width as f32,
            crop_height: self.height as f32,
            width_px: self.width_px,
            height_px: self.height_px,
            flip: self.flip,
            class_indices: self.class_indices,
        }
    }
}
