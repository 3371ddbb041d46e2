//! [`difference_beyond`]: where two ONNX models that `pipe` wrote differ first.

use super::proto::{FLOAT, INT8, INT32, ModelProto, TensorProto, UINT8};
use prost::Message;

/// Returns where two ONNX models differ first if weights that `accepts` accepts count as equal: the name of an initialiser, or
/// `the graph`. `None` if they are equal.
///
/// # Errors
/// If the bytes are not an ONNX model.
pub fn difference_beyond(
    one: &[u8],
    two: &[u8],
    accepts: &dyn Fn(f64, f64) -> bool,
) -> Result<Option<String>, prost::DecodeError> {
    let (mut one, mut two) = (ModelProto::decode(one)?, ModelProto::decode(two)?);
    let (ours, theirs) = (take_initializers(&mut one), take_initializers(&mut two));
    if one != two || ours.len() != theirs.len() {
        return Ok(Some("the graph or its metadata".to_owned()));
    }
    let different = ours.iter().zip(&theirs).find(|(one, two)| !within(one, two, accepts));
    Ok(different.map(|(tensor, _)| format!("initialiser `{}`", tensor.name.clone().unwrap_or_default())))
}

fn take_initializers(model: &mut ModelProto) -> Vec<TensorProto> {
    model.graph.as_mut().map(|graph| std::mem::take(&mut graph.initializer)).unwrap_or_default()
}

/// Returns whether tensors agree. Integers of 8 bits may differ by one step, because they are rounded values of computations that differ.
fn within(one: &TensorProto, two: &TensorProto, accepts: &dyn Fn(f64, f64) -> bool) -> bool {
    let floats = |tensor: &TensorProto| -> Vec<f64> {
        let bytes = tensor.raw_data.as_deref().unwrap_or_default();
        bytes.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    };
    let form = |tensor: &TensorProto| (tensor.name.clone(), tensor.dims.clone(), tensor.data_type);
    let bytes = |tensor: &TensorProto| tensor.raw_data.clone().unwrap_or_default();
    let integers = |tensor: &TensorProto| -> Vec<f64> {
        let bytes = bytes(tensor);
        bytes.as_chunks::<4>().0.iter().map(|bytes| f64::from(i32::from_le_bytes(*bytes))).collect()
    };
    let all_within = |ours: Vec<f64>, theirs: Vec<f64>| {
        ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(one, two)| accepts(*one, *two))
    };
    let one_step = |one: u8, two: u8| one.wrapping_sub(two).wrapping_add(1) <= 2;
    let (ours, theirs) = (bytes(one), bytes(two));
    one == two
        || (form(one) == form(two)
            && match one.data_type {
                Some(FLOAT) => all_within(floats(one), floats(two)),
                Some(INT32) => all_within(integers(one), integers(two)),
                Some(INT8 | UINT8) => {
                    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(one, two)| one_step(*one, *two))
                }
                _ => false,
            })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{GraphProto, INT64};

    fn model(name: &str, data_type: i32, values: &[f32]) -> Vec<u8> {
        let raw_data = Some(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        let dims = vec![values.len() as i64];
        let tensor = TensorProto { dims, data_type: Some(data_type), name: Some("w".into()), raw_data };
        let graph = GraphProto { name: Some(name.into()), initializer: vec![tensor], ..GraphProto::default() };
        ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
    }

    #[test]
    fn weights_within_a_tolerance_are_equal_and_nothing_else_is() {
        let one = model("net", FLOAT, &[1.0, 2.0]);
        let check = |two: &[u8], expect: Option<&str>| {
            let found = difference_beyond(&one, two, &|a, b| (a - b).abs() <= 0.1).expect("models");
            assert_eq!(found.as_deref(), expect);
        };
        check(&one, None);
        check(&model("net", FLOAT, &[1.05, 1.95]), None);
        check(&model("net", FLOAT, &[1.05, 1.5]), Some("initialiser `w`"));
        check(&model("net", INT64, &[1.0, 2.0]), Some("initialiser `w`"));
        check(&model("other", FLOAT, &[1.0, 2.0]), Some("the graph or its metadata"));
        assert!(difference_beyond(&one, &[0xff; 9], &|_, _| true).is_err());
    }
}
