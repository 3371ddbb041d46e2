//! Reads the published weights of MobileNetV2, if they are on this machine.

use pipe_testkit::shared;
use pipe_weights::Checkpoint;

#[test]
fn mobilenet_v2_has_the_published_tensors() {
    let Some(path) = shared("data/weights/mobilenet_v2-b0353104.pth") else { return };
    let Some(names) = shared("reference/weight-keys/torchvision-mobilenet_v2.txt") else { return };
    let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
    // Lines such as `features.0.0.weight (32, 3, 3, 3)`.
    let mut expect: Vec<String> = fs_err::read_to_string(names).expect("names").lines().map(str::to_owned).collect();
    expect.sort();
    let line = |(name, tensor): (&String, &pipe_weights::Tensor)| {
        let dims: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
        let comma = if dims.len() == 1 { "," } else { "" };
        format!("{name} ({}{comma})", dims.join(", "))
    };
    let mut found: Vec<String> = checkpoint.tensors.iter().map(line).collect();
    found.sort();
    assert_eq!(found, expect);
    let weight = checkpoint.tensors["features.0.0.weight"].to_f32();
    assert!(weight.iter().all(|value| value.is_finite() && value.abs() < 10.0));
    assert!(checkpoint.tensors["features.0.1.running_var"].to_f32().iter().all(|&variance| variance > 0.0));
}
