//! Pixel kernels: the only home of SIMD in the workspace. Knows neither FFmpeg nor tables.
//!
//! - [`Resizer`] crops, scales and mirrors images of bytes; start with [`Resize`], its definition.
//! - [`YuvScaler`] makes a [`YuvImage`] of a decoded frame, with the colours of JPEG files.
//! - [`JpegEncoder`] and [`JpegDecoder`] write and read JPEG files; [`libjpeg_turbo_version`] belongs to the keys of stages that
//!   use them.
//! - [`normalise_channels`] makes floats of RGB.
//!
//! Kernels for several instruction sets give the same results, bit for bit, which a test of each checks on the processor at
//! hand. `unsafe` is limited to calls of a detected instruction set, loads and stores of vectors, and libjpeg-turbo.

mod axis;
mod color;
mod image;
mod jpeg;
mod normalise;
mod resize;
mod simd;
mod yuv;

pub use axis::Filter;
pub use color::{ColorCoding, ColorMatrix};
pub use image::{Orientation, RgbImage, YuvImage};
pub use jpeg::{JpegDecoder, JpegEncoder, JpegError, OpenJpeg, Part, libjpeg_turbo_version};
pub use normalise::normalise_channels;
pub use resize::{LevelMap, Resize, Resizer};
pub use yuv::{Plane, YuvFrame, YuvScaler};
