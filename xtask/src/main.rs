//! Tasks of this repository: `cargo xtask setup | run | test | soak | fuzz | bench | install | schema`.
//!
//! `setup` brings what cargo can't; every other task does it first, and it costs nothing once done.

mod cargo;
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

  setup               FFmpeg's headers, build tools, libtorch and ONNX Runtime
  run FILE [ARGS]     builds pipe and its workers, then `pipe run FILE`
  test [ARGS]         all tests; arguments go to cargo nextest or cargo test
  soak                the tests that take many minutes: kills at random moments
  fuzz [SECONDS]      pipeline files that nobody would write, for a minute or so long; needs a nightly toolchain
  bench engine [ARGS] what a rerun costs, against ninja, turborepo, Snakemake, DVC and b3sum
  bench data --clips CLIPS
                      what loading clips costs, against MMAction2 and PyTorch's DataLoader on videos and on JPEG
  bench data_frames CLIPS
                      what frames of videos cost, against OpenCV, PyAV and torchcodec
  install [ARGS]      installs pipe and its workers; arguments go to cargo install
  schema              writes schemas/json/pipeline.schema.json anew";

fn main() -> ExitCode {
    match task(env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                say(&message);
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
        Some("setup") => setup::setup(&root),
        Some("run") => setup::setup(&root).and_then(|()| cargo::run(&root, &args)),
        Some("test") => setup::setup(&root).and_then(|()| cargo::test(&root, &args)),
        Some("soak") => setup::setup(&root).and_then(|()| cargo::soak(&root, &args)),
        Some("fuzz") => cargo::fuzz(&root, &args),
        Some("bench") => cargo::bench(&root, &args),
        Some("install") => setup::setup(&root).and_then(|()| cargo::install(&root, &args)),
        Some("schema") => cargo::schema(&root),
        Some("help" | "-h" | "--help") => {
            say(USAGE);
            Ok(())
        }
        Some("") => Err(Failure::new("which task?").help(USAGE)),
        _ => Err(Failure::new(format!("no task `{}`", name.display())).help(USAGE)),
    }
}

/// The repository's folder. Asked at run time: the same build may serve several copies of the repository.
fn root() -> Result<PathBuf, Failure> {
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.as_deref().and_then(|package| package.parent());
    root.map(Into::into).ok_or_else(|| Failure::new("not started by cargo").help("cargo xtask TASK"))
}

/// Tells people what happens; stdout belongs to the program that `run` becomes.
#[expect(clippy::print_stderr, reason = "the one place of this program that writes")]
fn say(line: &str) {
    eprintln!("{line}");
}
