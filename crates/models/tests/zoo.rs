//! Every family of the zoo: published figures, names of the published tensors, and the digests of trained networks.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use pipe_graph::{ClipShape, Graph, Init, Role};
use pipe_models::{ModelError, build, name_maps, zoo};
use pipe_schemas::networks::{Backbone, ClsHead, FAMILIES, ModelParams};
use pipe_testkit::shared;
use std::collections::BTreeMap;

/// One line per published configuration; see `digests_are_pinned`.
const DIGESTS: &str = include_str!("digests.txt");

fn graph(backbone: &Backbone, clip: ClipShape, num_classes: usize) -> Graph {
    let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
    build(&params, clip, num_classes).expect("the network fits the clip")
}

#[test]
fn the_zoo_is_the_list_of_families() {
    let found: Vec<&str> = zoo().iter().map(|entry| entry.type_name).collect();
    let expect: Vec<&str> = FAMILIES.iter().map(|family| family.type_name).collect();
    assert_eq!(found, expect);
    for entry in zoo() {
        assert!(!entry.small.is_empty(), "{} has no small configuration", entry.type_name);
    }
}

#[test]
fn small_networks_are_consistent() {
    for small in zoo().iter().flat_map(|entry| &entry.small) {
        let graph = graph(&small.backbone, small.clip, 7);
        assert_eq!(graph.check(), Ok(()), "{}", graph.name);
        assert_eq!(graph.nodes[graph.output.0].shape.dims, [7], "{}", graph.name);
    }
}

#[test]
fn parameters_and_multiply_adds_are_as_published() {
    for published in zoo().iter().flat_map(|entry| &entry.published) {
        let graph = graph(&published.backbone, published.clip, published.num_classes);
        assert_eq!(graph.check(), Ok(()), "{}", graph.name);
        assert_eq!(graph.num_params(), published.num_params, "{}", graph.name);
        let (found, expect) = (graph.macs() as f64 / 1e9, published.gmacs);
        assert!((found / expect - 1.0).abs() < 0.004, "{}: {found} G, expected {expect} G", graph.name);
    }
}

/// Parses lines such as `conv1.weight (64, 3, 7, 7)`. Counters of steps (`num_batches_tracked`) and tables of indices that follow from
/// sizes (`relative_position_index`) are not tensors of the network.
fn weight_keys(file: &str) -> Option<BTreeMap<String, Vec<usize>>> {
    let text = std::fs::read_to_string(shared(format!("reference/weight-keys/{file}"))?).expect("read");
    let parse = |line: &str| {
        let (name, shape) = line.split_once(' ').expect("a line has a name and a shape");
        let sizes = shape.trim_matches(['(', ')']).split(',').map(str::trim).filter(|size| !size.is_empty());
        (name.to_owned(), sizes.map(|size| size.parse().expect("a size is a number")).collect())
    };
    let derived = |line: &&str| line.contains("num_batches_tracked") || line.contains("relative_position_index");
    Some(text.lines().filter(|line| !derived(line)).map(parse).collect())
}

#[test]
fn tensors_have_the_published_names_and_shapes() {
    for published in zoo().iter().flat_map(|entry| &entry.published) {
        let Some(file) = published.weight_keys else { continue };
        let Some(mut expect) = weight_keys(file) else { return };
        let own_names = &name_maps(&published.backbone)[0];
        expect.retain(|name, _| !own_names.ignores(name));
        let graph = graph(&published.backbone, published.clip, published.num_classes);
        let found: BTreeMap<_, _> =
            graph.params.iter().map(|param| (param.name.clone(), param.shape.clone())).collect();
        assert_eq!(found, expect, "{file}");
    }
}

/// The digest is in the training key and in the model card: when it changes, trained networks can't be opened.
#[test]
fn digests_are_pinned() {
    let line = |graph: Graph| {
        let clip: Vec<String> = graph.nodes[0].shape.dims.iter().map(ToString::to_string).collect();
        let classes = graph.nodes[graph.output.0].shape.dims[0];
        format!("{} {} {classes} {}\n", graph.name, clip.join("x"), graph.digest().to_hex())
    };
    let published = zoo().into_iter().flat_map(|entry| entry.published);
    let found: String =
        published.map(|example| line(graph(&example.backbone, example.clip, example.num_classes))).collect();
    assert_eq!(found, DIGESTS, "for a new network, copy its line to tests/digests.txt:\n{found}");
}

#[test]
fn the_head_depends_on_the_number_of_classes() {
    for small in zoo().iter().flat_map(|entry| &entry.small) {
        let cls_head = ClsHead { init_std: 0.001, num_classes: Some(51), ..ClsHead::default() };
        let params = ModelParams { backbone: small.backbone.clone(), cls_head, ..ModelParams::default() };
        let graph = build(&params, small.clip, 51).expect("the network fits the clip");
        let head: Vec<_> = graph.head.iter().map(|id| &graph.params[id.0]).collect();
        assert_eq!(head.len(), if graph.auxiliary.is_some() { 4 } else { 2 }, "{head:?}");
        for pair in head.chunks_exact(2) {
            let (weight, bias) = (pair[0], pair[1]);
            assert_eq!((weight.role, weight.init, weight.shape[0]), (Role::Weight, Init::Normal { std: 0.001 }, 51));
            assert_eq!((bias.role, bias.init, &bias.shape[..]), (Role::Bias, Init::Constant(0.0), &[51][..]));
        }
        assert_eq!(build(&params, small.clip, 101), Err(ModelError::NumClasses { asked: 51, found: 101 }));
    }
}
