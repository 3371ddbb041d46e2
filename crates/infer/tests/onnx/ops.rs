//! Single ops, compared with values computed by hand.

use crate::{check, clip, engines, session, until_here};
use pipe_graph::ops::{
    add::Add, batch_norm::BatchNorm, conv::ConvParams, dropout::Dropout, frames_to_batch::FramesToBatch,
    global_avg_pool::GlobalAvgPool, linear::LinearParams, max_pool::MaxPool, relu::Relu, relu6::Relu6,
    segment_mean::SegmentMean, temporal_shift::TemporalShiftParams,
};
use pipe_graph::{Builder, Init};

/// Transposes frames of channels, `[T, C]`, to `[C, T]`.
fn channels_first<const C: usize>(frames: &[[f32; C]]) -> Vec<f32> {
    (0..C).flat_map(|channel| frames.iter().map(move |frame| frame[channel])).collect()
}

#[test]
fn temporal_shift_moves_channels_in_both_directions() {
    for engine in engines() {
        let mut g = Builder::new("shift", clip(4, 3, 1, 1)).expect("a clip");
        let x = g.node("frames", g.input(), FramesToBatch).expect("frames");
        let x = g.node("shift", x, TemporalShiftParams { shift_div: 4 }).expect("a shift");
        let graph = until_here(g, x);
        let mut session = session(engine.as_ref(), &graph, &[]);

        // The values are those of MMAction2. The second sample shows that samples do not mix.
        let first = [[0., 1., 2., 3.], [4., 5., 6., 7.], [8., 9., 10., 11.]];
        let second = first.map(|frame| frame.map(|value| value + 100.0));
        let data = [channels_first(&first), channels_first(&second)].concat();
        let expect: Vec<f32> = [
            [4., 0., 2., 3.],
            [8., 1., 6., 7.],
            [0., 5., 10., 11.],
            [104., 0., 102., 103.],
            [108., 101., 106., 107.],
            [0., 105., 110., 111.],
        ]
        .concat();
        check(&session.run("clip", [2, 4, 3, 1, 1], data).expect("it runs"), &[6, 4, 1, 1], &expect);
    }
}

#[test]
fn temporal_shift_can_move_all_channels() {
    for engine in engines() {
        let mut g = Builder::new("shift", clip(2, 2, 1, 1)).expect("a clip");
        let x = g.node("frames", g.input(), FramesToBatch).expect("frames");
        let x = g.node("shift", x, TemporalShiftParams { shift_div: 2 }).expect("a shift");
        let mut session = session(engine.as_ref(), &until_here(g, x), &[]);
        let data = channels_first(&[[1., 2.], [3., 4.]]);
        check(&session.run("clip", [1, 2, 2, 1, 1], data).expect("it runs"), &[2, 2, 1, 1], &[3., 0., 0., 2.]);
    }
}

#[test]
fn frames_are_normalised_averaged_and_classified() {
    for engine in engines() {
        let mut g = Builder::new("tsn", clip(1, 2, 1, 2)).expect("a clip");
        let x = g.node("frames", g.input(), FramesToBatch).expect("frames");
        let x =
            g.node("conv1", x, ConvParams::<2> { out_channels: 2, ..ConvParams::default() }).expect("a convolution");
        let x = g.node("bn1", x, BatchNorm { eps: 1.0, ..BatchNorm::default() }).expect("a norm");
        let x = g.node("relu", x, Relu6).expect("an activation");
        let x = g.node("avgpool", x, GlobalAvgPool).expect("pixels");
        let x = g.node("consensus", x, SegmentMean).expect("frames");
        let x = g.node("dropout", x, Dropout { ratio: 0.5 }).expect("a ratio");
        let fc = g
            .node("fc", x, LinearParams { out_features: 2, init: Init::Normal { std: 0.01 }, bias: true })
            .expect("features");
        let graph = g.finish(fc, fc).expect("logits");
        let tensors: [(&str, &[f32]); 7] = [
            ("conv1.weight", &[2.0, -1.0]),
            ("bn1.weight", &[1.0, 4.0]),
            ("bn1.bias", &[0.5, 1.0]),
            ("bn1.running_mean", &[1.0, 0.0]),
            ("bn1.running_var", &[0.0, 3.0]), // With `eps`, the standard deviations are 1 and 2.
            ("fc.weight", &[1.0, 2.0, 3.0, -1.0]),
            ("fc.bias", &[10.0, 20.0]),
        ];
        let mut session = session(engine.as_ref(), &graph, &tensors);
        // Channel 0: 2x - 0.5 of 1, 2, 3, 9 → 1.5, 3.5, 5.5, 6 (limited); frames 2.5 and 5.75, mean 4.125.
        // Channel 1: 1 - 2x → all below 0, so 0.
        let expect = [4.125 + 10.0, 3.0 * 4.125 + 20.0];
        check(&session.run("clip", [1, 1, 2, 1, 2], vec![1., 2., 3., 9.]).expect("it runs"), &[1, 2], &expect);
        // Channel 1 at x = -1: 1 + 2 = 3 on all four pixels; channel 0: -2.5, so 0.
        let data = vec![1., 2., 3., 9., -1., -1., -1., -1.];
        let expect = [expect[0], expect[1], 6.0 + 10.0, -3.0 + 20.0];
        check(&session.run("clip", [2, 1, 2, 1, 2], data).expect("it runs"), &[2, 2], &expect);
    }
}

#[test]
fn windows_slide_over_three_axes() {
    for engine in engines() {
        let mut g = Builder::new("r3d", clip(1, 2, 2, 3)).expect("a clip");
        let params = ConvParams {
            out_channels: 1,
            kernel: [2, 1, 3],
            stride: [1, 1, 2],
            padding: [0, 0, 1],
            bias: true,
            ..ConvParams::default()
        };
        let x = g.node("conv", g.input(), params).expect("a convolution"); // [N, 1, 1, 2, 2]
        let pool = MaxPool { kernel: vec![1, 2, 1], stride: vec![1; 3], padding: vec![0; 3] };
        let pooled = g.node("pool", x, pool).expect("a pooling"); // [N, 1, 1, 1, 2]
        let x = g.node("add", [pooled, pooled], Add).expect("a sum");
        let x = g.node("relu", x, Relu).expect("an activation");
        let tensors: [(&str, &[f32]); 2] = [("conv.weight", &[1., 2., 3., 0., 0., 1.]), ("conv.bias", &[-20.0])];
        let mut session = session(engine.as_ref(), &until_here(g, x), &tensors);
        // Frame 0: [1 2 3; 4 5 6], frame 1: [7 8 9; 10 11 12], zeros left and right.
        // Row 0: 2*1 + 3*2 + 8 = 16 and 1*2 + 2*3 + 0 = 8; row 1: 2*4 + 3*5 + 11 = 34 and 1*5 + 2*6 + 0 = 17; minus 20.
        // Maxima over rows: 14 and -3; doubled and limited: 28 and 0.
        let data = (1..=12_u8).map(f32::from).collect();
        check(&session.run("clip", [1, 1, 2, 2, 3], data).expect("it runs"), &[1, 1, 1, 1, 2], &[28., 0.]);
    }
}

#[test]
fn groups_are_convolved_separately() {
    for engine in engines() {
        let mut g = Builder::new("depthwise", clip(2, 1, 1, 1)).expect("a clip");
        let x = g.node("frames", g.input(), FramesToBatch).expect("frames");
        let x = g
            .node("conv", x, ConvParams::<2> { out_channels: 2, groups: 2, ..ConvParams::default() })
            .expect("channels");
        let mut session = session(engine.as_ref(), &until_here(g, x), &[("conv.weight", &[10., 100.])]);
        check(&session.run("clip", [1, 2, 1, 1, 1], vec![1., 2.]).expect("it runs"), &[1, 2, 1, 1], &[10., 200.]);
    }
}

#[test]
fn a_dropout_at_the_end_has_no_node() {
    for engine in engines() {
        let mut g = Builder::new("dropouts", clip(1, 1, 1, 1)).expect("a clip");
        let x = g.node("pool", g.input(), GlobalAvgPool).expect("pixels");
        let fc =
            g.node("fc", x, LinearParams { out_features: 1, init: Init::Constant(1.0), bias: true }).expect("features");
        let x = g.node("dropout1", fc, Dropout { ratio: 0.5 }).expect("a ratio");
        let x = g.node("dropout2", x, Dropout { ratio: 0.5 }).expect("a ratio");
        let graph = g.finish(x, fc).expect("logits");
        let mut session = session(engine.as_ref(), &graph, &[("fc.weight", &[3.0]), ("fc.bias", &[1.0])]);
        check(&session.run("clip", [1; 5], vec![2.0]).expect("it runs"), &[1, 1], &[7.0]);
    }
}

#[test]
fn a_network_that_returns_its_input_copies_it() {
    for engine in engines() {
        let mut g = Builder::new("copy", clip(1, 1, 1, 2)).expect("a clip");
        let x = g.node("dropout", g.input(), Dropout { ratio: 0.5 }).expect("a ratio");
        let mut session = session(engine.as_ref(), &until_here(g, x), &[]);
        check(&session.run("clip", [1, 1, 1, 1, 2], vec![5., 6.]).expect("it runs"), &[1, 1, 1, 1, 2], &[5., 6.]);
    }
}
