//! C3D (Tran et al. 2015, "Learning Spatiotemporal Features with 3D Convolutional Networks").
//!
//! Names match MMAction2's `c3d_sports1m`: `backbone.conv1a.conv.weight`, `backbone.fc6.weight`. Its input are pixels from 0 to 255
//! minus (104, 117, 128).

use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use pipe_graph::ops::{conv::ConvParams, flatten::Flatten, linear::LinearParams, max_pool::MaxPool, relu::Relu};
use pipe_graph::{Builder, ClipShape, GraphError, Init, NodeId};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::c3d::C3D;

/// The convolutions before each pooling, and their filters in multiples of the base.
const GROUPS: [(&[&str], usize); 5] =
    [(&["1a"], 1), (&["2a"], 2), (&["3a", "3b"], 4), (&["4a", "4b"], 8), (&["5a", "5b"], 8)];

impl Architecture for C3D {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        "c3d".to_owned()
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let mut x = g.input();
        for (group, (convs, width)) in GROUPS.into_iter().enumerate() {
            for conv in convs {
                x = conv_relu(g, x, &format!("backbone.conv{conv}"), self.base_channels as usize * width)?;
            }
            x = g.node(&format!("backbone.pool{}", group + 1), x, pool(group))?;
        }
        let x = g.node("backbone.flatten", x, Flatten)?; // [N, 8 base * 16]
        let x = hidden(g, x, head, "6", self.fc_channels as usize)?;
        let x = fully_connected(g, x, "7", self.fc_channels as usize)?;
        head.of_features(g, x, "cls_head.fc_cls")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Mmaction2)
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 16, height: 112, width: 96 };
        vec![Small { backbone: Self { base_channels: 4, fc_channels: 32 }, clip }]
    }

    fn published() -> Vec<Published<Self>> {
        vec![Published {
            backbone: Self { base_channels: 64, fc_channels: 4096 },
            clip: ClipShape { channels: 3, frames: 16, height: 112, width: 112 },
            num_classes: 101,
            num_params: 78_409_573,
            gmacs: 38.5,
            weight_keys: Some("mmaction2-c3d.txt"),
        }]
    }
}

/// The first pooling keeps all frames; the last one has padding in space, so that 112 pixels end as 4.
fn pool(group: usize) -> MaxPool {
    let temporal = if group == 0 { 1 } else { 2 };
    let padding = if group == 4 { vec![0, 1, 1] } else { vec![0; 3] };
    MaxPool { kernel: vec![temporal, 2, 2], stride: vec![temporal, 2, 2], padding }
}

fn conv_relu(g: &mut Builder, x: NodeId, name: &str, out_channels: usize) -> Result<NodeId, GraphError> {
    let params = ConvParams { out_channels, kernel: [3; 3], padding: [1; 3], bias: true, ..ConvParams::default() };
    let x = g.node(&format!("{name}.conv"), x, params)?;
    g.node(&format!("{name}.relu"), x, Relu)
}

/// A fully connected layer with ReLU and dropout.
fn hidden(g: &mut Builder, x: NodeId, head: &Head, number: &str, features: usize) -> Result<NodeId, GraphError> {
    let x = fully_connected(g, x, number, features)?;
    head.dropout(g, x, &format!("backbone.dropout{number}"))
}

fn fully_connected(g: &mut Builder, x: NodeId, number: &str, out_features: usize) -> Result<NodeId, GraphError> {
    let params = LinearParams { out_features, init: Init::Normal { std: 0.005 }, bias: true };
    let x = g.node(&format!("backbone.fc{number}"), x, params)?;
    g.node(&format!("backbone.relu{number}"), x, Relu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_shape;

    #[test]
    fn shapes_equal_those_of_the_paper() {
        let clip = ClipShape { channels: 3, frames: 16, height: 112, width: 112 };
        let c3d = || C3D { base_channels: 64, fc_channels: 4096 };
        check_shape(c3d(), clip, "backbone.pool1", 1, &[64, 16, 56, 56]);
        check_shape(c3d(), clip, "backbone.pool5", 1, &[512, 1, 4, 4]);
        check_shape(c3d(), clip, "backbone.flatten", 1, &[8192]);
    }
}
