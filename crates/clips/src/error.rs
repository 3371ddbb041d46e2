//! [`ClipError`]: what can go wrong between a frame shard and a clip.

use crate::JpegError;
use pipe_tables::TableError;

/// What can go wrong between a frame shard and a clip.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// The shards can't be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Something is wrong with one video.
    #[error("can't make a clip of `{video_id}`")]
    Video {
        /// As in the frame index.
        video_id: String,
        /// What is wrong.
        source: Box<ClipError>,
    },
    /// There is nothing to sample from.
    #[error("it has no frames")]
    NoFrames,
    /// A box is larger than what it is cut from.
    #[error("{transform} cuts {crop_width_px}x{crop_height_px} px from only {width_px}x{height_px} px")]
    CropTooLarge {
        /// The transform's name.
        transform: &'static str,
        /// Of the box.
        crop_width_px: u32,
        /// Of the box.
        crop_height_px: u32,
        /// Of the frame at this point of the pipeline.
        width_px: u32,
        /// Of the frame at this point of the pipeline.
        height_px: u32,
    },
    /// The column `pixel_ops` holds no operations.
    #[error("the operations on its pixels can't be read")]
    PixelOps(#[source] serde_json::Error),
    /// An operation does not fit the clip.
    #[error("`{op}` can't be done to a clip of {width_px}x{height_px} px")]
    PixelOp {
        /// As JSON.
        op: String,
        /// Of the clip.
        width_px: u32,
        /// Of the clip.
        height_px: u32,
    },
    /// `ThreeCrop` slides along one side and needs the other to fit.
    #[error("ThreeCrop of {crop_size} px needs one side of {crop_size} px, not {width_px}x{height_px} px")]
    ThreeCropSide {
        /// Side of the crop.
        crop_size: u32,
        /// Of the frame at this point of the pipeline.
        width_px: u32,
        /// Of the frame at this point of the pipeline.
        height_px: u32,
    },
    /// `MultiScaleCrop` has no box to choose from.
    #[error("MultiScaleCrop needs `scales` above 0 and up to 1, not {scales:?}")]
    Scales {
        /// As given.
        scales: Vec<f64>,
    },
    /// A frame or a transform's result has no pixels, or too many.
    #[error("{transform} gives {width_px}x{height_px} px")]
    Size {
        /// The transform's name, or what else has this size.
        transform: &'static str,
        /// Its width.
        width_px: u32,
        /// Its height.
        height_px: u32,
    },
    /// A stored frame that is no JPEG can't be decoded.
    #[error("frame {frame_index} can't be decoded")]
    Lossless {
        /// By position in the video.
        frame_index: u32,
        /// What is wrong.
        source: crate::LosslessError,
    },
    /// A row names a video that the shards lack.
    #[error("the frame shards do not have it")]
    UnknownVideo,
    /// A row names a frame past the end.
    #[error("frame {frame_index} is past its {num_frames} frames")]
    FrameIndex {
        /// The position asked for.
        frame_index: u32,
        /// How many there are.
        num_frames: u32,
    },
    /// A row has another number of frames than the clip asked for.
    #[error("its row has {found} frames, not {expected}")]
    NumFrames {
        /// In the row.
        found: usize,
        /// In [`crate::ClipSize`].
        expected: usize,
    },
    /// A row has a label that is no class.
    #[error("its label {class_index} is none of {num_classes} classes")]
    ClassIndex {
        /// The label.
        class_index: u32,
        /// How many classes there are.
        num_classes: usize,
    },
    /// A row is blended with one that is not there.
    #[error("the clip at position {position} that it is blended with is not in this table")]
    MixPartner {
        /// Of the other row.
        position: u32,
    },
    /// A row's share or box of another clip is none.
    #[error(
        "it is blended by a share of {share} and the box {mix_box:?}, which does not fit {width_px}x{height_px} px"
    )]
    Mix {
        /// As in the row.
        share: f32,
        /// As in the row.
        mix_box: Vec<u32>,
        /// Of the clip.
        width_px: usize,
        /// Of the clip.
        height_px: usize,
    },
    /// A row's crop is not inside the frame.
    #[error("its crop box {x},{y} {width}x{height} is not within the frame's {width_px}x{height_px} px")]
    CropOutside {
        /// Left edge.
        x: f32,
        /// Upper edge.
        y: f32,
        /// Of the box.
        width: f32,
        /// Of the box.
        height: f32,
        /// Of the frame.
        width_px: u32,
        /// Of the frame.
        height_px: u32,
    },
    /// A stored frame is no readable JPEG image.
    #[error("frame {frame_index} is no readable JPEG image")]
    Jpeg {
        /// Its position.
        frame_index: u32,
        /// What the library says.
        source: JpegError,
    },
    /// A stored frame has another size than its index says.
    #[error("frame {frame_index} has {found:?} px, its index says {expected:?} px")]
    FrameSize {
        /// Its position.
        frame_index: u32,
        /// Width and height of the image.
        found: (usize, usize),
        /// Width and height in the index.
        expected: (usize, usize),
    },
    /// Clips or batches of no pixels, or of more than memory should hold.
    #[error("{batch_size} clips of {frames} frames of {width}x{height} px are no batch that can be loaded")]
    BatchSize {
        /// Clips a batch.
        batch_size: usize,
        /// `T`.
        frames: usize,
        /// `H`.
        height: usize,
        /// `W`.
        width: usize,
    },
    /// The JPEG library can't be set up.
    #[error("the JPEG decoder can't be set up")]
    Decoder(#[source] JpegError),
    /// No thread could be started.
    #[error("can't start a thread")]
    Thread(#[source] std::io::Error),
    /// A bug: loading panicked.
    #[error("loading it panicked")]
    Panicked,
}

impl ClipError {
    /// Adds which video the error is about.
    #[must_use]
    pub fn of_video(self, video_id: &str) -> Self {
        Self::Video { video_id: video_id.to_owned(), source: Box::new(self) }
    }
}
