//! [`ClipError`]: why a clip can't be made from frame shards.

use pipe_pixels::JpegError;
use pipe_tables::TableError;

/// Why a clip can't be made from frame shards.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ClipError {
    /// The shards can't be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Adds the video to another error.
    #[error("can't make a clip of `{video_id}`")]
    Video { video_id: String, source: Box<ClipError> },
    /// The video has no frames to sample from.
    #[error("it has no frames")]
    NoFrames,
    /// A crop is larger than the frame at that point of the pipeline.
    #[error("{transform} of {crop_width_px}x{crop_height_px} px does not fit into {width_px}x{height_px} px")]
    CropTooLarge {
        transform: &'static str,
        crop_width_px: u32,
        crop_height_px: u32,
        /// Width of the frame at that point.
        width_px: u32,
        /// Height of the frame at that point.
        height_px: u32,
    },
    /// The column `pixel_ops` is not valid.
    #[error("its pixel operations can't be read")]
    PixelOps(#[source] serde_json::Error),
    /// An operation can't be applied to a clip of that size.
    #[error("`{op}` can't be applied to a clip of {width_px}x{height_px} px")]
    PixelOp {
        /// The operation as JSON.
        op: String,
        width_px: u32,
        height_px: u32,
    },
    /// `ThreeCrop` moves along one side; the other must have the size of the crop.
    #[error(
        "ThreeCrop of {crop_size} px needs a frame with one side of {crop_size} px, found {width_px}x{height_px} px"
    )]
    ThreeCropSide {
        crop_size: u32,
        /// Width of the frame at that point.
        width_px: u32,
        /// Height of the frame at that point.
        height_px: u32,
    },
    /// `MultiScaleCrop` has no valid scale to choose from.
    #[error("MultiScaleCrop needs `scales` above 0 and up to 1, found {scales:?}")]
    Scales { scales: Vec<f64> },
    /// A stored frame or the result of a transform has a side of 0 pixels or of more than 65,535.
    #[error("{transform} has {width_px}x{height_px} px")]
    Size {
        /// Name of the transform, or `a stored frame`.
        transform: &'static str,
        width_px: u32,
        height_px: u32,
    },
    /// A stored frame in PNG or PPM format can't be decoded.
    #[error("frame {frame_index} can't be decoded")]
    Lossless { frame_index: u32, source: crate::LosslessError },
    /// A row names a video that is not in the frame shards.
    #[error("it is not in the frame shards")]
    UnknownVideo,
    /// A row names a frame after the last one.
    #[error("frame {frame_index} does not exist: it has {num_frames} frames")]
    FrameIndex { frame_index: u32, num_frames: u32 },
    /// A row has another number of frames than the clips of the table.
    #[error("its row has {found} frames, expected {expected}")]
    NumFrames {
        found: usize,
        /// Number in [`crate::ClipSize`].
        expected: usize,
    },
    /// A row has a label that is not a class.
    #[error("its label {class_index} is not one of the {num_classes} classes, counted from 0")]
    ClassIndex { class_index: u32, num_classes: usize },
    /// A row is blended with a row that does not exist.
    #[error("it is blended with the clip at position {position}, which is not in this table")]
    MixPartner { position: u32 },
    /// The share or the box of the other clip is not valid.
    #[error(
        "it is blended with a share of {share} and the box {mix_box:?}, which is not valid for {width_px}x{height_px} px"
    )]
    Mix {
        share: f32,
        /// Box in the row: left, top, width and height.
        mix_box: Vec<u32>,
        width_px: usize,
        height_px: usize,
    },
    /// The crop of a row is not inside the frame.
    #[error("its crop of {width}x{height} at {x},{y} is outside the frame of {width_px}x{height_px} px")]
    CropOutside { x: f32, y: f32, width: f32, height: f32, width_px: u32, height_px: u32 },
    /// A stored frame can't be decoded as JPEG.
    #[error("frame {frame_index} is not a readable JPEG image")]
    Jpeg { frame_index: u32, source: JpegError },
    /// A stored frame has another size than in the index.
    #[error("frame {frame_index} has {}x{} px, expected {}x{} px", found.0, found.1, expected.0, expected.1)]
    FrameSize { frame_index: u32, found: (usize, usize), expected: (usize, usize) },
    /// A batch has no pixels, or more than 4 GiB of them.
    #[error("a batch of {batch_size} clips of {frames} frames of {width}x{height} px is empty or larger than 4 GiB")]
    BatchSize {
        batch_size: usize,
        /// `T`.
        frames: usize,
        /// `H`.
        height: usize,
        /// `W`.
        width: usize,
    },
    /// The JPEG library can't be initialised.
    #[error("can't initialise the JPEG decoder")]
    Decoder(#[source] JpegError),
    /// A thread can't be started.
    #[error("can't start a thread")]
    Thread(#[source] std::io::Error),
    /// A bug: loading panicked.
    #[error("loading it panicked")]
    Panicked,
}

impl ClipError {
    /// Adds the video to the error.
    #[must_use]
    pub fn of_video(self, video_id: &str) -> Self {
        Self::Video { video_id: video_id.to_owned(), source: Box::new(self) }
    }
}
