//! [`Conv`]: convolution.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, window_attributes};
use crate::operands::Operands;
use crate::operation::{Layer, Operation, TensorSpec};
use crate::shape::{Window, check_param};
use crate::{Init, Role, Shape, ShapeError};
use serde::Serialize;

/// Convolution over as many axes as `stride` has entries: 2 or 3.
///
/// # Shapes
/// - input: `[M, in, …]`
/// - `weight`: `[out, in / groups, kernel…]`; `bias` (optional): `[out]`
/// - result: `[M, out, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conv {
    /// One entry per axis.
    pub stride: Vec<usize>,
    /// Zeros added on both sides, one entry per axis.
    pub padding: Vec<usize>,
    /// The number of groups of channels that are convolved separately; the number of channels for a depthwise convolution.
    pub groups: usize,
}

/// The parameters of a convolution over `D` axes, 2 or 3. The default is one filter of size 1 with stride 1 and without bias.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvParams<const D: usize> {
    /// The number of filters.
    pub out_channels: usize,
    /// The size of a filter, one entry per axis.
    pub kernel: [usize; D],
    /// One entry per axis.
    pub stride: [usize; D],
    /// Zeros added on both sides, one entry per axis.
    pub padding: [usize; D],
    /// See [`Conv::groups`].
    pub groups: usize,
    /// Whether a bias is added to the result.
    pub bias: bool,
    /// The initial weight; the initial bias is 0.
    pub init: Init,
}

impl<const D: usize> Default for ConvParams<D> {
    fn default() -> Self {
        let init = Init::KaimingFanOut;
        Self { out_channels: 1, kernel: [1; D], stride: [1; D], padding: [0; D], groups: 1, bias: false, init }
    }
}

impl<const D: usize> Layer for ConvParams<D> {
    type Op = Conv;

    fn resolve(self, inputs: &[&Shape]) -> Result<(Conv, Vec<TensorSpec>), ShapeError> {
        let Self { out_channels, kernel, stride, padding, groups, bias, init } = self;
        let [x] = inputs else { return Err(ShapeError::Inputs { expected: 1, found: inputs.len() }) };
        if groups == 0 {
            return Err(ShapeError::Zero { what: "the number of groups" });
        }
        let shape = [out_channels, x.channels()? / groups].into_iter().chain(kernel).collect();
        let mut tensors = vec![TensorSpec { slot: "weight", shape, role: Role::Weight, init }];
        if bias {
            let (shape, init) = (vec![out_channels], Init::Constant(0.0));
            tensors.push(TensorSpec { slot: "bias", shape, role: Role::Bias, init });
        }
        Ok((Conv { stride: stride.to_vec(), padding: padding.to_vec(), groups }, tensors))
    }
}

impl Operation for Conv {
    fn slots(&self) -> &'static [&'static str] {
        &["weight", "bias"]
    }

    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let Self { stride, padding, groups } = self;
        let [x] = operands.inputs()?;
        let weight = operands.param("weight")?;
        let [out_channels, _, kernel @ ..] = weight.shape.as_slice() else {
            let expected = vec![0; stride.len() + 2];
            return Err(ShapeError::Param { name: weight.name.clone(), expected, found: weight.shape.clone() });
        };
        let in_channels = x.channels()?;
        if *groups == 0 {
            return Err(ShapeError::Zero { what: "the number of groups" });
        }
        for channels in [in_channels, *out_channels] {
            if !channels.is_multiple_of(*groups) {
                return Err(ShapeError::Groups { channels, groups: *groups });
            }
        }
        let expected: Vec<usize> = [*out_channels, in_channels / groups].iter().chain(kernel).copied().collect();
        check_param(weight, &expected)?;
        if let Some(bias) = operands.optional("bias") {
            check_param(bias, &[*out_channels])?;
        }
        Window { kernel, stride, padding }.slide(x, *out_channels)
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        // A filter computes a channel from all channels of its group.
        let (rows, x) = (rule.input(0)[0].clone(), rule.channels_only(0, 1));
        let mut result = rule.labels.fresh(rule.shape.dims[0]);
        let mut read = x.clone();
        if self.groups == 1 {
            rule.labels.set_output(rule.id, &result);
        } else {
            read = Axis::Whole(x.len() / self.groups);
            result = self.grouped(rule, &x, &result);
        }
        rule.set_weight(&result, &read);
        rule.with_rows(rows, 1, result)
    }

    fn keep_channels(&mut self, kept: &KeptChannels<'_>) {
        self.groups = (self.groups * kept.shape.dims[0] / kept.old_shape.dims[0]).max(1);
    }

    fn macs(&self, operands: &Operands<'_>, output: &Shape) -> u64 {
        // Each value of the result is a sum over one filter: all axes of the weight except the first.
        let filter: usize = operands.optional("weight").map_or(0, |weight| weight.shape.iter().skip(1).product());
        (output.values_per_sample() as u64).saturating_mul(filter as u64)
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let kernel = writer.param_shape("weight")[2..].to_vec();
        let mut attributes =
            window_attributes(Window { kernel: &kernel, stride: &self.stride, padding: &self.padding });
        attributes.push(int("group", self.groups as i64));
        let inputs = writer.inputs_and_params();
        writer.result("Conv", inputs, attributes);
    }
}

impl Conv {
    /// Couples the input and output channels of each group. A group of several channels is kept or removed as a whole.
    fn grouped(&self, rule: &mut ChannelRule<'_>, x: &Axis, result: &Axis) -> Axis {
        let (Axis::Channels(read), Axis::Channels(made)) = (x, result) else {
            return Axis::Whole(result.len());
        };
        for (read, made) in read.chunks(read.len() / self.groups).zip(made.chunks(made.len() / self.groups)) {
            rule.labels.unite_all(&[read, made].concat());
        }
        result.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{CLIP, check_error, check_shape};

    fn conv(kernel: [usize; 2]) -> ConvParams<2> {
        ConvParams { kernel, ..ConvParams::default() }
    }

    #[test]
    fn shapes_follow_from_kernel_stride_and_padding() {
        check_shape(|g, x| g.node("c", x, ConvParams { out_channels: 5, ..conv([1; 2]) }), 8, &[5, 9, 12]);
        check_shape(|g, x| g.node("c", x, conv([3, 5])), 8, &[1, 7, 8]);
        let strided = ConvParams { stride: [2; 2], padding: [3; 2], ..conv([7; 2]) };
        check_shape(|g, x| g.node("c", x, strided), 8, &[1, 5, 6]);
        let temporal = ConvParams { kernel: [3, 1, 1], ..ConvParams::default() };
        check_shape(|g, _| g.node("c", g.input(), temporal), 1, &[1, 6, 9, 12]);
    }

    #[test]
    fn a_convolution_that_does_not_fit_is_an_error() {
        let check = |params: ConvParams<2>, expect: &str| check_error(|g, x| g.node("c", x, params), expect);
        check(conv([3, 13]), "a window of 13 is larger than the padded input of 12 on axis 1");
        check(ConvParams { groups: 3, ..conv([1; 2]) }, "4 channels can't be split into 3 groups");
        check(ConvParams { groups: 0, ..conv([1; 2]) }, "the number of groups is 0");
        check(ConvParams { stride: [1, 0], ..conv([1; 2]) }, "the stride is 0");
        check(conv([0, 1]), "an axis is 0");
        check(ConvParams { out_channels: usize::MAX, ..conv([1; 2]) }, "more than 2147483648 values");
        check(ConvParams { padding: [usize::MAX; 2], ..conv([1; 2]) }, "more than 2147483648 values");
        let three_axes = ConvParams { kernel: [1; 3], ..ConvParams::default() };
        check_error(|g, x| g.node("c", x, three_axes), "expected 4 axes after the batch, found [4, 9, 12]");
        assert_eq!(CLIP.channels, 4);
    }
}
