//! Every network of the zoo with every method: heat maps, or an error that says why not.

use pipe_graph::{ClipShape, Graph};
use pipe_learn::{
    CamMethod, ExplainError, ExplainMethod, Explanation, HeadFusion, Network, default_layer, pin_threads,
};
use pipe_models::{build, zoo};
use pipe_schemas::networks::{Backbone, ModelParams};
use tch::{Device, Kind, Tensor};

const CAMS: [CamMethod; 3] = [CamMethod::GradCam, CamMethod::GradCamPlusPlus, CamMethod::GradCamMmaction2];

fn networks() -> impl Iterator<Item = (&'static str, Graph, ClipShape)> {
    zoo().into_iter().flat_map(|entry| {
        let of = move |backbone: Backbone, clip| {
            let params = ModelParams { backbone, ..ModelParams::default() };
            (entry.type_name, build(&params, clip, 3).expect("it fits"), clip)
        };
        entry.small.into_iter().map(move |small| of(small.backbone, small.clip)).collect::<Vec<_>>()
    })
}

/// Makes a heat map of noise, and checks its size and range.
fn check(graph: &Graph, clip: ClipShape, explanation: &Explanation) {
    pin_threads();
    let network = Network::new(graph.clone(), 1);
    let ClipShape { channels, frames, height, width } = clip;
    let size = [1, channels, frames, height, width].map(|size| size as i64);
    tch::manual_seed(3);
    let clip = Tensor::randn(size, (Kind::Float, Device::Cpu));
    let found =
        explanation.heat_map(&network, &clip, Some(2)).unwrap_or_else(|error| panic!("{}: {error}", graph.name));
    assert_eq!((found.values.len(), found.logits.len()), (frames * height * width, 3), "{}", graph.name);
    let most = found.values.iter().fold(0.0_f32, |most, value| most.max(*value));
    assert!(found.values.iter().all(|value| (0.0..=1.0).contains(value)), "{}", graph.name);
    // Maps of equal values are zeros.
    assert!(most == 0.0 || (most - 1.0).abs() < 1e-6, "{}: {most}", graph.name);
    let logits: Vec<f32> = Vec::try_from(network.forward(&clip, None).expect("logits").view(-1)).expect("floats");
    assert_eq!(logits, found.logits, "{}", graph.name);
}

#[test]
fn networks_are_explained_with_the_methods_that_they_allow() {
    for (family, graph, clip) in networks() {
        let cams = CAMS.map(|cam| Explanation::new(&graph, ExplainMethod::Cam(cam), None));
        let fusions = [HeadFusion::Mean, HeadFusion::Max, HeadFusion::Min];
        let rollouts = fusions.map(|fusion| Explanation::new(&graph, ExplainMethod::AttentionRollout(fusion), None));
        let is_vit = ["VisionTransformer", "TimeSformer", "ViViT", "VJEPA2"].contains(&family);
        let has_attention = is_vit || ["MViT", "SwinTransformer3D"].contains(&family);
        assert_eq!(cams.iter().all(Result::is_ok), !is_vit && family != "MViT", "{family}");
        assert_eq!(default_layer(&graph).is_some(), !is_vit && family != "MViT", "{family}");
        assert_eq!(rollouts.iter().all(Result::is_ok), is_vit, "{family}: {:?}", rollouts[0]);
        match &rollouts[0] {
            Err(ExplainError::NoAttention { .. }) => assert!(!has_attention, "{family}"),
            Err(ExplainError::TokensMove { .. }) => assert!(has_attention && !is_vit, "{family}"),
            _ => assert!(is_vit, "{family}"),
        }
        for explanation in cams.iter().chain(&rollouts).flatten() {
            check(&graph, clip, explanation);
        }
    }
}

#[test]
fn the_patches_of_a_transformer_are_shown_if_they_are_named() {
    for (family, graph, clip) in networks().filter(|(family, ..)| ["MViT", "VisionTransformer"].contains(family)) {
        let method = ExplainMethod::Cam(CamMethod::GradCam);
        let error = Explanation::new(&graph, method, None).expect_err(family).to_string();
        let (_, layer) = error.split_once("is `").unwrap_or_else(|| panic!("{error}"));
        let layer = layer.trim_end_matches("`)");
        let explanation = Explanation::new(&graph, method, Some(layer)).expect("a feature map");
        assert_eq!(explanation.layer(), layer);
        check(&graph, clip, &explanation);
    }
}

#[test]
fn the_gradient_of_a_class_decides_what_is_marked() {
    let (_, graph, clip) = networks().find(|(family, ..)| *family == "ResNet").expect("in the zoo");
    let network = Network::new(graph.clone(), 5);
    let layer = Explanation::new(&graph, ExplainMethod::Cam(CamMethod::GradCam), None).expect("a layer");
    let ClipShape { channels, frames, height, width } = clip;
    let size = [1, channels, frames, height, width].map(|size| size as i64);
    tch::manual_seed(4);
    let noise = Tensor::randn(size, (Kind::Float, Device::Cpu));
    let maps = [0, 1].map(|class| layer.heat_map(&network, &noise, Some(class)).expect("a map").values);
    assert_ne!(maps[0], maps[1]);
    let largest = layer.heat_map(&network, &noise, None).expect("a map");
    let predicted = (0..3).max_by(|one, two| largest.logits[*one].total_cmp(&largest.logits[*two])).expect("classes");
    let of_predicted = layer.heat_map(&network, &noise, Some(predicted)).expect("a map");
    assert_eq!(largest.values, of_predicted.values);
}
