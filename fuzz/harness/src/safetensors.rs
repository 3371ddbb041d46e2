//! Any bytes as a safetensors file: tensors of bounded size, or an error.

use crate::scratch;
use pipe_weights::Checkpoint;

/// The tensors of a file may be at most this many times larger than the file.
const MAX_EXPANSION: usize = 4;

pub(crate) fn run(data: &[u8]) {
    let mut file = data.to_vec();
    // The byte by which the format is recognised.
    if let Some(brace) = file.get_mut(8) {
        *brace = b'{';
    }
    check(&file);
}

/// Opens a checkpoint, and checks its tensors.
pub(crate) fn check(file: &[u8]) {
    if file.len() > 1 << 18 {
        return;
    }
    let folder = scratch::folder();
    let path = folder.path().join("weights");
    fs_err::write(&path, file).expect("written");
    if let Ok(checkpoint) = Checkpoint::open(&path) {
        assert_bounded(&checkpoint, file.len());
    }
}

/// Asserts that tensors are consistent and not much larger than the `file_len` bytes that they were read from.
pub(crate) fn assert_bounded(checkpoint: &Checkpoint, file_len: usize) {
    let mut total = 0;
    for (name, tensor) in &checkpoint.tensors {
        let count: usize = tensor.shape.iter().product();
        assert_eq!(tensor.bytes.len(), count * tensor.dtype.size_bytes(), "the size of {name:?}");
        total += tensor.bytes.len();
    }
    assert!(total <= file_len * MAX_EXPANSION, "{total} bytes of tensors in a file of {file_len} bytes");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let seed = |json: &str, content: &[u8]| [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), content].concat();
    vec![
        seed("{\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", &[0; 16]),
        seed("{\"__metadata__\":{\"a\":\"b\"},\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}", &[1; 8]),
    ]
}
