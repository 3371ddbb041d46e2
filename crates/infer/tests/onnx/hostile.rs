//! Files that are not models, or that ask for what a model must not have: each is an error before an engine sees the file.

use crate::engines::tiny_bytes;
use pipe_infer::{InferError, ModelFile, ModelFileError, SessionOptions};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Returns a field of a protobuf message: a number, or bytes.
fn number(field: u8, mut value: u64) -> Vec<u8> {
    let mut bytes = vec![field << 3];
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn message(field: u8, content: &[Vec<u8>]) -> Vec<u8> {
    let content = content.concat();
    let mut bytes = number(field, content.len() as u64);
    // The type of a field with a length is 2.
    bytes[0] |= 2;
    bytes.extend(content);
    bytes
}

fn text(field: u8, text: &str) -> Vec<u8> {
    message(field, &[text.as_bytes().to_vec()])
}

fn port(field: u8, name: &str, dims: &[u64]) -> Vec<u8> {
    let dims: Vec<_> = dims.iter().map(|dim| message(1, &[number(1, *dim)])).collect();
    let tensor = message(1, &[number(1, 1), message(2, &dims)]);
    message(field, &[text(1, name), message(2, &[tensor])])
}

/// A model that adds `w` to its input.
fn model(opset: u64, dims: &[u64], weight: &[Vec<u8>]) -> Vec<u8> {
    let node = message(1, &[text(1, "x"), text(1, "w"), text(2, "y"), text(4, "Add")]);
    let weight = message(5, &[&[number(2, 1), text(8, "w")], weight].concat());
    let graph = message(7, &[node, text(2, "g"), weight, port(11, "x", dims), port(12, "y", dims)]);
    [number(1, 8), graph, message(8, &[text(1, ""), number(2, opset)])].concat()
}

fn one() -> Vec<Vec<u8>> {
    vec![number(1, 1), message(9, &[1.0_f32.to_le_bytes().to_vec()])]
}

fn stored_in(location: &str) -> Vec<Vec<u8>> {
    vec![number(1, 1), message(13, &[text(1, "location"), text(2, location)]), number(14, 1)]
}

#[track_caller]
fn check(bytes: Vec<u8>, expect: &str) {
    let length = bytes.len();
    let error = ModelFile::from_bytes(bytes).expect_err(expect).to_string();
    assert_eq!(error, expect.replace("MODEL", &format!("the model of {length} bytes")));
}

#[test]
fn a_plain_model_runs() {
    for engine in crate::engines() {
        let file = ModelFile::from_bytes(model(17, &[1; 5], &one())).expect("a model");
        let mut session = engine.open(&file, SessionOptions::threads(1)).expect("it opens");
        assert_eq!(session.run("x", [1; 5], vec![2.0]).expect("it runs").1, [3.0]);
    }
}

#[test]
fn what_is_not_onnx_is_an_error() {
    for bytes in [b"".as_slice(), b"not a model", &[0xff; 100], &[0; 8], b"PK\x03\x04", b"\x89HDF"] {
        check(bytes.to_vec(), "MODEL is not a complete ONNX file");
    }
    // A graph that contains itself two hundred times.
    let nested = (0..200).fold(vec![], |inner: Vec<u8>, _| message(1, &[message(5, &[message(6, &[inner])])]));
    check(message(7, &[nested]), "MODEL is not a complete ONNX file");
}

#[test]
fn every_cut_is_an_error() {
    let whole = tiny_bytes(&BTreeMap::from([("key".into(), "value".into())]));
    for length in 0..whole.len() {
        // A cut between two fields of the file is a shorter file, which lacks what stands in the rest.
        match ModelFile::from_bytes(whole[..length].to_vec()) {
            Ok(model) => assert!(model.metadata().is_empty(), "{length} of {} bytes", whole.len()),
            Err(ModelFileError::NotOnnx { .. } | ModelFileError::NoOpset { .. }) => {}
            Err(error) => panic!("{length}: {error:?}"),
        }
    }
}

#[test]
fn other_opsets_are_errors() {
    check(model(6, &[1; 5], &one()), "MODEL uses opset 6; opsets 7 to 24 can be run");
    check(model(999, &[1; 5], &one()), "MODEL uses opset 999; opsets 7 to 24 can be run");
    let without = model(17, &[1; 5], &one());
    check(without[..without.len() - 6].to_vec(), "MODEL does not state the opset of its operators");
}

#[test]
fn huge_shapes_are_errors() {
    let expect = "`x` of MODEL has the shape [1, 3, 8, 4000000000, 4000000000], which is too large";
    check(model(17, &[1, 3, 8, 4_000_000_000, 4_000_000_000], &one()), expect);
    let weight = vec![number(1, 1 << 40), message(9, &[vec![0; 4]])];
    let expect = "the tensor `w` of MODEL has 1099511627776 values, which is more than the file contains";
    check(model(17, &[1; 5], &weight), expect);
    let weight = vec![number(1, u64::MAX), number(1, u64::MAX), message(9, &[vec![0; 4]])];
    assert!(matches!(
        ModelFile::from_bytes(model(17, &[1; 5], &weight)),
        Err(ModelFileError::TensorSize { num_values: u64::MAX, .. })
    ));
}

#[test]
fn several_inputs_are_an_error() {
    let node = message(1, &[text(1, "a"), text(1, "b"), text(2, "y"), text(4, "Add")]);
    let ports = [port(11, "a", &[1]), port(11, "b", &[1]), port(12, "y", &[1])].concat();
    let bytes = [message(7, &[node, ports]), message(8, &[number(2, 17)])].concat();
    check(bytes, "MODEL has 2 inputs and 1 outputs, expected one input and at least one output");
}

#[test]
fn tensors_outside_the_folder_of_the_model_are_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("models");
    std::fs::create_dir(&inner).expect("a folder");
    let write = |path: &Path, value: f32| std::fs::write(path, value.to_le_bytes()).expect("written");
    write(&folder.path().join("secret"), 7.0);
    write(&inner.join("weights"), 5.0);
    symlink(folder.path().join("secret"), inner.join("link")).expect("a link");
    let read = |location: &str| {
        let path = inner.join("model.onnx");
        std::fs::write(&path, model(17, &[1; 5], &stored_in(location))).expect("written");
        ModelFile::read(&path)
    };
    let absolute = folder.path().join("secret").display().to_string();
    for location in ["../secret", absolute.as_str(), "/etc/passwd", "link", "missing", "", ".", "x/../../secret"] {
        let error = read(location).expect_err(location);
        assert!(matches!(&error, ModelFileError::ExternalData { tensor, .. } if tensor == "w"), "{error:?}");
        assert!(error.to_string().contains(&format!("is in the file `{location}`, which is not in the folder")));
    }
    for engine in crate::engines() {
        let mut session =
            engine.open(&read("weights").expect("in the folder"), SessionOptions::threads(1)).expect("it opens");
        assert_eq!(session.run("x", [1; 5], vec![2.0]).expect("it runs").1, [7.0]);
    }
    // A model in memory has no folder.
    assert!(ModelFile::from_bytes(model(17, &[1; 5], &stored_in("weights"))).is_err());
}

#[test]
fn folders_and_pipes_are_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(ModelFile::read(folder.path()), Err(ModelFileError::NotAFile { .. })));
    assert!(matches!(ModelFile::read(Path::new("/dev/zero")), Err(ModelFileError::NotAFile { .. })));
}

#[test]
fn an_operator_that_does_not_exist_is_an_error_of_the_engine() {
    let node = message(1, &[text(1, "x"), text(2, "y"), text(4, "NoSuchOperator")]);
    let graph = message(7, &[node, text(2, "g"), port(11, "x", &[1; 5]), port(12, "y", &[1; 5])]);
    let bytes = [number(1, 8), graph, message(8, &[text(1, ""), number(2, 17)])].concat();
    for engine in crate::engines() {
        let model = ModelFile::from_bytes(bytes.clone()).expect("a header");
        let error = engine.open(&model, SessionOptions::threads(1)).expect_err("an unknown operator");
        assert!(matches!(error, InferError::Model { .. }), "{error:?}");
    }
}
