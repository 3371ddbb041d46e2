//! [`Checkpoint`]: the tensors of a file by name. `open.rs` reads it.

use crate::error::FormatError;
use crate::{Origin, Tensor};
use std::collections::BTreeMap;

/// The tensors of a file by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The tensors by name. [`Self::without_prefixes`] removes what training code put before the names.
    pub tensors: BTreeMap<String, Tensor>,
    /// Where in the file they were.
    pub origin: Origin,
}

impl Checkpoint {
    pub(crate) fn insert(&mut self, name: &str, tensor: Tensor) -> Result<(), FormatError> {
        if self.tensors.insert(name.to_owned(), tensor).is_some() {
            return Err(FormatError::part(format!("tensor `{name}`"), "it is defined twice"));
        }
        Ok(())
    }
}

/// Returns the tensors that have values that are NaN or infinite, or that are infinite as 32-bit floats, with the number of these
/// values and of all values.
pub fn not_finite(tensors: &BTreeMap<String, Tensor>) -> Vec<(String, usize, usize)> {
    let count = |(name, tensor): (&String, &Tensor)| {
        let values = tensor.to_f32();
        let num_bad = values.iter().filter(|value| !value.is_finite()).count();
        (num_bad > 0).then(|| (name.clone(), num_bad, values.len()))
    };
    tensors.iter().filter_map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;

    #[test]
    fn values_that_are_not_finite_are_counted() {
        let f64s = [1.0f64, 1e300, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensors = BTreeMap::from([
            ("fine".to_owned(), Tensor::from_f32(vec![2], &[1.0, -2.0])),
            ("nan".to_owned(), Tensor::from_f32(vec![3], &[f32::NAN, 0.0, f32::NEG_INFINITY])),
            ("half".to_owned(), Tensor { shape: vec![1], dtype: Dtype::F16, bytes: vec![0x00, 0x7c] }),
            ("wide".to_owned(), Tensor { shape: vec![3], dtype: Dtype::F64, bytes: f64s }),
        ]);
        let expect = [("half".to_owned(), 1, 1), ("nan".to_owned(), 2, 3), ("wide".to_owned(), 1, 3)];
        assert_eq!(not_finite(&tensors), expect);
    }
}
