//! Compiles `c10d.cpp` against the headers of libtorch, and does what `../build.rs` does for all programs that link libtorch.

#[path = "../build.rs"]
mod link;

use std::path::Path;

fn main() {
    link::main();
    println!("cargo:rerun-if-changed=c10d");
    // Without it, the build of `torch-sys` says what is missing.
    let Ok(libtorch) = std::env::var("LIBTORCH") else { return };
    let include = Path::new(&libtorch).join("include");
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .warnings(false) // of libtorch's headers
        // Its functions call others that are compiled. Optimising or describing all that the headers contain would take minutes.
        .opt_level(0)
        .debug(false)
        .include("c10d")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .file("c10d/c10d.cpp")
        .compile("pipe_c10d");
    println!("cargo:rustc-link-search=native={}", Path::new(&libtorch).join("lib").display());
    for library in ["torch_cpu", "c10"] {
        println!("cargo:rustc-link-lib={library}");
    }
}
