//! What transforms do to a clip. Each has a file of its own.
//!
//! [`views`] composes the transforms that crop, scale and mirror into one crop, one resize and one mirroring. Boxes are drawn
//! where MMAction2 draws them, in whole pixels of the resized frame, and then mapped back to the stored frame, so that
//! several resizes in a row cost one resampling of the stored pixels. [`draw_pixel_ops`] draws the operations of the
//! transforms that change pixels.

mod aug_mix;
mod center_crop;
mod color_jitter;
mod flip;
mod multi_scale_crop;
mod rand_augment;
mod random_crop;
mod random_erasing;
mod random_rescale;
mod random_resized_crop;
mod resize;
mod ten_crop;
mod three_crop;

use crate::frame::Frame;
use crate::pixel_ops::PixelOp;
use crate::{ClipError, Draws};
use pipe_schemas::stages::augment::Transform;

pub use crate::frame::View;

/// A transform that changes which part of the frame is shown, or the size at which it is shown.
trait FrameTransform {
    fn apply(&self, frame: &mut Frame, draws: &mut Draws) -> Result<(), ClipError>;
}

/// A transform that makes several views of one.
trait MultiViewTransform {
    fn split(&self, frame: &Frame) -> Result<Vec<Frame>, ClipError>;
}

/// A transform that changes the values of pixels.
trait PixelTransform {
    /// Draws the operations for a clip of that size.
    fn draw(&self, width_px: u32, height_px: u32, draws: &mut Draws) -> Vec<PixelOp>;
}

enum Step<'a> {
    Frame(&'a dyn FrameTransform),
    MultiView(&'a dyn MultiViewTransform),
    Pixels(&'a dyn PixelTransform),
}

fn step(transform: &Transform) -> Step<'_> {
    match transform {
        Transform::Resize(params) => Step::Frame(params),
        Transform::RandomRescale(params) => Step::Frame(params),
        Transform::RandomCrop(params) => Step::Frame(params),
        Transform::CenterCrop(params) => Step::Frame(params),
        Transform::RandomResizedCrop(params) => Step::Frame(params),
        Transform::MultiScaleCrop(params) => Step::Frame(params),
        Transform::Flip(params) => Step::Frame(params),
        Transform::ThreeCrop(params) => Step::MultiView(params),
        Transform::TenCrop(params) => Step::MultiView(params),
        Transform::ColorJitter(params) => Step::Pixels(params),
        Transform::RandAugment(params) => Step::Pixels(params),
        Transform::AugMix(params) => Step::Pixels(params),
        Transform::RandomErasing(params) => Step::Pixels(params),
    }
}

/// Returns the views that `transforms` make of a stored frame of `width_px` by `height_px` with these labels: one, or as many as
/// `ThreeCrop` and `TenCrop` make. Transforms that change pixels are skipped.
///
/// # Errors
/// [`ClipError`] if a box does not fit at its place in the pipeline.
pub fn views(
    width_px: u32,
    height_px: u32,
    class_indices: &[u32],
    transforms: &[Transform],
    draws: &mut Draws,
) -> Result<Vec<View>, ClipError> {
    let frame = Frame::stored(width_px, height_px, class_indices);
    frame.check("a stored frame")?;
    let mut frames = vec![frame];
    for transform in transforms {
        match step(transform) {
            Step::Frame(transform) => apply_to_all(transform, &mut frames, draws)?,
            Step::MultiView(transform) => frames = split_all(transform, &frames)?,
            Step::Pixels(_) => {}
        }
    }
    Ok(frames.into_iter().map(Frame::into_view).collect())
}

/// Applies one draw to all views, because they show one sample.
fn apply_to_all(transform: &dyn FrameTransform, frames: &mut [Frame], draws: &mut Draws) -> Result<(), ClipError> {
    let before = draws.clone();
    for frame in frames {
        *draws = before.clone();
        transform.apply(frame, draws)?;
    }
    Ok(())
}

/// Orders the views crop by crop, as MMAction2 does: the left or upper view of each frame, then the next one of each.
fn split_all(transform: &dyn MultiViewTransform, frames: &[Frame]) -> Result<Vec<Frame>, ClipError> {
    let split = frames.iter().map(|frame| transform.split(frame)).collect::<Result<Vec<_>, _>>()?;
    let num_crops = split.first().map_or(0, Vec::len);
    Ok((0..num_crops).flat_map(|crop| split.iter().map(move |views| views[crop].clone())).collect())
}

/// Draws the operations of the `transforms` that change pixels, for a clip of `width_px` by `height_px`.
pub fn draw_pixel_ops(transforms: &[Transform], width_px: u32, height_px: u32, draws: &mut Draws) -> Vec<PixelOp> {
    let mut ops = Vec::new();
    for transform in transforms {
        match step(transform) {
            Step::Pixels(transform) => ops.extend(transform.draw(width_px, height_px, draws)),
            Step::Frame(_) | Step::MultiView(_) => {}
        }
    }
    ops
}

#[cfg(test)]
mod tests;
