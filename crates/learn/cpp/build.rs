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
    let mut functions = cpp();
    functions
        .warnings(false) // of libtorch's headers
        // Its functions call others that are compiled. Optimising or describing all that the headers contain would take minutes.
        .opt_level(0)
        .debug(false)
        .include("cpp")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .files(["cpp/c10d.cpp", "cpp/batch_norm.cpp", "cpp/foreach.cpp"]);
    // Without OpenMP, `at::parallel_for` of libtorch's headers is a plain loop. libtorch contains the runtime of GCC, and two runtimes in one
    // program would each start threads.
    let has_openmp = functions.get_compiler().is_like_gnu();
    if has_openmp {
        functions.flag("-fopenmp");
    } else {
        println!("cargo:warning=the C++ compiler is not GCC: batch normalisation is trained with one thread");
    }
    functions.compile("pipe_learn");
    // Loops, without headers of libtorch. They are fast in debug builds, too.
    cpp().opt_level(3).debug(false).file("cpp/rows.cpp").compile("pipe_learn_rows");
    println!("cargo:rustc-link-search=native={}", Path::new(&libtorch).join("lib").display());
    for library in ["torch_cpu", "c10"].into_iter().chain(has_openmp.then_some("gomp")) {
        println!("cargo:rustc-link-lib={library}");
    }
}
