//! [`write_torch`]: the format of `torch.save` since PyTorch 1.6. Python reads it with `torch.load(PATH, weights_only=True)`.

use crate::error::{FormatError, WeightsError};
use crate::{Dtype, Tensor};
use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The name of the folder in the archive. PyTorch uses the name of the file, and accepts any.
const FOLDER: &str = "archive";

/// The alignment of storages in the file, in bytes, as PyTorch chooses it for memory maps.
const ALIGNMENT: u16 = 64;

/// Writes tensors as a dictionary; with `container`, below this key of another dictionary, such as `state_dict`. Equal tensors are
/// written as equal bytes.
///
/// # Errors
/// [`WeightsError::Io`] if the file can't be written, [`WeightsError::Broken`] if a tensor or a name is too large for the format.
pub fn write_torch(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    container: Option<&str>,
) -> Result<(), WeightsError> {
    let broken = |source: FormatError| WeightsError::Broken { path: path.into(), source };
    let object = pickle(tensors, container).map_err(broken)?;
    let mut zip = ZipWriter::new(std::io::BufWriter::new(fs_err::File::create(path)?));
    let written = entry(&mut zip, "data.pkl", &object)
        .and_then(|()| entry(&mut zip, "byteorder", b"little"))
        .and_then(|()| {
            (0..)
                .zip(tensors.values())
                .try_for_each(|(key, tensor): (usize, _)| entry(&mut zip, &format!("data/{key}"), &tensor.bytes))
        })
        .and_then(|()| entry(&mut zip, "version", b"3\n"));
    let finished = written.and_then(|()| zip.finish());
    let mut file = finished.map_err(|error| match error {
        zip::result::ZipError::Io(error) => WeightsError::Io(error),
        other => broken(FormatError::part("the archive", other.to_string())),
    })?;
    Ok(file.flush()?)
}

fn entry<W: Write + Seek>(zip: &mut ZipWriter<W>, name: &str, content: &[u8]) -> zip::result::ZipResult<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGNMENT)
        .large_file(content.len() as u64 >= u64::from(u32::MAX));
    zip.start_file(format!("{FOLDER}/{name}"), options)?;
    Ok(zip.write_all(content)?)
}

/// Returns the pickle, protocol 2. Tensors are numbered in the order of their names.
fn pickle(tensors: &BTreeMap<String, Tensor>, container: Option<&str>) -> Result<Vec<u8>, FormatError> {
    let mut out = b"\x80\x02".to_vec();
    if let Some(key) = container {
        out.push(b'}');
        text(key, &mut out)?;
    }
    // An empty dictionary, then all items between two marks: `{` … `(` key value … `u`.
    out.extend(b"ccollections\nOrderedDict\n)R(");
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        text(name, &mut out)?;
        self::tensor(key, tensor, &mut out)
            .map_err(|message| FormatError::part(format!("tensor `{name}`"), message))?;
    }
    out.push(b'u');
    if container.is_some() {
        out.push(b's');
    }
    out.push(b'.');
    Ok(out)
}

/// Appends `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`.
fn tensor(key: usize, tensor: &Tensor, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
    // The persistent id: ("storage", the type, the key, "cpu", the number of elements).
    out.extend(b"(X\x07\0\0\0storagectorch\n");
    out.extend(storage_type(tensor.dtype).as_bytes());
    out.push(b'\n');
    text(&key.to_string(), out).map_err(|_| "there are too many tensors")?;
    out.extend(b"X\x03\0\0\0cpu");
    integer(tensor.bytes.len() / tensor.dtype.size_bytes(), out)?;
    out.extend(b"tQ");
    integer(0, out)?;
    let mut strides = vec![1_usize; tensor.shape.len()];
    for axis in (1..tensor.shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(tensor.shape[axis].max(1));
    }
    for sizes in [&tensor.shape, &strides] {
        out.push(b'(');
        sizes.iter().try_for_each(|size| integer(*size, out))?;
        out.push(b't');
    }
    out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    Ok(())
}

fn storage_type(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Bool => "BoolStorage",
        Dtype::U8 => "ByteStorage",
        Dtype::I8 => "CharStorage",
        Dtype::I16 => "ShortStorage",
        Dtype::I32 => "IntStorage",
        Dtype::I64 => "LongStorage",
        Dtype::F16 => "HalfStorage",
        Dtype::BF16 => "BFloat16Storage",
        Dtype::F32 => "FloatStorage",
        Dtype::F64 => "DoubleStorage",
    }
}

/// Appends a text, with its length before it.
fn text(text: &str, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let len = u32::try_from(text.len()).map_err(|_| FormatError::part("a name", "it is longer than 4 GiB"))?;
    out.push(b'X');
    out.extend(len.to_le_bytes());
    out.extend(text.as_bytes());
    Ok(())
}

/// Appends a number: 32 bits if it fits, else 8 bytes with their count.
fn integer(value: usize, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if let Ok(small) = i32::try_from(value) {
        out.push(b'J');
        out.extend(small.to_le_bytes());
    } else {
        let large = i64::try_from(value).map_err(|_| "a size is too large")?;
        out.extend(b"\x8a\x08");
        out.extend(large.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checkpoint;

    fn tensors() -> BTreeMap<String, Tensor> {
        let tensor = |shape: &[usize], dtype: Dtype| {
            let len = shape.iter().product::<usize>() * dtype.size_bytes();
            Tensor { shape: shape.into(), dtype, bytes: (0..len).map(|at| (at % 2) as u8).collect() }
        };
        let types = [
            Dtype::Bool,
            Dtype::U8,
            Dtype::I8,
            Dtype::I16,
            Dtype::I32,
            Dtype::I64,
            Dtype::F16,
            Dtype::BF16,
            Dtype::F32,
            Dtype::F64,
        ];
        let mut tensors: BTreeMap<String, Tensor> =
            types.iter().map(|dtype| (format!("layer.{dtype:?}"), tensor(&[2, 3, 1, 4], *dtype))).collect();
        tensors.insert("scalar".into(), tensor(&[], Dtype::I64));
        tensors.insert("empty".into(), tensor(&[0, 3], Dtype::F32));
        tensors.insert("größer".into(), tensor(&[300], Dtype::F32));
        tensors
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        for container in [None, Some("state_dict")] {
            let (one, two) = (folder.path().join("1.pth"), folder.path().join("2.pth"));
            write_torch(&one, &tensors(), container).expect("written");
            write_torch(&two, &tensors(), container).expect("written");
            let read = Checkpoint::open(&one).expect("read");
            assert_eq!(read.tensors, tensors());
            assert_eq!(read.origin.wrapper.as_deref(), container);
            assert_eq!(fs_err::read(one).expect("read"), fs_err::read(two).expect("read"));
        }
    }

    #[test]
    fn large_numbers_are_written() {
        let mut out = Vec::new();
        integer(70_000, &mut out).expect("fits");
        assert_eq!(out, b"J\x70\x11\x01\0");
        out.clear();
        integer(1 << 40, &mut out).expect("fits");
        assert_eq!(out, b"\x8a\x08\0\0\0\0\0\x01\0\0");
    }
}
