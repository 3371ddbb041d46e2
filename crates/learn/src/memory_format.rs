//! The order of values in memory: convolutions are fastest where the channels are the last axis in memory, as those of pixels are. See
//! [`arrange_weights`].

use crate::Network;
use pipe_graph::Op;
use pipe_graph::ops::conv::Conv;
use tch::{TchError, Tensor};

/// For [`is_contiguous`], the least number of weights for each value of a clip.
const MIN_WEIGHTS_PER_VALUE: usize = 16;

/// Arranges the weights of convolutions as the convolutions read them in training, and as their gradients are. Otherwise each step would
/// copy them. The tensors stay the same to all others that share them.
pub(crate) fn arrange_weights(network: &Network) -> Result<(), TchError> {
    let _no_grad = tch::no_grad_guard();
    let graph = network.graph();
    let tensors: Vec<&Tensor> = network.named_tensors().map(|(_, tensor)| tensor).collect();
    for node in &graph.nodes {
        let (Op::Conv(op), [input, ..], [weight, ..]) = (&node.op, node.inputs.as_slice(), node.params.as_slice())
        else {
            continue;
        };
        let mut weight = tensors[weight.id.0].shallow_clone();
        let size: Vec<usize> = weight.size().into_iter().map(|dim| dim as usize).collect();
        if !is_contiguous(op, &graph.nodes[input.0].shape.dims, &size) {
            let arranged = channels_last(&weight.detach())?;
            weight.f_set_data(&arranged)?;
        }
    }
    Ok(())
}

/// Returns whether a convolution trains faster with the last axis last in memory, as tensors usually are. So it is with filters that are
/// longer than the clip: oneDNN has gradients of such weights only in an order that takes longer to change than the convolution itself if
/// there are many.
///
/// # Shapes
/// - `input`: `[C, T, H, W]`
/// - `weight`: `[out, in / groups, kernel…]`
pub(crate) fn is_contiguous(op: &Conv, input: &[usize], weight: &[usize]) -> bool {
    let ([_, frames, ..], [_, _, length, _, _]) = (input, weight) else { return false };
    let num_weights: usize = weight.iter().product();
    let num_values: usize = input.iter().product();
    op.groups == 1 && length > frames && num_weights >= MIN_WEIGHTS_PER_VALUE * num_values
}

/// Returns the same values with the channels, axis 1, last in memory. A tensor whose memory has no gaps stays as it is if they are.
pub(crate) fn channels_last(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_movedim_int(1, -1)?.f_contiguous()?.f_movedim_int(-1, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trained_tensor::testing::network;

    #[test]
    fn arranged_weights_have_the_same_values() {
        let (_, graph) = network(r#"{"type": "MobileNetV2TSM"}"#);
        let network = Network::new(graph, 0);
        let (before, first) = (network.tensors(), network.named_tensors().next().expect("a tensor").1);
        let shared = first.shallow_clone();
        assert_eq!(shared.stride(), [27, 9, 3, 1]);
        arrange_weights(&network).expect("arranged");
        assert_eq!(shared.stride(), [27, 1, 9, 3]);
        assert!(shared.requires_grad() && network.tensors() == before);
    }

    #[test]
    fn long_filters_with_many_weights_stay_as_they_are() {
        let check = |groups, input: [usize; 4], weight: [usize; 5]| {
            let op = Conv { stride: vec![1; 3], padding: vec![1; 3], groups };
            is_contiguous(&op, &input, &weight)
        };
        assert!(check(1, [512, 2, 7, 7], [512, 512, 3, 3, 3]));
        assert!(!check(512, [512, 2, 7, 7], [512, 1, 3, 3, 3]));
        assert!(!check(1, [512, 4, 7, 7], [512, 512, 3, 3, 3]));
        assert!(!check(1, [64, 2, 56, 56], [64, 64, 3, 3, 3]));
    }
}
