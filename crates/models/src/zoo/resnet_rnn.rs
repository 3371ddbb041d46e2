//! ResNet features of each frame, read by an LSTM or GRU (Donahue et al. 2015, "Long-term Recurrent Convolutional Networks for Visual
//! Recognition and Description").
//!
//! Names: `cnn.*` as torchvision's ResNet without `fc`, `rnn.*` as PyTorch's `LSTM` and `GRU`, `fc`.

use super::resnet::features;
use crate::NameMap;
use crate::architecture::{Architecture, Published, Small};
use crate::head::{Head, Logits};
use pipe_graph::ops::recurrent::{Cell, Recurrent};
use pipe_graph::ops::{frames_to_batch::FramesToBatch, global_avg_pool::GlobalAvgPool};
use pipe_graph::{Builder, ClipShape, GraphError};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::resnet::ResNetDepth;
use pipe_schemas::networks::resnet_rnn::{RecurrentCell, ResNetRNN};

impl Architecture for ResNetRNN {
    const USES_FRAME_ORDER: bool = true;

    fn name(&self) -> String {
        let cell = match self.cell {
            RecurrentCell::Lstm => "lstm",
            RecurrentCell::Gru => "gru",
        };
        format!("cnn_{cell}_resnet{}", u32::from(self.depth))
    }

    fn build(&self, g: &mut Builder, head: &Head) -> Result<Logits, GraphError> {
        let x = g.node("frames", g.input(), FramesToBatch)?; // [N * T, C, H, W]
        let x = features(g, x, "cnn.", self.depth, self.base_channels, None)?;
        let x = g.node("cnn.avgpool", x, GlobalAvgPool)?; // [N * T, F]
        let rnn = Recurrent {
            cell: match self.cell {
                RecurrentCell::Lstm => Cell::Lstm,
                RecurrentCell::Gru => Cell::Gru,
            },
            hidden_size: self.hidden_size as usize,
            num_layers: self.num_layers as usize,
            bidirectional: self.bidirectional,
        };
        let x = g.node("rnn", x, rnn)?; // [N, directions * hidden]
        head.of_features(g, x, "fc")
    }

    fn own_names(&self) -> NameMap {
        NameMap::same(Project::Pipe)
    }

    fn small() -> Vec<Small<Self>> {
        let clip = ClipShape { channels: 3, frames: 4, height: 64, width: 48 };
        let small = |cell, num_layers, bidirectional| Small {
            backbone: Self {
                depth: ResNetDepth::D18,
                base_channels: 8,
                cell,
                hidden_size: 16,
                num_layers,
                bidirectional,
            },
            clip,
        };
        vec![
            small(RecurrentCell::Lstm, 1, false),
            small(RecurrentCell::Lstm, 2, true),
            small(RecurrentCell::Gru, 2, true),
        ]
    }

    fn published() -> Vec<Published<Self>> {
        let published = |cell, clip, num_params, gmacs, weight_keys| Published {
            backbone: Self {
                depth: ResNetDepth::D18,
                base_channels: 64,
                cell,
                hidden_size: 512,
                num_layers: 1,
                bidirectional: false,
            },
            clip,
            num_classes: 101,
            num_params,
            gmacs,
            weight_keys: Some(weight_keys),
        };
        let eight = ClipShape { channels: 3, frames: 8, height: 112, width: 112 };
        let five = ClipShape { channels: 3, frames: 5, height: 96, width: 128 };
        vec![
            published(RecurrentCell::Lstm, eight, 13_329_573, 3.896, "own-cnn_lstm_r18.txt"),
            published(RecurrentCell::Gru, five, 12_804_261, 2.236, "own-cnn_gru_r18.txt"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_shape;

    #[test]
    fn both_directions_are_concatenated() {
        let clip = ClipShape { channels: 3, frames: 8, height: 112, width: 112 };
        for (bidirectional, features) in [(false, 20), (true, 40)] {
            let rnn = ResNetRNN {
                depth: ResNetDepth::D18,
                base_channels: 8,
                cell: RecurrentCell::Gru,
                hidden_size: 20,
                num_layers: 2,
                bidirectional,
            };
            check_shape(rnn, clip, "rnn", 1, &[features]);
        }
    }
}
