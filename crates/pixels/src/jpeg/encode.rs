//! [`JpegEncoder`]: images become JPEG files.

use super::JpegError;
use crate::image::YuvImage;
use turbojpeg::{Compressor, Subsamp, YuvPlanesImage};

/// Encodes images as baseline JPEG, 4:2:0, straight from their planes.
pub struct JpegEncoder {
    compressor: Compressor,
    buffer: Vec<u8>,
}

impl From<turbojpeg::Error> for JpegError {
    fn from(error: turbojpeg::Error) -> Self {
        Self(error.to_string())
    }
}

impl JpegEncoder {
    /// Returns an encoder with libjpeg's `quality`, 1 to 100.
    pub fn new(quality: u8) -> Result<Self, JpegError> {
        let mut compressor = Compressor::new()?;
        compressor.set_quality(i32::from(quality))?;
        compressor.set_subsamp(Subsamp::Sub2x2)?;
        Ok(Self { compressor, buffer: Vec::new() })
    }

    /// Appends the JPEG file of an image to `out`.
    pub fn encode(&mut self, image: &YuvImage, out: &mut Vec<u8>) -> Result<(), JpegError> {
        let [y_plane, u_plane, v_plane] = image.planes.each_ref().map(Vec::as_slice);
        let planes = YuvPlanesImage {
            y_plane,
            u_plane,
            v_plane,
            width: image.width_px as usize,
            height: image.height_px as usize,
            y_stride: image.plane_size(0).0,
            u_stride: image.plane_size(1).0,
            v_stride: image.plane_size(2).0,
            subsamp: Subsamp::Sub2x2,
        };
        // With a buffer that is large enough for any image, libjpeg-turbo does not allocate and grow one of its own.
        self.buffer.resize(self.compressor.buf_len(planes.width, planes.height)?, 0);
        let length = self.compressor.compress_yuv_planes_to_slice(&planes, &mut self.buffer)?;
        out.extend_from_slice(&self.buffer[..length]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_odd_sizes_are_kept() {
        let mut image = YuvImage { width_px: 33, height_px: 17, ..YuvImage::default() };
        for (plane, value) in [76, 85, 255].into_iter().enumerate() {
            let (width, height) = image.plane_size(plane);
            image.planes[plane] = vec![value; width * height];
        }
        let mut jpeg = Vec::new();
        JpegEncoder::new(95).expect("an encoder").encode(&image, &mut jpeg).expect("coded");
        let decoded = turbojpeg::decompress(&jpeg, turbojpeg::PixelFormat::RGB).expect("decoded");
        assert_eq!((decoded.width, decoded.height), (33, 17));
        // Y 76, Cb 85, Cr 255 is red.
        let pixel = &decoded.pixels[..3];
        assert!(pixel[0] > 250 && pixel[1] < 5 && pixel[2] < 5, "{pixel:?}");
    }
}
