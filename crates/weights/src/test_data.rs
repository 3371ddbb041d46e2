//! Files of `torch.save` with any content, made for tests.

use crate::legacy;
use std::io::{Cursor, Write};

/// A Python object.
#[derive(Debug, Clone)]
pub(crate) enum Py {
    None,
    Int(i32),
    Str(&'static str),
    Dict(Vec<(String, Py)>),
    List(Vec<Py>),
    /// A tensor of 32-bit floats with one axis.
    Tensor(Vec<f32>),
    /// A tensor of 64-bit complex numbers without values.
    Complex,
    /// The result of a function of `torch._utils` without arguments that matter.
    Rebuilt(&'static str),
    /// An instance of a class.
    Instance,
}

/// Returns a dictionary.
pub(crate) fn dict<K: Into<String>>(items: impl IntoIterator<Item = (K, Py)>) -> Py {
    Py::Dict(items.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// Returns a state dict with tensors of these names, each with one value.
pub(crate) fn tensors(names: &[&str]) -> Py {
    dict((0..).zip(names).map(|(at, name)| (*name, Py::Tensor(vec![at as f32]))))
}

/// Writes `object` as PyTorch does since 1.6.
pub(crate) fn zip_file(object: &Py) -> Vec<u8> {
    zip_file_in("archive", object)
}

/// Writes `object` as PyTorch does for a file with this name, without its extension.
pub(crate) fn zip_file_in(folder: &str, object: &Py) -> Vec<u8> {
    let (pickle, storages) = pickle(object);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let storages = (0..).zip(storages).map(|(key, bytes): (u32, _)| (format!("data/{key}"), bytes));
    for (name, content) in [("data.pkl".to_owned(), pickle)].into_iter().chain(storages) {
        zip.start_file(format!("{folder}/{name}"), stored).expect("an entry");
        zip.write_all(&content).expect("written");
    }
    zip.finish().expect("an archive").into_inner()
}

/// Writes `object` as PyTorch did before 1.6.
pub(crate) fn legacy_file(object: &Py) -> Vec<u8> {
    let (pickle, storages) = pickle(object);
    let mut file = legacy::MAGIC.to_vec();
    file.extend(b"\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.");
    file.extend(pickle);
    file.extend(b"\x80\x02](");
    (0..storages.len()).for_each(|key| text(&key.to_string(), &mut file));
    file.extend(b"e.");
    for bytes in storages {
        file.extend((bytes.len() as i64 / 4).to_le_bytes());
        file.extend(bytes);
    }
    file
}

/// Returns the pickle of `object`, and the storages of its tensors.
fn pickle(object: &Py) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut out, mut storages) = (b"\x80\x02".to_vec(), Vec::new());
    write(object, &mut out, &mut storages);
    out.push(b'.');
    (out, storages)
}

fn write(object: &Py, out: &mut Vec<u8>, storages: &mut Vec<Vec<u8>>) {
    match object {
        Py::None => out.push(b'N'),
        Py::Int(number) => int(*number, out),
        Py::Str(content) => text(content, out),
        Py::Instance => out.extend(b"cthing\nThing\n)\x81}b"),
        Py::Complex => {
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text("storage", out);
            out.extend(b"ctorch\nComplexFloatStorage\n");
            text("none", out);
            text("cpu", out);
            out.extend(b"K\0tQK\0K\0\x85K\x01\x85\x89NtR");
        }
        // The 7th argument of `_rebuild_tensor_v3` is the type of elements.
        Py::Rebuilt(function) => {
            out.extend(format!("ctorch._utils\n{function}\n(NNNNNNctorch\nfloat8_e4m3fn\ntR").bytes());
        }
        Py::List(items) => {
            out.extend(b"](");
            for item in items {
                write(item, out, storages);
            }
            out.push(b'e');
        }
        Py::Dict(items) => {
            out.extend(b"}(");
            for (key, value) in items {
                text(key, out);
                write(value, out, storages);
            }
            out.push(b'u');
        }
        Py::Tensor(values) => {
            let len = values.len() as i32;
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text("storage", out);
            out.extend(b"ctorch\nFloatStorage\n");
            text(&storages.len().to_string(), out);
            text("cpu", out);
            int(len, out);
            out.extend(b"NtQK\0");
            int(len, out);
            out.extend(b"\x85K\x01\x85\x89NtR");
            storages.push(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        }
    }
}

fn int(number: i32, out: &mut Vec<u8>) {
    out.push(b'J');
    out.extend(number.to_le_bytes());
}

fn text(content: &str, out: &mut Vec<u8>) {
    out.push(b'X');
    out.extend((content.len() as u32).to_le_bytes());
    out.extend(content.as_bytes());
}
