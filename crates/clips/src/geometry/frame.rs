//! [`Frame`]: how large a frame is at one point of a pipeline, and which part of the stored frame it shows there.

use super::View;
use crate::ClipError;
use pipe_schemas::stages::augment::Scale;

/// A frame at one point of the pipeline: its size there, and the part of the stored frame that it shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) width_px: u32,
    pub(super) height_px: u32,
    pub(super) flip: bool,
    pub(super) class_index: u32,
}

/// A box in pixels of a [`Frame`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Crop {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Frame {
    pub(super) fn stored(width_px: u32, height_px: u32, class_index: u32) -> Self {
        let (width, height) = (f64::from(width_px), f64::from(height_px));
        Self { x: 0.0, y: 0.0, width, height, width_px, height_px, flip: false, class_index }
    }

    pub(super) fn check(&self, transform: &'static str) -> Result<(), ClipError> {
        let (width_px, height_px) = (self.width_px, self.height_px);
        let sides = 1..=65_535; // as JPEG
        if sides.contains(&width_px) && sides.contains(&height_px) {
            Ok(())
        } else {
            Err(ClipError::Size { transform, width_px, height_px })
        }
    }

    pub(super) fn short_side(&self) -> u32 {
        self.width_px.min(self.height_px)
    }

    pub(super) fn resize(&mut self, transform: &'static str, scale: Scale) -> Result<(), ClipError> {
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

    pub(super) fn crop(&mut self, crop: Crop) {
        let left = if self.flip { self.width_px - crop.left - crop.width } else { crop.left };
        let (scale_x, scale_y) = (self.width / f64::from(self.width_px), self.height / f64::from(self.height_px));
        self.x += f64::from(left) * scale_x;
        self.y += f64::from(crop.top) * scale_y;
        self.width = f64::from(crop.width) * scale_x;
        self.height = f64::from(crop.height) * scale_y;
        (self.width_px, self.height_px) = (crop.width, crop.height);
    }

    /// Returns a square of the frame.
    pub(super) fn cut(&self, left: u32, top: u32, side: u32) -> Self {
        let mut cut = *self;
        cut.crop(Crop { left, top, width: side, height: side });
        cut
    }

    /// Returns how far a box of this size can be moved to the right and down.
    pub(super) fn room(&self, transform: &'static str, width: u32, height: u32) -> Result<(u32, u32), ClipError> {
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

    pub(super) fn view(&self) -> View {
        View {
            crop_x: self.x as f32,
            crop_y: self.y as f32,
            crop_width: self.width as f32,
            crop_height: self.height as f32,
            width_px: self.width_px,
            height_px: self.height_px,
            flip: self.flip,
            class_index: self.class_index,
        }
    }
}
