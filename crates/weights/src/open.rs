//! [`Checkpoint::open`]: reads a file of any of the formats.

use crate::checkpoint::Checkpoint;
use crate::error::{FormatError, WeightsError};
use crate::{legacy, safe, torch_zip};
use std::io::Read;
use std::path::Path;

impl Checkpoint {
    /// Reads a file of `torch.save` (either format) or a safetensors file; the first bytes identify the format.
    ///
    /// Only the state dict is read: the dictionary under `state_dict`, `model` or another of the usual keys, or the top-level one.
    ///
    /// # Errors
    /// [`WeightsError::UnknownFormat`] if the file has none of the formats, [`WeightsError::NoStateDict`] if it has no state dict, and
    /// [`WeightsError::Broken`] if its content is invalid.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        // A pipe would wait for somebody to write to it.
        if !fs_err::metadata(path)?.is_file() {
            return Err(WeightsError::UnknownFormat { path: path.into(), found: "it is not a regular file" });
        }
        let mut file = fs_err::File::open(path)?;
        let mut data = Vec::new();
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut data)?;
        // A large file of another kind is not read.
        let Some(format) = Format::of(&data) else {
            return Err(WeightsError::UnknownFormat { path: path.into(), found: other_format(&data) });
        };
        file.read_to_end(&mut data)?;
        format.read(&data).map_err(|source| match source {
            FormatError::NoStateDict { contents } => WeightsError::NoStateDict { path: path.into(), contents },
            source => WeightsError::Broken { path: path.into(), source },
        })
    }
}

/// The number of bytes by which a format is recognised.
const HEAD_BYTES: u64 = 512;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Zip,
    Legacy,
    Safetensors,
}

impl Format {
    /// Recognises the format by the first bytes of a file.
    fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"PK\x03\x04") {
            Some(Self::Zip)
        } else if head.starts_with(legacy::MAGIC) {
            Some(Self::Legacy)
        } else if head.get(8) == Some(&b'{') {
            Some(Self::Safetensors)
        } else {
            None
        }
    }

    fn read(self, data: &[u8]) -> Result<Checkpoint, FormatError> {
        match self {
            Self::Zip => torch_zip::read(data),
            Self::Legacy => legacy::read(data),
            Self::Safetensors => safe::read(data),
        }
    }
}

/// Says what a file of an unknown format is.
fn other_format(head: &[u8]) -> &'static str {
    let text: String = String::from_utf8_lossy(head).trim_start().to_lowercase();
    if head.is_empty() {
        "it is empty"
    } else if text.starts_with("version https://git-lfs") {
        "it is a pointer of Git LFS (`git lfs pull` gets the file)"
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        "it is a web page, which a failed download leaves"
    } else if head.starts_with(b"\x80") {
        "it is a pickle of another program"
    } else if head.starts_with(b"\x89HDF") {
        "it is an HDF5 file, for example of Keras"
    } else {
        "its first bytes are unknown"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;
    use std::io::{Cursor, Write};

    fn parse(data: &[u8]) -> Option<Result<Checkpoint, FormatError>> {
        Format::of(data).map(|format| format.read(data))
    }

    /// The pickle of `{"meta": HistoryBuffer(), "state_dict": OrderedDict(w=2x2 floats, transposed; n=a long)}`.
    fn object() -> Vec<u8> {
        let mut pickle = b"\x80\x02}(".to_vec();
        pickle.extend(b"X\x04\0\0\0metacmmengine.logging.history_buffer\nHistoryBuffer\n)R");
        pickle.extend(b"X\x0a\0\0\0state_dictccollections\nOrderedDict\n)R(");
        pickle.extend(b"X\x08\0\0\0module.w");
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        pickle.extend(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04NtQ");
        pickle.extend(b"K\0K\x02K\x02\x86K\x01K\x02\x86\x89NtR");
        pickle.extend(b"X\x01\0\0\0n");
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        pickle.extend(b"(X\x07\0\0\0storagectorch\nLongStorage\nX\x01\0\0\x001X\x03\0\0\0cpuK\x01NtQ");
        pickle.extend(b"K\0))\x89NtR");
        pickle.extend(b"uu.");
        pickle
    }

    fn storages() -> [Vec<u8>; 2] {
        [[1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect(), 7i64.to_le_bytes().into()]
    }

    fn legacy_file() -> Vec<u8> {
        let mut file = legacy::MAGIC.to_vec();
        file.extend(b"\x80\x02M\xe9\x03.");
        file.extend(b"\x80\x02}X\x0d\0\0\0little_endian\x88s.");
        file.extend(object());
        file.extend(b"\x80\x02](X\x01\0\0\x000X\x01\0\0\x001e.");
        let [floats, long] = storages();
        file.extend([&4i64.to_le_bytes()[..], &floats, &1i64.to_le_bytes(), &long].concat());
        file
    }

    fn zip_file() -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let [floats, long] = storages();
        let entries = [("data.pkl", object()), ("byteorder", b"little".into()), ("data/0", floats), ("data/1", long)];
        for (name, content) in entries {
            zip.start_file(format!("archive/{name}"), stored).expect("an entry");
            zip.write_all(&content).expect("written");
        }
        zip.finish().expect("an archive").into_inner()
    }

    fn check(file: &[u8]) {
        let checkpoint = parse(file).expect("a known format").expect("a checkpoint");
        let names: Vec<_> = checkpoint.tensors.keys().map(String::as_str).collect();
        assert_eq!(names, ["module.w", "n"]);
        assert_eq!(checkpoint.tensors["module.w"].shape, [2, 2]);
        assert_eq!(checkpoint.tensors["module.w"].to_f32(), [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(checkpoint.origin.wrapper.as_deref(), Some("state_dict"));
        assert_eq!(checkpoint.tensors["n"].to_f32(), [7.0]);
    }

    #[test]
    fn both_formats_of_torch_save_are_read() {
        check(&legacy_file());
        check(&zip_file());
    }

    #[test]
    fn broken_files_are_errors() {
        let safe = {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("a.safetensors");
            let tensors = [("a".to_owned(), Tensor::from_f32(vec![2], &[1.0, 2.0]))].into();
            safe::write_safetensors(&path, &tensors).expect("written");
            fs_err::read(path).expect("read")
        };
        for file in [legacy_file(), zip_file(), safe] {
            for len in 0..file.len() {
                assert!(!matches!(parse(&file[..len]), Some(Ok(_))), "{len} of {} bytes", file.len());
            }
            // A flipped byte may change a name or number without an error; it must not cause a panic or exhaust memory.
            for at in 0..file.len() {
                for flip in [0x01, 0x80, 0xff] {
                    let mut broken = file.clone();
                    broken[at] ^= flip;
                    let _ = parse(&broken);
                }
            }
        }
    }

    #[test]
    fn a_file_of_another_format_is_rejected() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pth");
        let check = |content: &[u8], expect: &str| {
            fs_err::write(&path, content).expect("written");
            let error = Checkpoint::open(&path).expect_err("rejected").to_string();
            let expect = format!("a.pth is not a checkpoint: {expect}, neither a file of torch.save nor safetensors");
            assert!(error.ends_with(&expect), "{error}");
        };
        check(b"", "it is empty");
        check(b"\n<html>not found</html>", "it is a web page, which a failed download leaves");
        check(b"<!DOCTYPE html><html>", "it is a web page, which a failed download leaves");
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5\n";
        check(pointer, "it is a pointer of Git LFS (`git lfs pull` gets the file)");
        check(b"\x80\x02}q\x00.", "it is a pickle of another program");
        check(b"\x89HDF\r\n\x1a\n", "it is an HDF5 file, for example of Keras");
        check(&[0xff; 2000], "its first bytes are unknown");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let error = Checkpoint::open(&socket).expect_err("rejected").to_string();
        assert!(error.contains("it is not a regular file"), "{error}");
    }
}
