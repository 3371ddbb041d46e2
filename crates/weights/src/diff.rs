//! Differences of tensors: [`difference`] and [`difference_beyond`] describe the first tensor of two files that differs in bits or in
//! numbers, and [`compare`] measures how far two tensors are apart.

use crate::{Checkpoint, Dtype, Tensor, WeightsError};
use std::cmp::Ordering;
use std::path::Path;

/// Describes the first tensor by name that differs, with the largest absolute difference of its elements. Returns `None` if all
/// tensors are bit-identical.
pub fn difference(one: &Path, two: &Path) -> Result<Option<String>, WeightsError> {
    first(one, two, &|a, b| a == b)
}

/// Describes the first tensor by name that differs; floats are equal if `accepts` returns `true` for them. Returns `None` if all
/// tensors are equal.
pub fn difference_beyond(
    one: &Path,
    two: &Path,
    accepts: &dyn Fn(f64, f64) -> bool,
) -> Result<Option<String>, WeightsError> {
    first(one, two, &|a, b| {
        let is_float = matches!(a.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
        let same_form = a.shape == b.shape && a.dtype == b.dtype;
        a == b || (is_float && same_form && values(a).iter().zip(&values(b)).all(|(a, b)| accepts(*a, *b)))
    })
}

/// How far the values of two tensors of the same shape are apart.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Distance {
    /// The number of values.
    pub num_values: usize,
    /// The number of those that are not equal. NaN equals NaN.
    pub num_different: usize,
    /// The largest absolute difference; infinite if a value is NaN or infinite in one tensor only.
    pub max_abs: f64,
    /// The largest finite absolute value of the first tensor.
    pub max_value: f64,
}

impl Distance {
    /// Returns the largest difference as a share of the largest value of the first tensor; infinite if that is 0 and there is a
    /// difference.
    pub fn relative(&self) -> f64 {
        if self.max_abs == 0.0 { 0.0 } else { self.max_abs / self.max_value }
    }
}

/// Measures how far the values of two tensors are apart, also for different types of elements; `None` if their shapes differ.
pub fn compare(one: &Tensor, two: &Tensor) -> Option<Distance> {
    if one.shape != two.shape {
        return None;
    }
    let mut distance = Distance::default();
    for (a, b) in values(one).into_iter().zip(values(two)) {
        distance.num_values += 1;
        if a.is_finite() {
            distance.max_value = distance.max_value.max(a.abs());
        }
        let same = (a.is_nan() && b.is_nan()) || a.partial_cmp(&b).is_some_and(Ordering::is_eq);
        if !same {
            distance.num_different += 1;
            let apart = (a - b).abs();
            distance.max_abs = distance.max_abs.max(if apart.is_nan() { f64::INFINITY } else { apart });
        }
    }
    Some(distance)
}

fn first(one: &Path, two: &Path, equal: &dyn Fn(&Tensor, &Tensor) -> bool) -> Result<Option<String>, WeightsError> {
    let (one, two) = (Checkpoint::open(one)?.tensors, Checkpoint::open(two)?.tensors);
    let names: std::collections::BTreeSet<&String> = one.keys().chain(two.keys()).collect();
    for name in names {
        match (one.get(name), two.get(name)) {
            (Some(a), Some(b)) if equal(a, b) => {}
            (Some(a), Some(b)) => return Ok(Some(format!("tensor `{name}`: {}", between(a, b)))),
            (Some(_), None) => return Ok(Some(format!("tensor `{name}` is missing in the second file"))),
            _ => return Ok(Some(format!("tensor `{name}` is missing in the first file"))),
        }
    }
    Ok(None)
}

fn between(one: &Tensor, two: &Tensor) -> String {
    if one.shape != two.shape || one.dtype != two.dtype {
        return format!("{:?} {:?} and {:?} {:?}", one.dtype, one.shape, two.dtype, two.shape);
    }
    let (a, b) = (values(one), values(two));
    let differ = a.iter().zip(&b).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    let largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    format!("{differ} of {} elements differ, by at most {largest:.3e}", a.len())
}

/// Returns the elements as 64-bit floats.
fn values(tensor: &Tensor) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
    }
    let bytes = &tensor.bytes;
    match tensor.dtype {
        Dtype::Bool | Dtype::U8 => each(bytes, |[byte]: [u8; 1]| f64::from(byte)),
        Dtype::I8 => each(bytes, |byte| f64::from(i8::from_le_bytes(byte))),
        Dtype::I16 => each(bytes, |bytes| f64::from(i16::from_le_bytes(bytes))),
        Dtype::I32 => each(bytes, |bytes| f64::from(i32::from_le_bytes(bytes))),
        Dtype::I64 => each(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        Dtype::F16 => each(bytes, |bytes| half::f16::from_le_bytes(bytes).to_f64()),
        Dtype::BF16 => each(bytes, |bytes| half::bf16::from_le_bytes(bytes).to_f64()),
        Dtype::F32 => each(bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
        Dtype::F64 => each(bytes, f64::from_le_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write_safetensors;
    use std::collections::BTreeMap;

    #[test]
    fn the_first_difference_is_described() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, values: &[f32]| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let tensor = |bytes| Tensor { shape: vec![values.len()], dtype: Dtype::F32, bytes };
            let path = folder.path().join(file);
            write_safetensors(&path, &BTreeMap::from([("a".to_owned(), tensor(bytes))])).expect("written");
            path
        };
        let one = write("one", &[1.0, 2.0, 3.0]);
        let check = |values: &[f32], expect: Option<&str>| {
            let two = write("two", values);
            assert_eq!(difference(&one, &two).expect("read").as_deref(), expect);
        };
        check(&[1.0, 2.0, 3.0], None);
        check(&[1.0, 2.5, 2.75], Some("tensor `a`: 2 of 3 elements differ, by at most 5.000e-1"));
        check(&[1.0], Some("tensor `a`: F32 [3] and F32 [1]"));
        let close = |values: &[f32]| {
            let two = write("two", values);
            difference_beyond(&one, &two, &|a, b| (a - b).abs() <= 0.3).expect("read")
        };
        assert_eq!(close(&[1.25, 2.25, 3.0]), None);
        assert_eq!(
            close(&[1.25, 2.5, 3.0]).as_deref(),
            Some("tensor `a`: 2 of 3 elements differ, by at most 5.000e-1")
        );
    }

    #[test]
    fn distances_are_those_of_the_values() {
        let tensor = |values: &[f32]| Tensor::from_f32(vec![values.len()], values);
        let check = |one: &[f32], two: &[f32], num_different: usize, max_abs: f64, relative: f64| {
            let found = compare(&tensor(one), &tensor(two)).expect("the same shape");
            assert_eq!((found.num_different, found.num_values), (num_different, one.len()));
            assert!(
                found.max_abs.total_cmp(&max_abs).is_eq() && found.relative().total_cmp(&relative).is_eq(),
                "{found:?}"
            );
        };
        check(&[1.0, -4.0, 2.0], &[1.0, -2.0, 2.5], 2, 2.0, 0.5);
        check(&[f32::NAN, f32::INFINITY, 1.0], &[f32::NAN, f32::INFINITY, 1.0], 0, 0.0, 0.0);
        check(&[1.0], &[f32::NAN], 1, f64::INFINITY, f64::INFINITY);
        check(&[0.0], &[0.5], 1, 0.5, f64::INFINITY);
        assert_eq!(compare(&tensor(&[1.0]), &tensor(&[1.0, 2.0])), None);
        let half = Tensor { shape: vec![1], dtype: Dtype::F16, bytes: vec![0x00, 0x3c] };
        assert_eq!(compare(&half, &tensor(&[1.0])).map(|distance| distance.num_different), Some(0));
    }
}
