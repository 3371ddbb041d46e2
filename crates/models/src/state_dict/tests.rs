//! State dicts of a small network with joined tensors.

use super::*;
use crate::name_map::Part;
use pipe_graph::ops::linear::LinearParams;
use pipe_graph::ops::{frames_to_batch::FramesToBatch, global_avg_pool::GlobalAvgPool};
use pipe_graph::{Builder, ClipShape, Graph, Init};
use pipe_schemas::networks::Project;

/// A network of two linear layers: `qkv` of 6 rows and 3 columns with a bias, and `fc`.
fn graph() -> Graph {
    let clip = ClipShape { channels: 3, frames: 1, height: 2, width: 2 };
    let mut g = Builder::new("test", clip).expect("a clip");
    let linear = |out_features| LinearParams { out_features, init: Init::Constant(0.0), bias: true };
    let input = g.input();
    let x = g.node("frames", input, FramesToBatch).expect("frames");
    let x = g.node("pool", x, GlobalAvgPool).expect("pooled");
    let x = g.node("qkv", x, linear(6)).expect("a layer");
    let x = g.node("fc", x, linear(2)).expect("a layer");
    g.finish(x, x).expect("a network")
}

fn map() -> NameMap {
    NameMap::new(Project::Huggingface)
        .concat("qkv.weight", ["q.weight", "k.weight", "v.weight"])
        .concat(
            "qkv.bias",
            [Part::named("q_bias").or("q.bias"), Part::named("k.bias").optional(), Part::named("v_bias")],
        )
        .rule("fc.*", "head.*")
}

fn tensor(shape: &[usize], start: f32) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|index| start + index as f32).collect();
    Tensor::from_f32(shape.into(), &values)
}

fn theirs() -> StateDict {
    [
        ("q.weight", tensor(&[2, 3], 0.0)),
        ("k.weight", tensor(&[2, 3], 10.0)),
        ("v.weight", tensor(&[2, 3], 20.0)),
        ("q.bias", tensor(&[2], 1.0)),
        ("v_bias", tensor(&[2], 5.0)),
        ("head.weight", tensor(&[2, 6], 0.0)),
        ("head.bias", tensor(&[2], 0.0)),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor))
    .into()
}

fn imported(tensors: StateDict) -> Result<Imported, String> {
    let layout = map().layout(&graph()).expect("all names");
    import(&map(), &layout, Checkpoint { tensors, ..Checkpoint::default() }).map_err(|error| error.to_string())
}

#[test]
fn tensors_are_joined_in_order_and_missing_ones_are_zeros_and_named() {
    let Imported { tensors, report, .. } = imported(theirs()).expect("fits");
    let rows = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0];
    assert_eq!(tensors["qkv.weight"], Tensor::from_f32(vec![6, 3], &rows));
    assert_eq!(tensors["qkv.bias"].to_f32(), [1.0, 2.0, 0.0, 0.0, 5.0, 6.0]);
    assert_eq!((report.num_matched, report.num_made, report.zeros), (4, 0, vec!["k.bias".to_owned()]));
    // The preferred spelling is written, and the zeros as well.
    let layout = map().layout(&graph()).expect("all names");
    let exported = export(&map(), &layout, &tensors).expect("exported").tensors;
    assert_eq!(exported["q_bias"].to_f32(), [1.0, 2.0]);
    assert_eq!(exported["k.bias"].to_f32(), [0.0, 0.0]);
    assert_eq!(imported(exported).expect("fits").tensors, tensors);
}

#[test]
fn a_share_that_must_exist_is_an_error() {
    let mut tensors = theirs();
    tensors.remove("v_bias");
    assert!(imported(tensors).expect_err("missing").contains("1 not in the checkpoint: v_bias"));
    let mut tensors = theirs();
    tensors.insert("k.weight".into(), tensor(&[4, 3], 0.0));
    let error = imported(tensors).expect_err("another shape");
    assert!(error.contains("k.weight is [4, 3] in the checkpoint, [2, 3] in the network"), "{error}");
}

#[test]
fn different_element_types_are_joined_as_floats() {
    let mut tensors = theirs();
    let half = [0x3c00_u16, 0x4000].iter().flat_map(|bits| bits.to_le_bytes()).collect();
    tensors.insert("q.bias".into(), Tensor { shape: vec![2], dtype: Dtype::F16, bytes: half });
    let bias = imported(tensors).expect("fits").tensors.remove("qkv.bias").expect("joined");
    assert_eq!((bias.dtype, bias.to_f32()), (Dtype::F32, vec![1.0, 2.0, 0.0, 0.0, 5.0, 6.0]));
}

#[test]
fn what_a_project_can_not_hold_is_not_exported() {
    let map = NameMap::new(Project::Original)
        .concat("qkv.bias", [Part::named("q_bias"), Part::zeros(), Part::named("v_bias")])
        .rule("*", "*");
    let layout = map.layout(&graph()).expect("all names");
    let mut ours: StateDict =
        graph().params.iter().map(|param| (param.name.clone(), tensor(&param.shape, 0.0))).collect();
    let error = export(&map, &layout, &ours).expect_err("keys have a bias").to_string();
    assert!(error.starts_with("original has no tensor for `qkv.bias`"), "{error}");
    ours.insert("qkv.bias".into(), Tensor::from_f32(vec![6], &[1.0, 2.0, 0.0, -0.0, 5.0, 6.0]));
    let exported = export(&map, &layout, &ours).expect("exported").tensors;
    assert_eq!((exported["q_bias"].to_f32(), exported["v_bias"].to_f32()), (vec![1.0, 2.0], vec![5.0, 6.0]));
    ours.remove("fc.bias");
    assert_eq!(export(&map, &layout, &ours), Err(ExportError::Missing { name: "fc.bias".into() }));
}
