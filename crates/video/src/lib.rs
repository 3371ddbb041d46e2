//! Video files in and out: the only home of FFmpeg and of image encoding.
//!
//! - [`probe`] says what a file is, or why it is no video. It decodes the first frame.
//! - [`Decoder`] gives the frames of a file in presentation order, each with its time.
//! - [`FrameScaler`] makes full-range YUV 4:2:0, or RGB, of a frame at another size.
//! - [`FrameHashes`] are what a video is known by when it was coded anew.
//! - [`FrameCoder`] makes JPEG, PNG or PPM files of frames; [`JpegEncoder`] is its part for JPEG.
//! - [`Encoder`] writes an AVI file.
//! - [`ffmpeg_version`] and [`libjpeg_turbo_version`] belong to the keys of what is made with them.
//!
//! Files are hostile: only containers of video are opened, never playlists or network addresses; sizes are bounded; one
//! decoded frame is in memory at a time. Each decoder runs on one thread, and results do not depend on the processor,
//! with one exception: RGB of frames in their own size is what FFmpeg itself makes, which without SSSE3 is rounded otherwise.

mod coder;
mod color;
mod decode;
mod encode;
mod error;
mod input;
mod phash;
mod probe;
mod recipe;
mod sampler;
mod scale;
mod versions;

pub use coder::{FrameCoder, ImageFormat};
pub use decode::{DecodedFrame, Decoder};
pub use encode::{Encoder, EncoderParams};
pub use error::VideoError;
pub use input::{MAX_PIXELS, MAX_SIDE_PX};
pub use phash::FrameHashes;
pub use probe::{VideoInfo, probe};
pub use recipe::{RecipeFrame, RecipeFrames, stored_size};
pub use sampler::FrameSampler;
pub use scale::FrameScaler;
pub use versions::ffmpeg_version;
