//! [`Shape`], and the checks that shape inference of several ops shares.

use crate::{Param, ShapeError};
use serde::Serialize;

/// The maximum number of values of a tensor, or of a node's result for one sample: 8 GiB of f32.
const MAX_VALUES: usize = 1 << 31;

/// A shape with a multiple of the batch as its first axis: `[N * per_sample, dims…]`.
///
/// A *table*, such as position embeddings, is the same for all samples: it has no batch axis, and `per_sample` is 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Rows per sample of the batch: 1, or `T` after frames were folded into the batch; 0 for a table.
    pub per_sample: usize,
    /// The other axes, channels first.
    pub dims: Vec<usize>,
}

/// The shape of one clip, `[C, T, H, W]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipShape {
    /// `C`: 3 for RGB.
    pub channels: usize,
    /// `T`: the frames of a sample; all clips and crops together for networks that see single frames.
    pub frames: usize,
    /// `H`, in pixels.
    pub height: usize,
    /// `W`, in pixels.
    pub width: usize,
}

impl Shape {
    /// Returns the shape of a table, `[dims…]`.
    pub fn table(dims: Vec<usize>) -> Self {
        Self { per_sample: 0, dims }
    }

    /// Returns whether the value is a table, without a batch axis.
    pub fn is_table(&self) -> bool {
        self.per_sample == 0
    }

    /// Returns the number of axes before `dims`: 1 for the batch, 0 for a table.
    pub fn batch_axes(&self) -> usize {
        usize::from(!self.is_table())
    }

    /// Returns the number of values per sample of the batch, or of the table.
    pub fn values_per_sample(&self) -> usize {
        self.axes().iter().product()
    }

    /// Returns `[per_sample, dims…]`, or `[dims…]` for a table, as error messages print a shape.
    pub(crate) fn axes(&self) -> Vec<usize> {
        let rows = Some(self.per_sample).filter(|_| !self.is_table());
        rows.iter().chain(&self.dims).copied().collect()
    }

    /// Returns the shape of a sum or product of a value and a table, whose axes are repeated as in numpy: compared from the last one,
    /// each has the size of the value's axis or 1. `None` if they do not fit.
    pub(crate) fn with_table(&self, other: &Self) -> Option<Self> {
        let (value, table) = match (self.is_table(), other.is_table()) {
            (_, true) => (self, other),
            (true, false) => (other, self),
            (false, false) => return None,
        };
        let mut sizes = value.dims.iter().rev().zip(table.dims.iter().rev());
        let fits =
            table.dims.len() <= value.dims.len() && sizes.all(|(size, repeated)| size == repeated || *repeated == 1);
        fits.then(|| value.clone())
    }

    /// Returns the size of the channel axis.
    ///
    /// # Errors
    /// [`ShapeError::Rank`] if there are no axes.
    pub(crate) fn channels(&self) -> Result<usize, ShapeError> {
        self.dims.first().copied().ok_or_else(|| self.wrong_rank(1))
    }

    /// Returns the error for an op that takes `expected` axes, channels included.
    pub(crate) fn wrong_rank(&self, expected: usize) -> ShapeError {
        ShapeError::Rank { expected, found: self.dims.clone() }
    }

    /// Checks that the shape is `expected`.
    pub(crate) fn check(&self, expected: &Self) -> Result<(), ShapeError> {
        if self == expected {
            return Ok(());
        }
        Err(ShapeError::Input { expected: expected.axes(), found: self.axes() })
    }

    /// Returns the shape with other axes after the batch.
    pub(crate) fn with_dims(&self, dims: Vec<usize>) -> Self {
        Self { per_sample: self.per_sample, dims }
    }
}

/// A window that slides over all axes after the channels, as in convolutions and poolings. Each slice has one entry per axis.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) kernel: &'a [usize],
    pub(crate) stride: &'a [usize],
    /// Added on both sides.
    pub(crate) padding: &'a [usize],
}

impl Window<'_> {
    /// Rejects the padding of a pooling that lets some windows see only padding.
    pub(crate) fn check_pool_padding(&self) -> Result<(), ShapeError> {
        let mut sizes = self.padding.iter().zip(self.kernel);
        match sizes.find(|(padding, window)| padding.saturating_mul(2) > **window) {
            Some((&padding, &window)) => Err(ShapeError::PoolPadding { padding, window }),
            None => Ok(()),
        }
    }

    /// Returns the axes `[out_channels, …]` of the result: `floor((size + 2 padding - kernel) / stride) + 1` per axis.
    pub(crate) fn slide(&self, x: &Shape, out_channels: usize) -> Result<Shape, ShapeError> {
        let num_axes = self.kernel.len();
        let lengths = [x.dims.len().saturating_sub(1), self.stride.len(), self.padding.len()];
        if !(2..=3).contains(&num_axes) || lengths.iter().any(|found| *found != num_axes) {
            return Err(x.wrong_rank(num_axes + 1));
        }
        let mut dims = vec![out_channels];
        for axis in 0..num_axes {
            let (window, stride) = (self.kernel[axis], self.stride[axis]);
            for (what, size) in [("the window", window), ("the stride", stride)] {
                if size == 0 {
                    return Err(ShapeError::Zero { what });
                }
            }
            let padded = self.padding[axis].saturating_mul(2).saturating_add(x.dims[axis + 1]);
            if padded < window {
                return Err(ShapeError::TooSmall { axis, window, padded });
            }
            dims.push((padded - window) / stride + 1);
        }
        Ok(x.with_dims(dims))
    }
}

/// Checks the range of a number; `holds` is the result of the comparison and `expected` the range in words.
pub(crate) fn check_range(
    what: &'static str,
    found: f64,
    holds: bool,
    expected: &'static str,
) -> Result<(), ShapeError> {
    if holds { Ok(()) } else { Err(ShapeError::Range { what, found, expected }) }
}

/// Checks the shape of a tensor.
pub(crate) fn check_param(param: &Param, expected: &[usize]) -> Result<(), ShapeError> {
    if param.shape == expected {
        return Ok(());
    }
    Err(ShapeError::Param { name: param.name.clone(), expected: expected.to_vec(), found: param.shape.clone() })
}

/// Rejects axes of size 0 and more values than [`MAX_VALUES`], so that products of sizes can't overflow.
pub(crate) fn check_size(dims: &[usize]) -> Result<(), ShapeError> {
    if dims.contains(&0) {
        return Err(ShapeError::Zero { what: "an axis" });
    }
    let values = dims.iter().try_fold(1_usize, |values, size| values.checked_mul(*size));
    match values {
        Some(values) if values <= MAX_VALUES => Ok(()),
        _ => Err(ShapeError::TooLarge { limit: MAX_VALUES }),
    }
}
