//! Finds the state dict in a pickle and copies its tensors from their storages.

use crate::error::FormatError;
use crate::pickle::{Pickle, TensorRef, Value};
use crate::wrapper::{self, StateDict};
use crate::{Checkpoint, Tensor, UnsupportedTensor};

/// The maximum size of all tensors together, as a multiple of the file size. Many tensors can be views of the same bytes, so a small
/// file can describe an unlimited amount of memory.
const MAX_EXPANSION: usize = 4;

/// Returns the tensors of the state dict in `pickle`; `storage` returns the bytes of a storage by its key.
pub(crate) fn read<'a>(
    pickle: &Pickle<'a>,
    file_len: usize,
    mut storage: impl FnMut(&str) -> Result<&'a [u8], FormatError>,
) -> Result<Checkpoint, FormatError> {
    let mut checkpoint = Checkpoint::default();
    let mut budget_bytes = file_len.saturating_mul(MAX_EXPANSION);
    let StateDict { items, wrapper, others } = wrapper::find(pickle)?;
    checkpoint.origin.wrapper = wrapper;
    checkpoint.origin.other_wrappers = others;
    for (key, value) in items {
        let Value::Str(name) = key else { continue };
        if let Some(kind) = pickle.other_tensor(*value) {
            checkpoint.origin.unsupported.push(UnsupportedTensor { name: (*name).to_owned(), kind: kind.to_owned() });
            continue;
        }
        let Some(tensor) = pickle.tensor(*value) else {
            // Counters and extra state of modules: networks look up tensors by name.
            checkpoint.origin.not_tensors.push((*name).to_owned());
            continue;
        };
        let bytes = storage(tensor.storage.key)?;
        let tensor = gather(tensor, bytes, &mut budget_bytes)
            .map_err(|message| FormatError::part(format!("tensor `{name}`"), message))?;
        checkpoint.insert(name, tensor)?;
    }
    Ok(checkpoint)
}

/// Copies a view into row-major order.
fn gather(tensor: &TensorRef, storage: &[u8], budget_bytes: &mut usize) -> Result<Tensor, &'static str> {
    let TensorRef { storage: declared, offset, shape, stride } = tensor;
    let size = declared.dtype.size_bytes();
    if declared.numel.checked_mul(size) != Some(storage.len()) {
        return Err("the size of its storage in the file differs from the size in the pickle");
    }
    let len = shape.iter().try_fold(size, |len, &dim| len.checked_mul(dim)).ok_or("its size overflows")?;
    *budget_bytes =
        budget_bytes.checked_sub(len).ok_or("the tensors together are more than 4 times larger than the file")?;
    let whole = |bytes| Tensor { shape: shape.clone(), dtype: declared.dtype, bytes };
    if len == 0 {
        return Ok(whole(Vec::new()));
    }
    let reach = |last: usize, (&dim, &step): (&usize, &usize)| (dim - 1).checked_mul(step)?.checked_add(last);
    let last = shape.iter().zip(stride).try_fold(*offset, reach);
    if last.is_none_or(|last| last >= declared.numel) {
        return Err("it extends beyond the end of its storage");
    }
    if is_row_major(shape, stride) {
        return Ok(whole(storage[offset * size..offset * size + len].to_vec()));
    }
    let mut bytes = Vec::with_capacity(len);
    let mut index = vec![0; shape.len()];
    for _ in 0..len / size {
        let at = size * index.iter().zip(stride).fold(*offset, |at, (i, step)| at + i * step);
        bytes.extend_from_slice(&storage[at..at + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Ok(whole(bytes))
}

fn is_row_major(shape: &[usize], stride: &[usize]) -> bool {
    let mut expect = 1;
    shape.iter().zip(stride).rev().all(|(&dim, &step)| {
        let fits = dim == 1 || step == expect;
        expect *= dim;
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;
    use crate::pickle::Storage;

    fn check(offset: usize, shape: &[usize], stride: &[usize], expect: Result<&[u8], &str>) {
        let storage = Storage { key: "0", dtype: Dtype::U8, numel: 6 };
        let tensor = TensorRef { storage, offset, shape: shape.into(), stride: stride.into() };
        let gathered = gather(&tensor, &[0, 1, 2, 3, 4, 5], &mut 24);
        assert_eq!(gathered.as_ref().map(|tensor| tensor.bytes.as_slice()).map_err(|message| *message), expect);
    }

    #[test]
    fn views_become_row_major() {
        check(0, &[2, 3], &[3, 1], Ok(&[0, 1, 2, 3, 4, 5]));
        check(0, &[3, 2], &[1, 3], Ok(&[0, 3, 1, 4, 2, 5]));
        check(1, &[2, 1], &[2, 77], Ok(&[1, 3]));
        check(4, &[], &[], Ok(&[4]));
        check(2, &[4], &[0], Ok(&[2, 2, 2, 2]));
        check(9, &[0, 5], &[1, 1], Ok(&[]));
    }

    #[test]
    fn views_beyond_their_storage_are_rejected() {
        check(1, &[2, 3], &[3, 1], Err("it extends beyond the end of its storage"));
        check(usize::MAX, &[2], &[1], Err("it extends beyond the end of its storage"));
        check(0, &[2], &[usize::MAX], Err("it extends beyond the end of its storage"));
        check(0, &[25], &[0], Err("the tensors together are more than 4 times larger than the file"));
        check(0, &[usize::MAX, 3], &[0, 0], Err("its size overflows"));
    }
}
