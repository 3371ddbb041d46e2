//! Compiles the C++ of this folder against the headers of libtorch, and does what `../build.rs` does for all programs that link libtorch.

#[path = "../build.rs"]
mod link;

use std::path::Path;

fn main() {
    link::main();
    println!("cargo:rerun-if-changed=cpp");
    // Without it, the build of `torch-sys` says what is missing.
    let Ok(libtorch) = std::env::var("LIBTORCH") else { return };
    let include = Path::new(&libtorch).join("include");
    let cpp = || cc::Build::new().cpp(true).std("c++20").clone();
    cpp()
        .warnings(false) // of libtorch's headers
        // Its functions call others that are compiled. Optimising or describing all that the headers contain would take minutes.
        .opt_level(0)
        .debug(false)
        .include("cpp")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(["cpp/c10d.cpp", "cpp/batch_norm.cpp", "cpp/foreach.cpp"])
        .compile("pipe_learn");
    // Loops, without headers of libtorch. They are fast in debug builds, too.
    cpp().opt_level(3).debug(false).file("cpp/rows.cpp").compile("pipe_learn_rows");
    println!("cargo:rustc-link-search=native={}", Path::new(&libtorch).join("lib").display());
    for library in ["torch_cpu", "c10"] {
        println!("cargo:rustc-link-lib={library}");
    }
}
