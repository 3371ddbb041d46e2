use super::*;
use pipe_weights::{Dtype, Tensor};
use std::collections::BTreeMap;

/// The published lists of names with their networks, as in the tests of `pipe-models`: file (or files), project, classes, clip, parameters.
const WEIGHT_KEYS: &str = include_str!("../../../../crates/models/tests/weight_keys.txt");

/// Lists of other weights: their files, and the type of the network that is recognised.
const OTHERS: [(&str, &str); 3] = [
    ("huggingface-videomae_base_pretrain.txt", "VisionTransformer"),
    ("original-videomae_base_pretrain.txt", "VisionTransformer"),
    ("torchvision-inception_v3.txt", "InceptionV3"),
];

/// Lists of no network of the zoo, or of a part of a network.
const NOT_RECOGNISED: [&str; 3] =
    ["torchvision-vit_b_16.txt", "original-vjepa2_vitl_encoder.txt", "original-vjepa2_vitl_attentive_probe.txt"];

fn tensor(shape: &[usize]) -> Tensor {
    // Networks are recognised without values.
    Tensor { shape: shape.into(), dtype: Dtype::F32, bytes: Vec::new() }
}

/// Parses lines such as `conv1.weight (64, 3, 7, 7)`.
fn parse(text: &str) -> BTreeMap<String, Tensor> {
    let line = |line: &str| {
        let (name, shape) = line.split_once(' ').expect("a name and a shape");
        let sizes = shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|size| !size.is_empty());
        let sizes: Vec<usize> = sizes.map(|size| size.parse().expect("a number")).collect();
        (name.to_owned(), tensor(&sizes))
    };
    text.lines().map(line).collect()
}

#[test]
fn every_published_list_of_names_is_recognised() {
    let Some(folder) = pipe_testkit::shared("reference/weight-keys") else { return };
    let known = published_names().expect("networks");
    let mut faults = Vec::new();
    let mut check = |files: &str, params: &Value, num_classes: Option<usize>| {
        let text = |file: &str| fs_err::read_to_string(folder.join(file)).expect("a list");
        let tensors = files.split('+').flat_map(|file| parse(&text(file))).collect();
        let found = closest(&known, &Checkpoint { tensors, ..Checkpoint::default() });
        let fits = |candidate: &Candidate| {
            let Candidate { choice, faults, .. } = candidate;
            let found = serde_json::to_value(&choice.backbone).expect("JSON");
            let is_network =
                params.as_object().expect("parameters").iter().all(|(key, value)| found.get(key) == Some(value));
            candidate.is_complete() && is_network && candidate.num_classes == Ok(num_classes) && faults.is_empty()
        };
        if !found.iter().any(fits) {
            let found = found.iter().map(|found| format!("{} {:.4}", found.choice.parameters(), found.share));
            faults.push(format!("{files}: {}", found.collect::<Vec<_>>().join(" or ")));
        }
    };
    let mut listed = Vec::new();
    for line in WEIGHT_KEYS.lines() {
        let [files, _, num_classes, _, params] = line.splitn(5, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        check(files, &serde_json::from_str(params).expect("parameters"), num_classes.parse().ok());
        listed.extend(files.split('+'));
    }
    for (file, type_of) in OTHERS {
        let num_classes = (type_of == "InceptionV3").then_some(1000);
        check(file, &serde_json::json!({ "type": type_of }), num_classes);
        listed.push(file);
    }
    listed.extend(NOT_RECOGNISED);
    for entry in fs_err::read_dir(&folder).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        let is_list = std::path::Path::new(&name).extension().is_some_and(|extension| extension == "txt");
        assert!(!is_list || listed.contains(&name.as_str()), "{name} is in no list of this test");
    }
    assert!(faults.is_empty(), "not recognised:\n{}", faults.join("\n"));
}

/// Returns the network of tensors that are those of a ResNet-18, apart from some.
fn resnet18(changed: &[(&str, Tensor)]) -> Candidate {
    let choice = Choice::named("tsn_resnet18", &[]).expect("a network");
    let graph = choice.graph().expect("a graph");
    let known = Known::new("tsn_resnet18", &choice, &graph, NameMap::same(Project::Torchvision)).expect("names");
    let tensors = graph.params.iter().map(|param| (format!("module.{}", param.name), tensor(&param.shape)));
    let mut checkpoint = Checkpoint { tensors: tensors.collect(), ..Checkpoint::default() };
    for (name, tensor) in changed {
        checkpoint.tensors.insert(format!("module.{name}"), tensor.clone());
    }
    closest(&[known], &checkpoint).pop().expect("a network")
}

#[test]
fn all_tensors_of_the_classifier_have_the_same_number_of_rows() {
    let check = |weight: usize, bias: usize, expect: Result<usize, &str>| {
        let found = resnet18(&[("fc.weight", tensor(&[weight, 512])), ("fc.bias", tensor(&[bias]))]);
        assert!(found.is_complete());
        match expect {
            Ok(rows) => assert_eq!((found.num_classes, found.faults), (Ok(Some(rows)), vec![])),
            Err(fault) => {
                assert_eq!((found.num_classes, found.faults), (Err(fault.to_owned()), vec![fault.to_owned()]));
            }
        }
    };
    check(400, 400, Ok(400));
    check(1, 1, Ok(1));
    let disagree = "the tensors of the classifier disagree about the number of classes: fc.weight has 400 rows, fc.bias has 1,000 rows";
    check(400, 1000, Err(disagree));
    check(0, 0, Err("the classifier has no classes: its tensors have 0 rows"));
}

#[test]
fn integers_are_no_weights() {
    let integers = Tensor { dtype: Dtype::I8, ..tensor(&[64, 3, 7, 7]) };
    let counter = Tensor { dtype: Dtype::I64, ..tensor(&[]) };
    let found = resnet18(&[("conv1.weight", integers), ("bn1.num_batches_tracked", counter.clone())]);
    assert_eq!(found.faults, ["weights are integers, whose scales are unknown: conv1.weight (i8)"]);
    assert!(resnet18(&[("bn1.num_batches_tracked", counter)]).faults.is_empty());
}

/// Networks that are not published have no name, so that their parameters are named.
#[test]
fn the_network_of_a_project_is_named_by_its_parameters() {
    let i3d = Choice::named("i3d_r50", &[]).expect("a network");
    let conflict = |parameter| Conflict { parameter, found: "2".to_owned(), expected: "1".to_owned() };
    let theirs = with_expected(&i3d, &["conv1_stride_t", "pool1_stride_t"].map(conflict)).expect("parameters");
    assert_eq!(theirs.arguments(), "ResNet3d --set conv1_stride_t=1 --set pool1_stride_t=1");
}
