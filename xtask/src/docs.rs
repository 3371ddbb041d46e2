//! [`docs`]: updates the files that are generated from contracts.
//!
//! An example of a package prints each: the schema of pipeline files, and `README.md` with its tables. Tests of these packages fail if a
//! file is not up to date.

use crate::cargo::cargo;
use crate::failure::Failure;
use crate::print;
use fs_err as fs;
use std::path::Path;
use std::process::Stdio;

/// Writes each generated file that is not up to date.
pub(crate) fn docs(root: &Path) -> Result<(), Failure> {
    update(root, "schemas/json/pipeline.schema.json", "pipe-schemas", "pipeline_schema")?;
    update(root, "README.md", "pipe-schemas", "readme")
}

/// Writes what an example prints to `path`, a file of the repository.
fn update(root: &Path, path: &str, package: &str, example: &str) -> Result<(), Failure> {
    let mut command = cargo(root, &["run", "--quiet", "--package", package, "--example", example]);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(Failure::Program(output.status));
    }
    let path = root.join(path);
    if fs::read(&path).is_ok_and(|old| old == output.stdout) {
        return Ok(());
    }
    fs::write(&path, output.stdout)?;
    print(&format!("wrote {}", path.display()));
    Ok(())
}
