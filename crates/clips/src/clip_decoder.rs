//! [`ClipDecoder`]: from image files to the pixels of a clip.

use crate::decode::{FrameDecoder, Shown};
use crate::{ClipError, ClipSize, pixel_ops};
use pipe_schemas::tables::SampleRow;

/// Makes the pixels of clips. Each thread has its own.
pub struct ClipDecoder {
    decoder: FrameDecoder,
}

impl ClipDecoder {
    /// Returns a decoder.
    pub fn new() -> Result<Self, ClipError> {
        Ok(Self { decoder: FrameDecoder::new()? })
    }

    /// Returns the pixels of a clip, `[T, H, W, 3]` in RGB, without blending.
    ///
    /// `images` are the files of `row.frame_indices`, in this order, of stored frames of `frame_px`, width and height.
    ///
    /// # Errors
    /// [`ClipError`] if the row does not match the images or `size`, or an image can't be decoded.
    pub fn clip(
        &mut self,
        row: &SampleRow,
        frame_px: (u32, u32),
        size: ClipSize,
        images: &[impl AsRef<[u8]>],
    ) -> Result<Vec<u8>, ClipError> {
        if images.len() != size.frames || row.frame_indices.len() != size.frames {
            let found = images.len().min(row.frame_indices.len());
            return Err(ClipError::NumFrames { found, expected: size.frames });
        }
        check_crop(row, frame_px)?;
        let shown = Shown {
            frame_px: (frame_px.0 as usize, frame_px.1 as usize),
            crop: [row.crop_x, row.crop_y, row.crop_width, row.crop_height].map(f64::from),
            out_px: (size.width, size.height),
            flip: row.flip,
        };
        let frame_bytes = 3 * size.height * size.width;
        let mut pixels = vec![0; size.frames * frame_bytes];
        for (at, (frame_index, image)) in row.frame_indices.iter().zip(images).enumerate() {
            let start = at * frame_bytes;
            // A frame that occurs twice in a clip is decoded once.
            if let Some(before) = row.frame_indices[..at].iter().position(|earlier| earlier == frame_index) {
                pixels.copy_within(before * frame_bytes..(before + 1) * frame_bytes, start);
                continue;
            }
            self.decoder.decode(image.as_ref(), *frame_index, &shown, &mut pixels[start..start + frame_bytes])?;
        }
        for op in pixel_ops::parse(&row.pixel_ops, size.width as u32, size.height as u32)? {
            let frames = pixels.chunks_exact_mut(frame_bytes).enumerate();
            frames.for_each(|(number, frame)| op.apply(frame, size.width, number));
        }
        Ok(pixels)
    }
}

/// The crop may exceed the frame by the rounding error of an f32.
pub(crate) fn check_crop(row: &SampleRow, (width_px, height_px): (u32, u32)) -> Result<(), ClipError> {
    const SLACK_PX: f64 = 0.01;
    let right = f64::from(row.crop_x) + f64::from(row.crop_width);
    let bottom = f64::from(row.crop_y) + f64::from(row.crop_height);
    let inside = row.crop_x >= 0.0
        && row.crop_y >= 0.0
        && row.crop_width > 0.0
        && row.crop_height > 0.0
        && right <= f64::from(width_px) + SLACK_PX
        && bottom <= f64::from(height_px) + SLACK_PX;
    if inside {
        return Ok(());
    }
    Err(ClipError::CropOutside {
        x: row.crop_x,
        y: row.crop_y,
        width: row.crop_width,
        height: row.crop_height,
        width_px,
        height_px,
    })
}
