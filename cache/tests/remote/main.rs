//! Tests of remotes: one suite for a folder, SeaweedFS (S3) and Azurite (Azure), and tests with hostile and failing servers.
//!
//! `cache/tests/install-servers.sh` installs the two servers; without them, their tests are skipped.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

mod fake;
mod hostile;
mod servers;
mod suite;
mod test_store;

use object_store::local::LocalFileSystem;
use std::sync::Arc;
use test_store::Bucket;

#[test]
fn a_folder_is_a_remote() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = |name: &str| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let raw = Arc::new(LocalFileSystem::new_with_prefix(&folder).expect("a folder"));
        Bucket { url: format!("file://{}", folder.display()), environment: Vec::new(), raw }
    };
    suite::all(&url);
}

#[test]
fn seaweedfs_is_a_remote() {
    let Some(server) = servers::SeaweedFs::start() else { return };
    suite::all(&|name| server.bucket(name));
}

#[test]
fn azurite_is_a_remote() {
    let Some(server) = servers::Azurite::start() else { return };
    suite::all(&|name| server.bucket(name));
}

/// Prints the measurements in the README: `cargo test -p pipe-cache --test remote -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "prints a measurement")]
fn speed() {
    let Some(server) = servers::SeaweedFs::start() else { return };
    for line in suite::speed(&server.bucket("speed")) {
        eprintln!("{line}");
    }
}
