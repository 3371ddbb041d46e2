//! The safetensors format. Equal tensors are written as equal bytes.

use crate::error::{FormatError, WeightsError};
use crate::{Checkpoint, Dtype, Tensor};
use safetensors::SafeTensors;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes a safetensors file. Tensors are ordered by type and name.
pub fn write_safetensors(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), WeightsError> {
    let views = tensors.iter().map(|(name, tensor)| (name.as_str(), View(tensor)));
    let bytes = safetensors::serialize(views, None).map_err(|error| WeightsError::Broken {
        path: path.into(),
        source: FormatError::part("the tensors", error.to_string()),
    })?;
    Ok(fs_err::write(path, bytes)?)
}

pub(crate) fn read(data: &[u8]) -> Result<Checkpoint, FormatError> {
    let file = SafeTensors::deserialize(data).map_err(|error| FormatError::part("the header", error.to_string()))?;
    let mut checkpoint = Checkpoint::default();
    for (name, view) in file.iter() {
        let dtype = from_safe(view.dtype()).ok_or_else(|| {
            FormatError::part(
                format!("tensor `{name}`"),
                format!("elements of type {:?} are not supported", view.dtype()),
            )
        })?;
        checkpoint.insert(name, Tensor { shape: view.shape().to_vec(), dtype, bytes: view.data().to_vec() })?;
    }
    Ok(checkpoint)
}

struct View<'a>(&'a Tensor);

impl safetensors::View for View<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        to_safe(self.0.dtype)
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0.bytes)
    }

    fn data_len(&self) -> usize {
        self.0.bytes.len()
    }
}

const TYPES: [(Dtype, safetensors::Dtype); 10] = [
    (Dtype::Bool, safetensors::Dtype::BOOL),
    (Dtype::U8, safetensors::Dtype::U8),
    (Dtype::I8, safetensors::Dtype::I8),
    (Dtype::I16, safetensors::Dtype::I16),
    (Dtype::I32, safetensors::Dtype::I32),
    (Dtype::I64, safetensors::Dtype::I64),
    (Dtype::F16, safetensors::Dtype::F16),
    (Dtype::BF16, safetensors::Dtype::BF16),
    (Dtype::F32, safetensors::Dtype::F32),
    (Dtype::F64, safetensors::Dtype::F64),
];

fn from_safe(dtype: safetensors::Dtype) -> Option<Dtype> {
    TYPES.iter().find(|(_, theirs)| *theirs == dtype).map(|(ours, _)| *ours)
}

fn to_safe(dtype: Dtype) -> safetensors::Dtype {
    let known = TYPES.iter().find(|(ours, _)| *ours == dtype);
    known.expect("every type is in the table").1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_read_back_and_equal_tensors_are_equal_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let tensors = BTreeMap::from([
            ("b".to_owned(), Tensor::from_f32(vec![2, 1], &[1.0, -2.0])),
            ("a".to_owned(), Tensor { shape: vec![], dtype: Dtype::I64, bytes: 5i64.to_le_bytes().into() }),
        ]);
        let (one, two) = (folder.path().join("1.safetensors"), folder.path().join("2.safetensors"));
        write_safetensors(&one, &tensors).expect("written");
        write_safetensors(&two, &tensors).expect("written");
        assert_eq!(Checkpoint::open(&one).expect("read").tensors, tensors);
        assert_eq!(fs_err::read(one).expect("read"), fs_err::read(two).expect("read"));
    }
}
