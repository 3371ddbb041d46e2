//! Each architecture: its shapes, and its tensors against the published checkpoints'.

use pipe_graph::{ClipShape, Graph, Init, Op, Role};
use pipe_models::{ModelError, build};
use pipe_schemas::networks::{Backbone, ClsHead, ModelParams, ResNetDepth};
use pipe_testkit::shared;
use std::collections::BTreeMap;

const FRAMES_224: ClipShape = ClipShape { channels: 3, frames: 1, height: 224, width: 224 };
const CLIP_112: ClipShape = ClipShape { channels: 3, frames: 16, height: 112, width: 112 };

fn resnet(depth: ResNetDepth) -> Backbone {
    Backbone::ResNet { depth, base_channels: 64 }
}

fn tsm(depth: ResNetDepth, base_channels: u32, shift_div: u32) -> Backbone {
    Backbone::ResNetTSM { depth, base_channels, shift_div }
}

fn graph(backbone: Backbone, clip: ClipShape, num_classes: usize) -> Graph {
    let params = ModelParams { backbone, ..ModelParams::default() };
    build(&params, clip, num_classes).expect("the network fits the clip")
}

#[test]
fn parameters_are_as_many_as_published() {
    let check = |backbone: Backbone, num_classes: usize, expect: usize| {
        let clip = if matches!(backbone, Backbone::R3D { .. }) { CLIP_112 } else { FRAMES_224 };
        let graph = graph(backbone, clip, num_classes);
        assert_eq!(graph.num_params(), expect, "{}", graph.name);
        graph.check().expect("what the builder made is consistent");
    };
    check(resnet(ResNetDepth::D18), 1000, 11_689_512);
    check(resnet(ResNetDepth::D50), 1000, 25_557_032);
    check(resnet(ResNetDepth::D50), 400, 24_327_632); // MMAction2's TSN on Kinetics-400
    check(Backbone::MobileNetV2 {}, 1000, 3_504_872);
    check(Backbone::R3D { base_channels: 64 }, 400, 33_371_472);
}

#[test]
fn shift_adds_no_parameters() {
    let clip = ClipShape { frames: 8, ..FRAMES_224 };
    let check = |plain: Backbone, shifted: Backbone| {
        let (plain, shifted) = (graph(plain, clip, 10), graph(shifted, clip, 10));
        assert_eq!(plain.params, shifted.params);
        assert_eq!(plain.flops(), {
            // TSM classifies each frame, TSN their mean.
            let classifier = plain.params[plain.head[0].0].len() as u64;
            shifted.flops() - 7 * classifier
        });
    };
    check(resnet(ResNetDepth::D18), tsm(ResNetDepth::D18, 64, 8));
    check(resnet(ResNetDepth::D50), tsm(ResNetDepth::D50, 64, 8));
    check(Backbone::MobileNetV2 {}, Backbone::MobileNetV2Tsm { shift_div: 8 });
}

#[test]
fn flops_are_as_published() {
    let check = |backbone: Backbone, clip: ClipShape, num_classes: usize, giga: f64| {
        let graph = graph(backbone, clip, num_classes);
        let found = graph.flops() as f64 / 1e9;
        assert!((found - giga).abs() < 0.006, "{}: {found} G, expected {giga} G", graph.name);
    };
    // torchvision's model pages.
    check(resnet(ResNetDepth::D18), FRAMES_224, 1000, 1.81);
    check(resnet(ResNetDepth::D50), FRAMES_224, 1000, 4.09);
    check(Backbone::MobileNetV2 {}, FRAMES_224, 1000, 0.30);
    check(Backbone::R3D { base_channels: 64 }, CLIP_112, 400, 40.70);
}

#[test]
fn shifts_stand_where_the_papers_code_has_them() {
    let clip = ClipShape { frames: 8, ..FRAMES_224 };
    let check = |backbone: Backbone, expect: &[&str]| {
        let graph = graph(backbone, clip, 10);
        let is_shift = |op: &Op| matches!(op, Op::TemporalShift { frames: 8, shift_div: 8 });
        let found: Vec<&str> =
            graph.nodes.iter().filter(|node| is_shift(&node.op)).map(|node| node.name.as_str()).collect();
        assert_eq!(found, expect);
        // Only the residual branch is shifted.
        for (position, node) in graph.nodes.iter().enumerate().filter(|(_, node)| is_shift(&node.op)) {
            let users: Vec<_> =
                graph.nodes.iter().filter(|user| user.inputs.iter().any(|id| id.0 == position)).collect();
            assert!(matches!(users.as_slice(), [user] if matches!(user.op, Op::Conv { .. })), "{}", node.name);
        }
    };
    let all_18 = [
        "layer1.0.shift",
        "layer1.1.shift",
        "layer2.0.shift",
        "layer2.1.shift",
        "layer3.0.shift",
        "layer3.1.shift",
        "layer4.0.shift",
        "layer4.1.shift",
    ];
    check(tsm(ResNetDepth::D18, 64, 8), &all_18);
    let with_residual = [
        "features.3.shift",
        "features.5.shift",
        "features.6.shift",
        "features.8.shift",
        "features.9.shift",
        "features.10.shift",
        "features.12.shift",
        "features.13.shift",
        "features.15.shift",
        "features.16.shift",
    ];
    check(Backbone::MobileNetV2Tsm { shift_div: 8 }, &with_residual);
}

#[test]
fn features_have_the_papers_shapes() {
    let check = |backbone: Backbone, clip: ClipShape, node: &str, per_sample: usize, dims: &[usize]| {
        let graph = graph(backbone, clip, 7);
        let found = &graph.nodes.iter().find(|found| found.name == node).expect("the node exists").shape;
        assert_eq!((found.per_sample, found.dims.as_slice()), (per_sample, dims), "{} of {}", node, graph.name);
        let output = &graph.nodes[graph.output.0].shape;
        assert_eq!((output.per_sample, output.dims.as_slice()), (1, [7].as_slice()));
    };
    let clip = ClipShape { frames: 8, ..FRAMES_224 };
    check(resnet(ResNetDepth::D50), clip, "maxpool", 8, &[64, 56, 56]);
    check(resnet(ResNetDepth::D50), clip, "layer4.2.relu", 8, &[2048, 7, 7]);
    check(tsm(ResNetDepth::D18, 16, 8), clip, "layer4.1.relu", 8, &[128, 7, 7]);
    check(Backbone::MobileNetV2 {}, clip, "features.18.2", 8, &[1280, 7, 7]);
    check(Backbone::R3D { base_channels: 64 }, CLIP_112, "layer4.1.relu", 1, &[512, 2, 7, 7]);
    check(Backbone::R3D { base_channels: 8 }, CLIP_112, "stem.2", 1, &[8, 16, 56, 56]);
}

#[test]
fn tsn_averages_features_and_tsm_averages_logits() {
    let clip = ClipShape { frames: 8, ..FRAMES_224 };
    let check = |backbone: Backbone, expect: &[&str]| {
        let graph = graph(backbone, clip, 7);
        let after = graph.nodes.iter().position(|node| node.name == "avgpool").expect("features are pooled");
        let found: Vec<&str> = graph.nodes[after..].iter().map(|node| node.name.as_str()).collect();
        assert_eq!(found, expect);
    };
    check(resnet(ResNetDepth::D18), &["avgpool", "consensus", "dropout", "fc"]);
    check(tsm(ResNetDepth::D18, 64, 8), &["avgpool", "dropout", "fc", "consensus"]);
    check(Backbone::MobileNetV2 {}, &["avgpool", "consensus", "dropout", "classifier.1"]);
    check(Backbone::R3D { base_channels: 64 }, &["avgpool", "dropout", "fc"]);
}

#[test]
fn the_head_is_made_anew_and_starts_small() {
    let cls_head = ClsHead { init_std: 0.001, num_classes: Some(51), ..ClsHead::default() };
    let params = ModelParams { backbone: tsm(ResNetDepth::D18, 64, 8), cls_head, ..ModelParams::default() };
    let clip = ClipShape { frames: 8, ..FRAMES_224 };
    let graph = build(&params, clip, 51).expect("the network fits the clip");
    let head: Vec<_> = graph.head.iter().map(|id| &graph.params[id.0]).collect();
    let [weight, bias] = head.as_slice() else { panic!("{head:?}") };
    assert_eq!(
        (weight.name.as_str(), weight.role, weight.init),
        ("fc.weight", Role::Weight, Init::Normal { std: 0.001 })
    );
    assert_eq!((bias.name.as_str(), bias.role, bias.init), ("fc.bias", Role::Bias, Init::Constant(0.0)));
    assert_eq!(build(&params, clip, 101), Err(ModelError::NumClasses { asked: 51, found: 101 }));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let check = |backbone: Backbone, clip: ClipShape, num_classes: usize, expect: &str| {
        let params = ModelParams { backbone, ..ModelParams::default() };
        let error = build(&params, clip, num_classes).expect_err("it does not fit");
        let mut chain = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            chain = format!("{chain}: {cause}");
            source = cause.source();
        }
        assert!(chain.contains(expect), "{chain}");
    };
    let clip = ClipShape { frames: 8, ..FRAMES_224 };
    check(tsm(ResNetDepth::D18, 4, 8), clip, 10, "choose a `shift_div` of at most 4");
    check(tsm(ResNetDepth::D18, 64, 8), FRAMES_224, 10, "frames is 1, expected 2 or more");
    check(resnet(ResNetDepth::D18), clip, 0, "an axis is 0");
    check(resnet(ResNetDepth::D18), ClipShape { width: usize::MAX, ..clip }, 10, "more than");
    check(resnet(ResNetDepth::D18), ClipShape { height: 1, width: 0, ..clip }, 10, "an axis is 0");
}

/// Lines such as `conv1.weight (64, 3, 7, 7)`; `bn1.num_batches_tracked ()` counts steps and is no part of the network.
fn published(file: &str) -> Option<BTreeMap<String, Vec<usize>>> {
    let text = std::fs::read_to_string(shared(format!("reference/weight-keys/{file}"))?).expect("read");
    let parse = |line: &str| {
        let (name, shape) = line.split_once(' ').expect("a line has a name and a shape");
        let sizes = shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|size| !size.is_empty());
        (name.to_owned(), sizes.map(|size| size.parse().expect("a size is a number")).collect())
    };
    Some(text.lines().filter(|line| !line.contains("num_batches_tracked")).map(parse).collect())
}

#[test]
fn tensors_are_named_as_published() {
    let check = |backbone: Backbone, file: &str| {
        let Some(expect) = published(file) else { return };
        let (clip, num_classes) =
            if matches!(backbone, Backbone::R3D { .. }) { (CLIP_112, 400) } else { (FRAMES_224, 1000) };
        let graph = graph(backbone, clip, num_classes);
        let found: BTreeMap<_, _> =
            graph.params.iter().map(|param| (param.name.clone(), param.shape.clone())).collect();
        assert_eq!(found, expect, "{file}");
    };
    check(resnet(ResNetDepth::D18), "torchvision-resnet18.txt");
    check(resnet(ResNetDepth::D50), "torchvision-resnet50.txt");
    check(Backbone::MobileNetV2 {}, "torchvision-mobilenet_v2.txt");
    check(Backbone::R3D { base_channels: 64 }, "torchvision-r3d_18.txt");
}
