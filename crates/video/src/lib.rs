//! Reads and writes video files: the only home of FFmpeg.
//!
//! - [`probe()`] returns the properties of a video, or the reason why a file is not one. It decodes the first frame.
//! - [`Decoder`] returns the frames of a file in presentation order, each with its time.
//! - [`Damage`] counts what the decoder passed over.
//! - [`RecipeFrames`] adds which of them a sampling keeps, and [`stored_size`] returns their size: the same for every stage.
//! - [`FrameScaler`] converts a frame to full-range YUV 4:2:0, or to RGB, at another size.
//! - [`encode_kept`] does all of this: from a file to the images of its kept frames.
//! - [`VideoStream`] is a video that arrives over time: from a camera, a server or a pipe. [`encode_stream`] makes images of it.
//! - [`FrameCoder`] encodes frames as JPEG, PNG or PPM files.
//! - [`FrameHashes`] recognise a video after it is encoded again.
//! - [`Encoder`] writes an AVI or MP4 file.
//! - [`ffmpeg_version`] belongs to the keys of stages that use this crate.
//!
//! Files are treated as hostile: only video containers are opened, never playlists or network addresses; sizes are bounded; one
//! decoded frame is in memory at a time. A [`VideoStream`] opens network addresses, and no files. Each decoder runs on one thread.
//! Results do not depend on the processor, with one exception: RGB frames at their own size are converted by FFmpeg, which rounds
//! differently without SSSE3.

mod coder;
mod color;
mod damage;
mod decode;
mod encode;
mod error;
mod extent;
mod input;
mod kept;
mod not_a_video;
mod phash;
mod probe;
mod recipe;
mod sampler;
mod scale;
mod stream;
mod structure;
mod url;
mod versions;

pub use coder::{FrameCoder, ImageFormat};
pub use damage::Damage;
pub use decode::{DecodedFrame, Decoder};
pub use encode::{Encoder, EncoderParams};
pub use error::VideoError;
pub use input::{MAX_PIXELS, MAX_SIDE_PX};
pub use kept::{KeptFrame, KeptVideo, encode_kept, encode_stream};
pub use not_a_video::NotAVideo;
pub use phash::FrameHashes;
pub use pipe_pixels::Orientation;
pub use probe::{VideoInfo, probe};
pub use recipe::{RecipeFrame, RecipeFrames, stored_size};
pub use sampler::FrameSampler;
pub use scale::FrameScaler;
pub use stream::VideoStream;
pub use versions::ffmpeg_version;
