//! Tasks of this repository: `cargo xtask TASK`. [`USAGE`] lists them.
//!
//! `setup` installs what cargo cannot. Every task that builds runs it first; once it is done, it takes milliseconds.

mod cargo;
mod docs;
mod failure;
mod libraries;
mod packages;
mod setup;

use failure::Failure;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask TASK

  setup [--cuda]      Install FFmpeg's headers, build tools, libtorch, ONNX Runtime and OpenVINO; with --cuda, also for NVIDIA GPUs (3 GB)
  run FILE [ARGS]     Build pipe and its workers, then run `pipe run FILE`
  test [ARGS]         Run all tests; arguments are passed to cargo nextest or cargo test
  soak                Run the tests that take many minutes: kills at random moments, recipes at their published sizes
  fuzz [SECONDS] [TARGET…]
                      Fuzz each parser, or some, for 60 seconds or as given; needs a nightly toolchain
  bench engine [ARGS] Measure a run with nothing to do, against ninja, turborepo, Snakemake, DVC and b3sum
  bench data --clips CLIPS
                      Measure loading of clips, against MMAction2 and PyTorch's DataLoader on videos and on JPEG files
  bench forward [--only NETWORK]
                      Measure forward passes of networks, against PyTorch
  bench train [--only NETWORK] [--bfloat16]
                      Measure training steps of networks, against PyTorch
  bench epoch --clips FOLDER
                      Measure an epoch of training from videos, against PyTorch with torchcodec
  bench predict --clips FOLDER
                      Measure predictions of videos, against PyTorch with torchcodec, and ONNX Runtime with decord
  bench optimization --clips FOLDER --weights FILE
                      Measure what int8 and pruning cost and gain
  bench fine_tuning --clips CLIPS --weights FILE
                      Fine-tune ImageNet weights on real clips: what is trained, from which weights, with which rate
  bench data_frames CLIPS
                      Measure decoding and coding of frames, against OpenCV, PyAV and torchcodec
  golden networks|structure|inflation|optim|schedules|losses|train-step|metrics|explain FILE… [--only ID]
                      Compare with values of the Python originals
  install [ARGS]      Install pipe and its workers; arguments are passed to cargo install
  docs                Update generated files: the schema of pipeline files, and the tables of README.md";

fn main() -> ExitCode {
    match task(env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                print(&message);
            }
            failure.exit_code()
        }
    }
}

fn task(mut args: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let name = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    let root = root()?;
    match name.to_str() {
        Some("setup") => setup::setup_with(&root, &args),
        Some("run") => setup::setup(&root).and_then(|()| cargo::run(&root, &args)),
        Some("test") => setup::setup(&root).and_then(|()| cargo::test(&root, &args)),
        Some("soak") => setup::setup(&root).and_then(|()| cargo::soak(&root, &args)),
        Some("fuzz") => setup::setup(&root).and_then(|()| cargo::fuzz(&root, &args)),
        Some("bench") => cargo::bench(&root, &args),
        Some("golden") => cargo::golden(&root, &args),
        Some("install") => setup::setup(&root).and_then(|()| cargo::install(&root, &args)),
        Some("docs") => docs::docs(&root),
        Some("help" | "-h" | "--help") => {
            print(USAGE);
            Ok(())
        }
        Some("") => Err(Failure::new("no task is given").help(USAGE)),
        _ => Err(Failure::new(format!("`{}` is not a task", name.display())).help(USAGE)),
    }
}

/// Returns the repository's folder. It is read at run time: one build may serve several copies of the repository.
fn root() -> Result<PathBuf, Failure> {
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.as_deref().and_then(|package| package.parent());
    root.map(Into::into).ok_or_else(|| Failure::new("not started by cargo").help("cargo xtask TASK"))
}

/// Prints a line to stderr; stdout belongs to the program that `run` turns into.
#[expect(clippy::print_stderr, reason = "the only place of this program that prints")]
fn print(line: &str) {
    eprintln!("{line}");
}
