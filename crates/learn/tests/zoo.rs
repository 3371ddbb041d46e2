//! Runs each network of the zoo.

use pipe_clips::{Batch, ClipSize};
use pipe_graph::ClipShape;
use pipe_learn::{Dropout, Network, Normalisation, pin_threads};
use pipe_schemas::networks::{Backbone, ModelParams, ResNetDepth};
use pipe_testkit::shared;
use pipe_weights::Checkpoint;

fn network(backbone: Backbone, size: ClipSize, num_classes: usize) -> Network {
    pin_threads();
    let clip = ClipShape { channels: 3, frames: size.frames, height: size.height, width: size.width };
    let params = ModelParams { backbone, ..ModelParams::default() };
    Network::new(pipe_models::build(&params, clip, num_classes).expect("a graph"), 0)
}

/// Two clips of a slope from black to white, the second upside down.
fn clips(size: ClipSize) -> tch::Tensor {
    let len = size.frames * size.height * size.width * 3;
    let slope: Vec<u8> = (0..len).map(|at| (at * 255 / len) as u8).collect();
    let pixels = [slope.clone(), slope.into_iter().rev().collect()].concat();
    let batch = Batch { pixels, class_indices: vec![0, 1], num_clips: 2, rows: 0..2, ..Batch::default() };
    Normalisation::new(&ModelParams::default().data_preprocessor).clips(&batch, size).expect("clips")
}

fn values(tensor: &tch::Tensor) -> Vec<f32> {
    Vec::try_from(tensor.detach().contiguous().view(-1)).expect("values")
}

fn check(backbone: Backbone) {
    let size = ClipSize { frames: 4, height: 64, width: 48 };
    let name = format!("{backbone:?}");
    let network = network(backbone, size, 5);
    for dropout in [None, Some(Dropout { seed: 0, epoch: 0, step: 0 })] {
        let logits = network.forward(&clips(size), dropout).expect("logits");
        assert_eq!(logits.size(), [2, 5], "{name}");
        let values = values(&logits);
        assert!(values.iter().all(|value| value.is_finite()), "{name}: {values:?}");
        assert_ne!(values[..5], values[5..], "{name} tells two clips apart");
    }
}

#[test]
fn every_network_runs() {
    let (base_channels, shift_div) = (8, 8);
    check(Backbone::ResNet { depth: ResNetDepth::D18, base_channels });
    check(Backbone::ResNet { depth: ResNetDepth::D50, base_channels });
    check(Backbone::ResNetTSM { depth: ResNetDepth::D18, base_channels, shift_div });
    check(Backbone::ResNetTSM { depth: ResNetDepth::D50, base_channels, shift_div });
    check(Backbone::MobileNetV2 {});
    check(Backbone::MobileNetV2Tsm { shift_div });
    check(Backbone::R3D { base_channels });
}

/// Logits of the published MobileNetV2 on a slope: finite, spread as those of a trained network are, and the same
/// for a video of one frame and of four equal ones.
#[test]
fn published_weights_of_mobilenet_v2() {
    let Some(path) = shared("data/weights/mobilenet_v2-b0353104.pth") else { return };
    let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
    let image = ClipSize { frames: 1, height: 224, width: 224 };
    let mut one = network(Backbone::MobileNetV2 {}, image, 1000);
    let report = one.load(&checkpoint).expect("fits");
    assert_eq!((report.num_matched, report.num_reinitialised, report.num_batch_counters), (262, 0, 52));
    let picture = clips(image);
    let logits = values(&one.forward(&picture, None).expect("logits"));
    let spread = logits.iter().copied().fold(0.0f32, |most, value| most.max(value.abs()));
    assert!((2.0..50.0).contains(&spread), "{spread}");

    let mut four = network(Backbone::MobileNetV2 {}, ClipSize { frames: 4, ..image }, 1000);
    four.load(&checkpoint).expect("fits");
    let video = picture.expand([-1, -1, 4, -1, -1], false);
    let same = values(&four.forward(&video, None).expect("logits"));
    assert!(logits.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-3));

    let mut other_classes = network(Backbone::MobileNetV2 {}, image, 5);
    let report = other_classes.load(&checkpoint).expect("fits");
    assert_eq!(report.reinitialised, ["classifier.1.weight", "classifier.1.bias"]);
    assert_eq!(report.num_matched, 260);
}
