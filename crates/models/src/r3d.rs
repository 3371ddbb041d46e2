//! R3D-18 (Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions for Action Recognition"): ResNet-18 with 3x3x3
//! convolutions.
//!
//! Names match torchvision's `r3d_18`: `stem.0.weight`, `layer1.0.conv1.0.weight`.

use pipe_graph::{BatchNormParams, Builder, ConvParams, GraphError, NodeId};

/// Appends all but pooling and classifier: `[N, C, T, H, W]` → `[N, 8 base, T/8, H/16, W/16]`.
pub(crate) fn features(g: &mut Builder, x: NodeId, base_channels: usize) -> Result<NodeId, GraphError> {
    let stem = ConvParams {
        out_channels: base_channels,
        kernel: [3, 7, 7],
        stride: [1, 2, 2],
        padding: [1, 3, 3],
        ..ConvParams::default()
    };
    let x = conv_bn(g, x, "stem", stem)?; // [N, base, T, H/2, W/2]
    let mut x = g.relu("stem.2", x)?;
    for layer in 0..4 {
        for index in 0..2 {
            let name = format!("layer{}.{index}", layer + 1);
            let stride = if layer > 0 && index == 0 { 2 } else { 1 };
            x = basic(g, x, &name, base_channels << layer, stride)?;
        }
    }
    Ok(x)
}

/// Two 3x3x3 convolutions around which the input is added.
fn basic(g: &mut Builder, x: NodeId, name: &str, planes: usize, stride: usize) -> Result<NodeId, GraphError> {
    let y = conv_bn(g, x, &format!("{name}.conv1"), conv3x3x3(planes, stride))?;
    let y = g.relu(&format!("{name}.conv1.2"), y)?;
    let y = conv_bn(g, y, &format!("{name}.conv2"), conv3x3x3(planes, 1))?;
    let x = if stride != 1 || g.channels(x)? != planes {
        let params = ConvParams { out_channels: planes, stride: [stride; 3], ..ConvParams::default() };
        conv_bn(g, x, &format!("{name}.downsample"), params)?
    } else {
        x
    };
    let y = g.add(&format!("{name}.add"), y, x)?;
    g.relu(&format!("{name}.relu"), y)
}

fn conv_bn(g: &mut Builder, x: NodeId, name: &str, params: ConvParams<3>) -> Result<NodeId, GraphError> {
    let x = g.conv(&format!("{name}.0"), x, params)?;
    g.batch_norm(&format!("{name}.1"), x, BatchNormParams::default())
}

fn conv3x3x3(out_channels: usize, stride: usize) -> ConvParams<3> {
    ConvParams { out_channels, kernel: [3; 3], stride: [stride; 3], padding: [1; 3], ..ConvParams::default() }
}
