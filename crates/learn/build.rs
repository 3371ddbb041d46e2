//! Lets programs and tests find the libtorch that they were linked with, without `LD_LIBRARY_PATH`, and passes on its version.
//!
//! Link arguments apply only to the package whose build script prints them. So every package with a program or test that links
//! libtorch names this file in its manifest: `build = "../../crates/learn/build.rs"`. `pipe-learn` itself has `cpp/build.rs`, which also
//! compiles.

#![expect(clippy::disallowed_methods, reason = "a build script without dependencies; the path is in its message")]

use std::path::Path;

pub(crate) fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Ok(libtorch) = std::env::var("LIBTORCH") else {
        return;
    };
    let libtorch = Path::new(&libtorch);
    let libtorch = libtorch.canonicalize().unwrap_or(libtorch.into());
    // RPATH, not RUNPATH: only the former is also used for the libraries that libtorch itself loads.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", libtorch.join("lib").display());
    let version = libtorch.join("build-version");
    println!("cargo:rerun-if-changed={}", version.display());
    if let Ok(version) = std::fs::read_to_string(version) {
        println!("cargo:rustc-env=LIBTORCH_VERSION={}", version.trim());
    }
}
