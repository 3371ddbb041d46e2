//! Any bytes as an archive: files inside the output folder, within the limits, or an error.
//!
//! The first byte of the input selects options.

use crate::scratch;
use pipe_schemas::stages::fetch::{FetchFile, FetchParams};
use pipe_stage_fetch::Fetch;
use pipe_testkit::run_stage;
use std::io::{Cursor, Write};
use std::path::Path;

const MAX_BYTES: u64 = 1 << 20;
const MAX_FILES: u64 = 50;

pub(crate) fn run(data: &[u8]) {
    let Some((&options, archive)) = data.split_first() else { return };
    // A rar is read by another program, which is not under test.
    if archive.len() > 1 << 18 || archive.windows(4).any(|bytes| bytes == b"Rar!") {
        return;
    }
    let folder = scratch::folder();
    let path = folder.path().join("archive");
    fs_err::write(&path, archive).expect("written");
    let url = format!("file://{}", path.display());
    let params = FetchParams {
        files: vec![FetchFile { url, unchecked: true, ..FetchFile::default() }],
        unpack: true,
        strip_folders: u32::from(options & 1),
        nested: options & 2 != 0,
        max_bytes: MAX_BYTES,
        max_files: MAX_FILES,
    };
    let output = folder.path().join("output");
    run_stage(&Fetch, &params, [], &output, 1);
    let files = output.join("files");
    let (mut num_files, mut size_bytes) = (0, 0);
    count(&files, &mut num_files, &mut size_bytes);
    assert!(num_files <= MAX_FILES && size_bytes <= MAX_BYTES, "{num_files} files, {size_bytes} bytes");
    let mut names: Vec<_> = fs_err::read_dir(folder.path()).expect("a folder").flatten().collect();
    names.retain(|entry| entry.file_name() != "archive" && entry.file_name() != "output");
    assert!(names.is_empty(), "written outside the output: {names:?}");
}

/// Counts files, and asserts that there is nothing but files and folders.
fn count(folder: &Path, num_files: &mut u64, size_bytes: &mut u64) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let metadata = entry.path().symlink_metadata().expect("metadata");
        if metadata.is_dir() {
            count(&entry.path(), num_files, size_bytes);
        } else {
            assert!(metadata.is_file(), "neither a file nor a folder: {}", entry.path().display());
            *num_files += 1;
            *size_bytes += metadata.len();
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (tar, zip) = (tar_of(&[("a/b.avi", b"video"), ("a/list.txt", b"1 A\n")]), zip_of(&[("a/b.avi", b"video")]));
    let nested = tar_of(&[("a/inner.zip", &zip)]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).expect("compressed");
    let gzip = gzip.finish().expect("compressed");
    [(0, tar), (1, zip), (2, nested), (0, gzip)].map(|(options, archive)| [&[options], &archive[..]].concat()).into()
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, *content).expect("appended");
    }
    builder.into_inner().expect("finished")
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        writer.start_file(*path, zip::write::SimpleFileOptions::default()).expect("started");
        writer.write_all(content).expect("written");
    }
    writer.finish().expect("finished").into_inner()
}
