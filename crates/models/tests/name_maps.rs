//! The names of other projects: each map of each network of the zoo in both directions, and against the published lists of names.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use pipe_graph::{ClipShape, Graph};
use pipe_models::{
    Imported, Layout, NameMap, StateDict, Theirs, build, export, import, name_maps, pretraining_maps, zoo,
};
use pipe_schemas::networks::{Backbone, ModelParams, Project};
use pipe_testkit::shared;
use pipe_weights::{Checkpoint, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// A line for each published list of names: file (or files, with `+` between them), project, classes, clip (`CxTxHxW`) and parameters of the network.
const WEIGHT_KEYS: &str = include_str!("weight_keys.txt");

fn graph(backbone: &Backbone, clip: ClipShape, num_classes: usize) -> Graph {
    let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
    build(&params, clip, num_classes).expect("the network fits the clip")
}

/// Returns the state dict of a project; all elements of all tensors differ.
fn state_dict(layout: &Layout) -> StateDict {
    let mut next = 0.0_f32;
    let mut tensor = |tensor: &Theirs| {
        let len: usize = tensor.shape.iter().product();
        let values: Vec<f32> = (0..len).map(|index| next + index as f32).collect();
        next += len as f32;
        Some((tensor.spellings.first()?.clone(), Tensor::from_f32(tensor.shape.clone(), &values)))
    };
    let stored: StateDict = layout.theirs().filter_map(&mut tensor).collect();
    assert!(next < 16_777_216.0, "larger numbers have no exact 32-bit float");
    stored.into_iter().chain(layout.derived.iter().cloned()).collect()
}

fn imported(map: &NameMap, layout: &Layout, theirs: &StateDict) -> Imported {
    import(map, layout, Checkpoint { tensors: theirs.clone(), ..Checkpoint::default() }).expect("fits")
}

/// Maps of all small networks, with the network.
fn maps() -> Vec<(Graph, NameMap)> {
    let small = zoo().into_iter().flat_map(|entry| entry.small);
    let maps = |backbone: &Backbone| name_maps(backbone);
    small
        .flat_map(|small| {
            maps(&small.backbone).into_iter().map(move |map| (graph(&small.backbone, small.clip, 7), map))
        })
        .collect()
}

#[test]
fn state_dicts_are_the_same_after_a_round_trip() {
    for (graph, map) in maps() {
        let what = format!("{} of {}", graph.name, map.project);
        let layout = map.layout(&graph).unwrap_or_else(|error| panic!("{what}: {error}"));
        let theirs = state_dict(&layout);
        let Imported { tensors: ours, report, .. } = imported(&map, &layout, &theirs);
        let exported = export(&map, &layout, &ours).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(exported.tensors, theirs, "{what}: theirs, ours, theirs");
        assert_eq!(imported(&map, &layout, &exported.tensors).tensors, ours, "{what}: ours, theirs, ours");

        let names: BTreeSet<&String> = ours.keys().collect();
        let expect: BTreeSet<&String> = graph.params.iter().map(|param| &param.name).collect();
        let initial: BTreeSet<&String> = report.made.iter().filter(|name| !ours.contains_key(*name)).collect();
        assert_eq!(names.union(&initial).copied().collect::<BTreeSet<_>>(), expect, "{what}");
        assert_eq!(report.num_matched + report.num_made, graph.params.len(), "{what}");
        assert_eq!((report.num_reinitialised, report.num_unused), (0, 0), "{what}");
        assert_eq!(exported.left_out, report.made, "{what}");
        for param in graph.params.iter().filter(|param| ours.contains_key(&param.name)) {
            assert_eq!(ours[&param.name].shape, param.shape, "{what}: {}", param.name);
        }
    }
}

#[test]
fn the_classifier_of_other_classes_is_left_out_in_every_map() {
    for (graph, map) in maps() {
        let what = format!("{} of {}", graph.name, map.project);
        let layout = map.layout(&graph).expect("all names");
        let mut theirs = state_dict(&layout);
        let head: Vec<&Theirs> = layout.links.iter().filter(|link| link.head).flat_map(|link| &link.theirs).collect();
        for tensor in &head {
            let shape: Vec<usize> = std::iter::once(11).chain(tensor.shape[1..].iter().copied()).collect();
            let values = vec![1.0; shape.iter().product()];
            theirs.insert(tensor.spellings[0].clone(), Tensor::from_f32(shape, &values));
        }
        let Imported { tensors, report, .. } = imported(&map, &layout, &theirs);
        let expect: Vec<&String> = graph.head.iter().map(|id| &graph.params[id.0].name).collect();
        assert_eq!(report.reinitialised.iter().collect::<BTreeSet<_>>(), expect.iter().copied().collect(), "{what}");
        assert!(expect.iter().all(|name| !tensors.contains_key(*name)), "{what}");
        let num_values = report.num_values_matched + report.num_values_made + report.num_values_reinitialised;
        assert_eq!(num_values, graph.params.iter().map(|param| param.len() as u64).sum::<u64>(), "{what}");
    }
}

#[test]
fn a_missing_tensor_is_an_error_with_the_name_of_the_project() {
    for (graph, map) in maps() {
        let layout = map.layout(&graph).expect("all names");
        let link = layout.links.iter().find(|link| !link.head && !link.theirs[0].optional).expect("a tensor");
        let mut theirs = state_dict(&layout);
        let name = link.theirs[0].spellings[0].clone();
        let tensor = theirs.remove(&name).expect("stored");
        theirs.insert(format!("{name}_"), tensor);
        let checkpoint = Checkpoint { tensors: theirs, ..Checkpoint::default() };
        let error = import(&map, &layout, checkpoint).expect_err("a tensor is missing").to_string();
        let expect = format!("1 not in the checkpoint: {name} (the checkpoint has {name}_)");
        assert!(error.contains(&expect), "{} of {}: {error}", graph.name, map.project);
    }
}

/// Parses lines such as `conv1.weight (64, 3, 7, 7)`.
fn weight_keys(text: &str) -> BTreeMap<String, Vec<usize>> {
    let parse = |line: &str| {
        let (name, shape) = line.split_once(' ').expect("a line has a name and a shape");
        let sizes = shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|size| !size.is_empty());
        (name.to_owned(), sizes.map(|size| size.parse().expect("a size is a number")).collect())
    };
    text.lines().map(parse).collect()
}

/// Compares the names of a map with a list of names and shapes. Each name of the list is a tensor of the map, or one that it ignores.
fn check_keys(file: &str, mut keys: BTreeMap<String, Vec<usize>>, map: &NameMap, graph: &Graph) {
    let layout = map.layout(graph).unwrap_or_else(|error| panic!("{file}: {error}"));
    for tensor in layout.theirs() {
        match tensor.spellings.iter().find_map(|name| keys.remove(name)) {
            Some(shape) => assert_eq!(shape, tensor.shape, "{file}: {}", tensor.spellings[0]),
            None => assert!(tensor.optional, "{file} does not have {:?}", tensor.spellings),
        }
    }
    for (name, tensor) in &layout.derived {
        // Some lists have parameters only.
        if let Some(shape) = keys.remove(name) {
            assert_eq!(shape, tensor.shape, "{file}: {name}");
        }
    }
    keys.retain(|name, _| !map.ignores(name));
    assert!(keys.is_empty(), "{file} has other names: {keys:?}");
}

#[test]
fn maps_have_the_names_of_published_checkpoints() {
    let Some(folder) = shared("reference/weight-keys") else { return };
    for line in WEIGHT_KEYS.lines() {
        let mut words = line.splitn(5, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("{line} has five parts"));
        let (file, project, num_classes, clip, params) = (word(), word(), word(), word(), word());
        let backbone: Backbone = serde_json::from_str(params).unwrap_or_else(|error| panic!("{file}: {error}"));
        let sizes: Vec<usize> = clip.split('x').map(|size| size.parse().expect("a size")).collect();
        let [channels, frames, height, width] = sizes[..] else { panic!("{clip}") };
        let graph =
            graph(&backbone, ClipShape { channels, frames, height, width }, num_classes.parse().expect("a number"));
        let project = Project::ALL.into_iter().find(|known| known.name() == project).expect("a project");
        let mut maps = name_maps(&backbone).into_iter();
        let map = maps.find(|map| map.project == project).unwrap_or_else(|| panic!("{file}: no map of {project}"));
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).expect("read");
        let keys = file.split('+').flat_map(|file| weight_keys(&read(file))).collect();
        check_keys(file, keys, &map, &graph);
    }
}

#[test]
fn maps_of_a_pretraining_have_the_names_of_published_checkpoints() {
    let Some(folder) = shared("reference/weight-keys") else { return };
    let backbone: Backbone = serde_json::from_str(r#"{"type": "VisionTransformer"}"#).expect("ViT-B");
    let graph = graph(&backbone, ClipShape { channels: 3, frames: 16, height: 224, width: 224 }, 400);
    for map in pretraining_maps(&backbone) {
        let file = format!("{}-videomae_base_pretrain.txt", map.project);
        let text = std::fs::read_to_string(folder.join(&file)).expect("read");
        check_keys(&file, weight_keys(&text), &map, &graph);
    }
}
