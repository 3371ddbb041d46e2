//! R3D-18 (Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions for Action Recognition"): ResNet-18 with 3x3x3
//! convolutions.
//!
//! Names match torchvision's `r3d_18`: `stem.0.weight`, `layer1.0.conv1.0.weight`.

use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use crate::layers::{conv_bn, conv1, conv3};
use pipe_graph::ops::{add::Add, conv::ConvParams, relu::Relu};
use pipe_graph::{Builder, ClipShape, GraphError, NodeId};
use pipe_schemas::networks::r3d::R3D;

impl Architecture for R3D {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "r3d_18".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let x = features(g, self.base_channels as usize)?;
        head.of_clips(g, x, "fc")
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 4, height: 64, width: 48 };
        vec![Small { backbone: Self { base_channels: 8 }, clip }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self { base_channels: 64 },
            clip: ClipShape { channels: 3, frames: 16, height: 112, width: 112 },
            num_classes: 400,
            num_params: 33_371_472,
            gmacs: 40.7,
            weight_keys: Some("torchvision-r3d_18.txt"),
        }]
    }
}

/// Appends everything except pooling and classifier: `[N, C, T, H, W]` → `[N, 8 base, T/8, H/16, W/16]`.
fn features(g: &mut Builder, base_channels: usize) -> Result<NodeId, GraphError> {
    let stem = ConvParams {
        out_channels: base_channels,
        kernel: [3, 7, 7],
        stride: [1, 2, 2],
        padding: [1, 3, 3],
        ..ConvParams::default()
    };
    let x = conv_bn(g, g.input(), ["stem.0", "stem.1"], stem)?; // [N, base, T, H/2, W/2]
    let mut x = g.node("stem.2", x, Relu)?;
    for layer in 0..4 {
        for index in 0..2 {
            let name = format!("layer{}.{index}", layer + 1);
            let stride = if layer > 0 && index == 0 { 2 } else { 1 };
            x = basic_block(g, x, &name, base_channels << layer, stride)?;
        }
    }
    Ok(x)
}

/// Two 3x3x3 convolutions and a residual connection.
fn basic_block(g: &mut Builder, x: NodeId, name: &str, planes: usize, stride: usize) -> Result<NodeId, GraphError> {
    let y = numbered_conv_bn(g, x, &format!("{name}.conv1"), conv3(planes, stride))?;
    let y = g.node(&format!("{name}.conv1.2"), y, Relu)?;
    let y = numbered_conv_bn(g, y, &format!("{name}.conv2"), conv3(planes, 1))?;
    let x = if stride != 1 || g.channels(x)? != planes {
        numbered_conv_bn(g, x, &format!("{name}.downsample"), conv1(planes, stride))?
    } else {
        x
    };
    let y = g.node(&format!("{name}.add"), [y, x], Add)?;
    g.node(&format!("{name}.relu"), y, Relu)
}

fn numbered_conv_bn(g: &mut Builder, x: NodeId, name: &str, params: ConvParams<3>) -> Result<NodeId, GraphError> {
    conv_bn(g, x, [&format!("{name}.0"), &format!("{name}.1")], params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_shape, check_tail};

    #[test]
    fn shapes_and_head_equal_those_of_the_paper() {
        let clip = ClipShape { channels: 3, frames: 16, height: 112, width: 112 };
        check_shape(R3D { base_channels: 64 }, clip, "layer4.1.relu", 1, &[512, 2, 7, 7]);
        check_shape(R3D { base_channels: 8 }, clip, "stem.2", 1, &[8, 16, 56, 56]);
        check_tail(R3D { base_channels: 64 }, clip, &["avgpool", "dropout", "fc"]);
    }
}
