//! What tests need and may not find: [`shared`] data beside the repository, and programs. [`skip`] reports what is missing.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable with the path of the file to which [`skip`] appends. `cargo xtask test` sets it and prints the file at its end.
const SKIPS: &str = "PIPE_TEST_SKIPS";

/// Returns the folder of this repository.
///
/// # Panics
/// If cargo did not start the test.
pub fn repository() -> PathBuf {
    // This is read at run time, because copies of the repository may share a build.
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("started by cargo"));
    let root = package.ancestors().find(|folder| folder.join("Cargo.lock").exists());
    root.expect("a package of the repository").to_owned()
}

/// Returns a file or folder of the real data in `shared`, beside the repository. If it is missing, reports that and returns `None`.
pub fn shared(path: impl AsRef<Path>) -> Option<PathBuf> {
    let path = Path::new("shared").join(path);
    let found = repository().parent().and_then(|folder| folder.join(&path).canonicalize().ok());
    if found.is_none() {
        skip(&format!("there is no `{}` beside the repository", path.display()));
    }
    found
}

/// Returns the library of ONNX Runtime that `ORT_DYLIB_PATH` names, or the one that `cargo xtask setup` unpacked. If it is missing,
/// reports that and returns `None`.
pub fn onnx_runtime() -> Option<PathBuf> {
    let found = library("ORT_DYLIB_PATH", "onnxruntime-", "libonnxruntime.so");
    if found.is_none() {
        skip("no ONNX Runtime, which `cargo xtask setup` brings");
    }
    found
}

/// Returns the C library of OpenVINO that `OPENVINO_C_DYLIB_PATH` names, or the one that `cargo xtask setup` unpacked. If it is
/// missing, reports that and returns `None`.
pub fn openvino() -> Option<PathBuf> {
    let found = library("OPENVINO_C_DYLIB_PATH", "openvino-", "libopenvino_c.so");
    if found.is_none() {
        skip("no OpenVINO, which `cargo xtask setup` brings");
    }
    found
}

/// Returns the file that a variable names, or the newest that begins with `file` in a folder of the cache that begins with `folder`.
fn library(variable: &str, folder: &str, file: &str) -> Option<PathBuf> {
    let path = |name| env::var_os(name).map(PathBuf::from);
    let files = |folder: &Path, start: &str| -> Vec<PathBuf> {
        let paths = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let has_start = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
        paths.filter(has_start).collect()
    };
    let unpacked = || {
        let cache = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")))?.join("pipe");
        files(&cache, folder).iter().flat_map(|folder| files(folder, file)).max()
    };
    path(variable).or_else(unpacked)
}

/// Runs a Python script with the argument `path`, if Python has `package`, and returns what it prints. The variable `PYTHON` names
/// the interpreter. If the package is missing, reports that and returns `None`.
///
/// # Panics
/// If the script fails, or prints text that is not UTF-8.
pub fn python(package: &str, script: &str, path: &Path) -> Option<String> {
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let imports = Command::new(&python).args(["-c", &format!("import {package}")]).stderr(Stdio::null()).status();
    if !imports.is_ok_and(|status| status.success()) {
        skip(&format!("no Python with {package}, which reads the written files"));
        return None;
    }
    let output = Command::new(python).args(["-c", script]).arg(path).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Reports that a test, or the rest of a test, is skipped because `missing` is not available.
///
/// # Panics
/// If the file that `cargo xtask test` names can't be written.
#[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
pub fn skip(missing: &str) {
    eprintln!("skipped: {missing}");
    if let Some(file) = env::var_os(SKIPS) {
        let mut file = OpenOptions::new().append(true).create(true).open(file).expect("opened");
        // One write per line, because the tests of many processes share the file.
        file.write_all(format!("{missing}\n").as_bytes()).expect("written");
    }
}
