//! Checkpoints of other projects: which names are recognised, what is refused, and inflation of 2-D weights.

use pipe_graph::{ClipShape, Graph};
use pipe_models::{
    Imported, LoadError, LoadOptions, NameMap, StateDict, Theirs, build, flat_layout, load, name_maps,
    pretraining_maps, zoo,
};
use pipe_schemas::networks::{Backbone, ModelParams, Project};
use pipe_weights::{Checkpoint, HfConfig, Tensor};
use serde_json::{Value, json};

fn backbone(params: Value) -> Backbone {
    serde_json::from_value(params).expect("parameters of a network")
}

fn graph(backbone: &Backbone) -> Graph {
    let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
    build(&params, ClipShape { channels: 3, frames: 8, height: 64, width: 64 }, 7).expect("the network fits the clip")
}

/// Returns the state dict of a project; `value` gives the values by the project's name and shape.
fn state_dict(map: &NameMap, graph: &Graph, value: impl Fn(usize) -> f32) -> StateDict {
    let layout = map.layout(graph).expect("all names");
    let tensor = |tensor: &pipe_models::Theirs| {
        let values: Vec<f32> = (0..tensor.shape.iter().product()).map(&value).collect();
        Some((tensor.spellings.first()?.clone(), Tensor::from_f32(tensor.shape.clone(), &values)))
    };
    layout.theirs().filter_map(tensor).chain(layout.derived.iter().cloned()).collect()
}

fn map_of(backbone: &Backbone, project: Project) -> NameMap {
    name_maps(backbone).into_iter().find(|map| map.project == project).expect("the network has names of the project")
}

fn read(backbone: &Backbone, tensors: StateDict, options: &LoadOptions) -> Result<Imported, LoadError> {
    load(backbone, &graph(backbone), Checkpoint { tensors, ..Checkpoint::default() }, options)
}

/// Loads the weights of a project, and checks whether they are recognised, or parts of the error and of its help.
#[track_caller]
fn check(params: Value, weights: (Value, Project), map: Option<Project>, expect: Result<Project, (&str, &str)>) {
    let (ours, theirs) = (backbone(params), backbone(weights.0));
    let tensors = state_dict(&map_of(&theirs, weights.1), &graph(&theirs), |index| index as f32);
    let found = read(&ours, tensors, &LoadOptions { map, ..LoadOptions::default() });
    match (found, expect) {
        (Ok(imported), Ok(project)) => assert_eq!(imported.report.map, project),
        (Err(error), Err((text, help))) => {
            assert!(error.to_string().contains(text), "{error}");
            assert!(
                error.help("model.backbone", "load_from").contains(help),
                "{}",
                error.help("model.backbone", "load_from")
            );
        }
        (found, expect) => panic!("{:?}, expected {expect:?}", found.map(|imported| imported.report.map)),
    }
}

#[test]
fn every_project_is_recognised() {
    for small in zoo().iter().flat_map(|entry| &entry.small) {
        let params = ModelParams { backbone: small.backbone.clone(), ..ModelParams::default() };
        let graph = build(&params, small.clip, 7).expect("the network fits the clip");
        for map in name_maps(&small.backbone).iter().filter(|map| map.conflicts.is_empty()) {
            let what = format!("{} of {}", graph.name, map.project);
            for prefix in ["", "my_net."] {
                let tensors = state_dict(map, &graph, |_| 1.0);
                let tensors = tensors.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect();
                let checkpoint = Checkpoint { tensors, ..Checkpoint::default() };
                let loaded = load(&small.backbone, &graph, checkpoint, &LoadOptions::default());
                let report = loaded.unwrap_or_else(|error| panic!("{what}, {prefix}: {error}")).report;
                assert_eq!(report.map, map.project, "{what}");
                assert_eq!((report.num_reinitialised, report.num_unused), (0, 0), "{what}");
            }
        }
    }
}

/// The encoder fits, the classifier and the normalisation before it are new, and the decoder is reported as unused.
#[test]
fn fine_tuning_begins_with_the_encoder_of_a_pretraining() {
    let vit = backbone(json!({
        "type": "VisionTransformer", "img_size": 64, "embed_dims": 24, "depth": 2, "num_heads": 2, "num_frames": 8,
    }));
    let decoder = |norm: &str, block: &str| {
        ["mask_token", "encoder_to_decoder.weight", "decoder.norm.bias", norm, block].map(str::to_owned)
    };
    let unused_of = |project| match project {
        Project::Original => decoder("encoder.norm.weight", "decoder.blocks.0.attn.qkv.weight"),
        _ => decoder("videomae.layernorm.weight", "decoder.decoder_layers.0.output.dense.bias"),
    };
    let maps = pretraining_maps(&vit);
    assert_eq!(maps.iter().map(|map| map.project).collect::<Vec<_>>(), [Project::Original, Project::Huggingface]);
    for map in maps {
        let mut tensors = state_dict(&map, &graph(&vit), |index| index as f32);
        assert!(!tensors.keys().any(|name| name.contains("fc_norm") || name.contains("head")), "{:?}", tensors.keys());
        let mut unused = unused_of(map.project).to_vec();
        unused.sort();
        tensors.extend(unused.iter().map(|name| (name.clone(), Tensor::from_f32(vec![3], &[1.0; 3]))));
        for asked in [None, Some(map.project)] {
            let options = LoadOptions { map: asked, ..LoadOptions::default() };
            let Imported { tensors: ours, report, .. } = read(&vit, tensors.clone(), &options).expect("fits");
            assert_eq!((report.map, &report.unused), (map.project, &unused));
            let new =
                ["backbone.fc_norm.weight", "backbone.fc_norm.bias", "cls_head.fc_cls.weight", "cls_head.fc_cls.bias"];
            assert_eq!(report.reinitialised, new, "{}", map.project);
            assert!(new.iter().all(|name| !ours.contains_key(*name)));
            assert_eq!(report.made, ["backbone.pos_embed"]);
        }
        // Names that a pretraining does not have are not passed over.
        tensors.insert("decoders.0.weight".to_owned(), Tensor::from_f32(vec![3], &[1.0; 3]));
        let error = read(&vit, tensors, &LoadOptions::default()).expect_err("an unknown tensor").to_string();
        assert!(error.contains("decoders.0.weight"), "{error}");
    }
}

fn i3d(stride: u32) -> Value {
    json!({"type": "ResNet3d", "base_channels": 8, "conv1_stride_t": stride, "pool1_stride_t": stride})
}

#[test]
fn strides_that_tensors_do_not_show_come_from_the_project() {
    let (mm, ptv, sf) = (Project::Mmaction2, Project::Pytorchvideo, Project::Pyslowfast);
    check(i3d(2), (i3d(2), mm), None, Ok(mm));
    check(i3d(1), (i3d(1), ptv), None, Ok(ptv));
    check(i3d(1), (i3d(1), sf), None, Ok(sf));
    let text = "the names are those of pytorchvideo, whose network has `conv1_stride_t: 1` where the parameters have 2 and \
                `pool1_stride_t: 1` where the parameters have 2";
    let help = "set `model.backbone.conv1_stride_t: 1` and `model.backbone.pool1_stride_t: 1`";
    check(i3d(2), (i3d(1), ptv), None, Err((text, help)));
    check(i3d(2), (i3d(1), ptv), Some(ptv), Err((text, help)));
    // The names of MMAction2 are also those that `pipe` writes.
    let help = "set `model.backbone.conv1_stride_t: 2` and `model.backbone.pool1_stride_t: 2`; or, if the weights were trained with \
                the parameters as they are, `load_from.map: pipe`";
    check(
        i3d(1),
        (i3d(2), mm),
        None,
        Err(("the names are those of mmaction2, whose network has `conv1_stride_t: 2`", help)),
    );
    check(i3d(1), (i3d(2), mm), Some(Project::Pipe), Ok(Project::Pipe));
}

#[test]
fn another_form_of_a_network_is_named() {
    let slowfast = |form: &str| json!({"type": "ResNet3dSlowFast", "base_channels": 16, "resample_rate": 4, "speed_ratio": 4, "form": form});
    let text =
        "the names are those of pyslowfast, whose network has `form: pytorchvideo` where the parameters have mmaction2";
    let help = "set `model.backbone.form: pytorchvideo`";
    check(slowfast("mmaction2"), (slowfast("pytorchvideo"), Project::Pyslowfast), None, Err((text, help)));
}

#[test]
fn the_map_can_be_set() {
    let resnet = || json!({"type": "ResNet", "depth": 18, "base_channels": 8});
    let (tv, mm) = (Project::Torchvision, Project::Mmaction2);
    check(resnet(), (resnet(), mm), Some(mm), Ok(mm));
    check(resnet(), (resnet(), tv), Some(tv), Ok(tv));
    let text = "0 tensors match, ";
    check(
        resnet(),
        (resnet(), mm),
        Some(tv),
        Err((text, "check that `model.backbone` is the network of these weights")),
    );
    check(resnet(), (resnet(), mm), Some(tv), Err(("they were compared with the names of torchvision", "")));
    let text = "there are no names of huggingface for this network, only of torchvision or mmaction2";
    let help = "set `load_from.map` to torchvision or mmaction2, or leave it out";
    check(resnet(), (resnet(), mm), Some(Project::Huggingface), Err((text, help)));
}

#[test]
fn weights_of_another_network_are_refused_by_name() {
    let resnet = |depth: u32| json!({"type": "ResNet", "depth": depth, "base_channels": 8});
    let text = "backbone.layer1.0.conv1.conv.weight is [8, 8, 3, 3] in the checkpoint, [8, 8, 1, 1] in the network";
    check(
        resnet(50),
        (resnet(18), Project::Mmaction2),
        None,
        Err((text, "check that `model.backbone` is the network")),
    );
    let slowonly = json!({"type": "ResNet3dSlowOnly", "base_channels": 8});
    check(resnet(50), (slowonly, Project::Pytorchvideo), None, Err(("blocks.0.conv.weight", "")));
}

#[test]
fn values_that_are_not_finite_are_refused() {
    let params = backbone(json!({"type": "ResNet", "depth": 18, "base_channels": 8}));
    let map = map_of(&params, Project::Mmaction2);
    let mut tensors = state_dict(&map, &graph(&params), |_| 1.0);
    tensors.insert(
        "backbone.conv1.bn.bias".into(),
        Tensor::from_f32(vec![8], &[f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    );
    let error = read(&params, tensors, &LoadOptions::default()).expect_err("NaN").to_string();
    assert_eq!(error, "NaN or infinity in bn1.bias (1 of 8 values)");
}

#[test]
fn a_configuration_beside_the_weights_must_agree() {
    let params = backbone(json!({"type": "ResNet", "depth": 18, "base_channels": 8}));
    let tensors = state_dict(&map_of(&params, Project::Torchvision), &graph(&params), |_| 1.0);
    let options = |text: &str| {
        let config = Some(HfConfig::parse(text.as_bytes()).expect("valid"));
        LoadOptions { config, ..LoadOptions::default() }
    };
    read(&params, tensors.clone(), &options(r#"{"depth": 18, "hidden_size": 4}"#)).expect("equal");
    let error = read(&params, tensors, &options(r#"{"depth": 50}"#)).expect_err("another depth");
    let text = "the weights belong to another network: `depth` is 50 in config.json, but `depth` of the network is 18";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.help("model.backbone", "load_from"), "set `model.backbone.depth: 50`");
}

/// Inflates formula weights of a 2-D ResNet-50.
fn inflate(params: &Value, project: Project) -> Result<Imported, LoadError> {
    let flat = backbone(json!({"type": "ResNet", "depth": 50, "base_channels": 8}));
    let tensors = state_dict(&map_of(&flat, project), &graph(&flat), |index| index as f32 + 1.0);
    read(&backbone(params.clone()), tensors, &LoadOptions { inflate: true, ..LoadOptions::default() })
}

#[test]
fn weights_of_a_2d_network_are_inflated() {
    let slowonly = json!({"type": "ResNet3dSlowOnly", "base_channels": 8});
    for project in [Project::Torchvision, Project::Mmaction2] {
        let Imported { tensors, report, .. } = inflate(&slowonly, project).expect("inflated");
        assert_eq!((report.map, report.inflated_from.as_deref()), (project, Some("tsn_resnet50")));
        assert_eq!(report.reinitialised, ["cls_head.fc_cls.weight", "cls_head.fc_cls.bias"]);
        assert_eq!(report.num_unused, 2, "the classifier of images: {:?}", report.unused);
        // 1 of 3 taps, each a third.
        let conv = &tensors["backbone.layer3.0.conv1.conv.weight"];
        assert_eq!(conv.shape, [32, 64, 3, 1, 1]);
        assert_eq!(conv.to_f32()[..6], [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0]);
        assert_eq!(tensors["backbone.layer4.0.downsample.bn.running_var"].to_f32()[..2], [1.0, 2.0]);
    }
}

#[test]
fn a_2d_checkpoint_may_have_no_classifier() {
    let flat = backbone(json!({"type": "ResNet", "depth": 50, "base_channels": 8}));
    let mut tensors = state_dict(&map_of(&flat, Project::Torchvision), &graph(&flat), |_| 1.0);
    tensors.retain(|name, _| !name.starts_with("fc."));
    let slowonly = backbone(json!({"type": "ResNet3dSlowOnly", "base_channels": 8}));
    let options = LoadOptions { inflate: true, ..LoadOptions::default() };
    let report = read(&slowonly, tensors, &options).expect("inflated").report;
    assert_eq!(report.unused, [""; 0]);
}

#[test]
fn only_the_slow_pathway_of_slowfast_is_inflated() {
    let slowfast = json!({"type": "ResNet3dSlowFast", "base_channels": 8, "resample_rate": 4, "speed_ratio": 4});
    let Imported { tensors, report, .. } = inflate(&slowfast, Project::Torchvision).expect("inflated");
    let is_new = |name: &String| name.contains("fast_path") || name.contains("lateral") || name.starts_with("cls_head");
    assert!(report.reinitialised.iter().all(is_new) && !report.matched.iter().any(is_new), "{report:?}");
    assert!(report.reinitialised.iter().any(|name| name == "backbone.slow_path.layer3_lateral.conv.weight"));
    // 8 channels of the stem and 2 of the lateral, which are zeros.
    let conv = &tensors["backbone.slow_path.layer1.0.conv1.conv.weight"];
    assert_eq!(conv.shape, [8, 10, 1, 1, 1]);
    assert_eq!(conv.to_f32()[..12], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.0, 0.0, 9.0, 10.0]);
}

/// Names of torchvision's `swin_t` and of the authors' repository.
#[test]
fn video_swin_is_inflated_from_swin() {
    let params = backbone(json!({
        "type": "SwinTransformer3D", "embed_dims": 8, "depths": [2, 1, 1, 1], "num_heads": [1, 2, 2, 4], "window_size": [2, 3, 3],
    }));
    let graph = graph(&params);
    let layout = flat_layout(&params, &graph).expect("inflated");
    let values = |tensor: &Theirs| {
        let values: Vec<f32> = (0..tensor.shape.iter().product::<usize>()).map(|index| index as f32 + 2.0).collect();
        (tensor.spellings[0].clone(), Tensor::from_f32(tensor.shape.clone(), &values))
    };
    let torchvision: StateDict = layout.theirs().map(values).collect();
    let of_authors = |name: &str| {
        let renamed = name
            .replace("features.0.0", "patch_embed.proj")
            .replace("features.0.2", "patch_embed.norm")
            .replace("mlp.0", "mlp.fc1")
            .replace("mlp.3", "mlp.fc2");
        (0..4).fold(renamed, |name, stage| {
            let name = name.replace(&format!("features.{}.", 2 * stage + 1), &format!("layers.{stage}.blocks."));
            name.replace(&format!("features.{}.", 2 * stage + 2), &format!("layers.{stage}.downsample."))
        })
    };
    let mut original: StateDict = torchvision.iter().map(|(name, tensor)| (of_authors(name), tensor.clone())).collect();
    original.insert("layers.0.blocks.1.attn_mask".into(), Tensor::from_f32(vec![1], &[0.0]));
    for (project, tensors, num_unused) in [(Project::Torchvision, torchvision, 2), (Project::Original, original, 3)] {
        for name in
            ["patch_embed.proj.weight", "layers.2.downsample.reduction.weight", "layers.3.blocks.0.attn.qkv.bias"]
        {
            assert!(project == Project::Torchvision || tensors.contains_key(name), "{name} of {:?}", tensors.keys());
        }
        let options = LoadOptions { inflate: true, ..LoadOptions::default() };
        let checkpoint = Checkpoint { tensors, ..Checkpoint::default() };
        let Imported { tensors, report, .. } = load(&params, &graph, checkpoint, &options).expect("inflated");
        assert_eq!(
            (report.map, report.inflated_from.as_deref(), report.num_unused),
            (project, Some("swin"), num_unused)
        );
        assert_eq!(report.reinitialised, ["head.weight", "head.bias"]);
        let conv = &tensors["patch_embed.proj.weight"];
        assert_eq!((conv.shape.as_slice(), conv.to_f32()[0]), (&[8, 3, 2, 4, 4][..], 1.0), "half of 2");
        // The rows of 5 x 5 offsets are repeated for 3 distances in time.
        let table = &tensors["features.0.1.attn.relative_position_bias_table"];
        assert_eq!(table.shape, [75, 1]);
        let values = table.to_f32();
        assert_eq!([1, 26, 51].map(|row| values[row].to_string()), ["3", "3", "3"]);
    }
}

#[test]
fn networks_that_are_not_inflated_are_refused() {
    let error = inflate(&json!({"type": "R3D"}), Project::Torchvision).expect_err("not inflated");
    assert_eq!(error.to_string(), "r3d_18 is not inflated from a 2-D network");
    assert_eq!(error.help("model.backbone", "load_from"), "leave out `load_from.inflate`");
    let wide = json!({"type": "ResNet3dSlowOnly", "base_channels": 16});
    let error = inflate(&wide, Project::Torchvision).expect_err("another width").to_string();
    assert!(error.contains("conv1.weight is [8, 3, 7, 7] in the checkpoint, [16, 3, 7, 7] in the network"), "{error}");
}
