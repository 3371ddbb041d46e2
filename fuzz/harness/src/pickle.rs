//! Any bytes as the pickles of a `torch.save` file: tensors of bounded size, or an error.

use crate::safetensors::check;

/// How a file of `torch.save` before PyTorch 1.6 starts: magic number, version 1001, little-endian.
const HEADER: &[u8] =
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";

pub(crate) fn run(data: &[u8]) {
    check(&[HEADER, data].concat());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut tensor = b"\x80\x02}X\x0a\0\0\0state_dictccollections\nOrderedDict\n)R(X\x08\0\0\0module.w".to_vec();
    tensor.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04NtQ");
    tensor.extend(b"K\0K\x02K\x02\x86K\x01K\x02\x86\x89NtRus.");
    tensor.extend(b"\x80\x02](X\x01\0\0\x000e.");
    tensor.extend([&4_i64.to_le_bytes()[..], &[0; 16]].concat());
    vec![
        tensor,
        b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00b\x88J\xfe\xff\xff\xff\x86u.\x80\x02].".to_vec(),
    ]
}
