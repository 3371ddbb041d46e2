//! Any bytes as a zip archive of `torch.save`: tensors of bounded size, or an error.

use crate::safetensors::check;
use std::io::{Cursor, Write};

/// The bytes by which the format is recognised.
const MAGIC: &[u8] = b"PK\x03\x04";

pub(crate) fn run(data: &[u8]) {
    let mut file = data.to_vec();
    let len = file.len().min(MAGIC.len());
    file[..len].copy_from_slice(&MAGIC[..len]);
    check(&file);
}

/// Returns archives of one tensor under `model`: as `torch.save` writes them, compressed, and without the tensor's content.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut pickle = b"\x80\x02}X\x05\0\0\0model}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n".to_vec();
    pickle.extend(b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04NtQ");
    pickle.extend(b"K\0K\x02K\x02\x86K\x01K\x02\x86\x89NtRss.");
    let content: &[(&str, &[u8])] = &[("a/data.pkl", &pickle), ("a/byteorder", b"little"), ("a/data/0", &[1; 16])];
    vec![
        archive(content, zip::CompressionMethod::Stored),
        archive(content, zip::CompressionMethod::Deflated),
        archive(&content[..1], zip::CompressionMethod::Stored),
    ]
}

fn archive(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).expect("an entry");
        zip.write_all(content).expect("written");
    }
    zip.finish().expect("an archive").into_inner()
}
