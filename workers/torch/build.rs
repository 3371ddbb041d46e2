//! Lets the worker find libtorch where it was linked, without `LD_LIBRARY_PATH`, and tells it the version.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Ok(libtorch) = std::env::var("LIBTORCH") else {
        return;
    };
    let libtorch = std::path::Path::new(&libtorch);
    let libtorch = libtorch.canonicalize().unwrap_or(libtorch.into());
    // RPATH, not RUNPATH: only the former is also used for the libraries that libtorch itself loads.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", libtorch.join("lib").display());
    let version = libtorch.join("build-version");
    println!("cargo:rerun-if-changed={}", version.display());
    if let Ok(version) = std::fs::read_to_string(version) {
        println!("cargo:rustc-env=LIBTORCH_VERSION={}", version.trim());
    }
}
