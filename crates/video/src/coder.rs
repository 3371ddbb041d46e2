//! [`FrameCoder`]: encodes a decoded frame as an image file.

use crate::{DecodedFrame, FrameScaler, VideoError};
use pipe_pixels::{JpegEncoder, Orientation, RgbImage};

/// The format of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// Baseline JPEG, 4:2:0.
    Jpeg {
        /// Quality as in libjpeg, 1 to 100.
        quality: u8,
    },
    /// PNG: RGB as FFmpeg converts it, compressed without loss.
    Png,
    /// PPM (`P6`): the same pixels, uncompressed.
    Ppm,
}

/// Scales, orients and encodes the frames of a video.
pub struct FrameCoder {
    scaler: FrameScaler,
    coder: Coder,
}

enum Coder {
    Jpeg(JpegEncoder),
    Png,
    Ppm,
}

impl FrameCoder {
    /// Returns a coder for images of `width_px` x `height_px`, with the `orientation` of [`FrameScaler::new`].
    pub fn new(
        format: ImageFormat,
        width_px: u32,
        height_px: u32,
        orientation: Orientation,
    ) -> Result<Self, VideoError> {
        let coder = match format {
            ImageFormat::Jpeg { quality } => Coder::Jpeg(JpegEncoder::new(quality)?),
            ImageFormat::Png => Coder::Png,
            ImageFormat::Ppm => Coder::Ppm,
        };
        Ok(Self { scaler: FrameScaler::new(width_px, height_px, orientation)?, coder })
    }

    /// Appends the image file of a frame to `out`.
    pub fn encode(&mut self, frame: &DecodedFrame, out: &mut Vec<u8>) -> Result<(), VideoError> {
        match &mut self.coder {
            Coder::Jpeg(encoder) => Ok(encoder.encode(self.scaler.scale(frame)?, out)?),
            Coder::Png => png(self.scaler.scale_rgb(frame)?, out),
            Coder::Ppm => {
                let image = self.scaler.scale_rgb(frame)?;
                out.extend(format!("P6\n{} {}\n255\n", image.width_px, image.height_px).bytes());
                out.extend_from_slice(&image.pixels);
                Ok(())
            }
        }
    }
}

fn png(image: &RgbImage, out: &mut Vec<u8>) -> Result<(), VideoError> {
    let mut encoder = png::Encoder::new(out, image.width_px, image.height_px);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Twice as fast as the default, for files that are a few percent larger.
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&image.pixels)?;
    Ok(writer.finish()?)
}
