//! The tasks that call cargo, after set-up.

use crate::failure::Failure;
use crate::print;
use fs_err as fs;
use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The packages of `pipe` and its workers.
const PROGRAMS: &[&str] = &[".", "workers/data", "workers/infer", "workers/torch"];

/// The environment variable with the path of a file, to which tests append why they were skipped; see `pipe_testkit::skip`.
const SKIPS: &str = "PIPE_TEST_SKIPS";

/// The package that [`fuzz`] installs; MIT or Apache-2.0.
const FUZZER: &str = "cargo-fuzz@0.13.1";

/// Fuzz targets with folders of the repository that hold good examples.
const SEEDS: &[(&str, &str)] = &[
    ("pipeline", "pipelines"),
    ("pipeline", "pipelines/base/datasets"),
    ("pipeline", "pipelines/base/models"),
    ("pipeline", "tests/pipe"),
];

/// Builds `pipe` and its workers, then becomes `pipe run`; returns only if that fails.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    build(root)?;
    // This program was built into the same folder.
    let pipe = env::current_exe()?.with_file_name("pipe");
    Err(Command::new(pipe).arg("run").args(args).exec().into())
}

/// Runs all tests, or those of the packages that `args` names.
pub(crate) fn test(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    // The black-box tests start the workers, which cargo does not build for tests of another package.
    build(root)?;
    let has_nextest = cargo(root, &["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let chosen = args.iter().any(|arg| arg == "-p" || arg.to_string_lossy().starts_with("--package"));
    let runner: &[&str] = if has_nextest.success() { &["nextest", "run"] } else { &["test"] };
    let skips = env::temp_dir().join(format!("pipe-test-skips-{}", std::process::id()));
    let mut tests = cargo(root, runner);
    let passed = succeed(tests.args((!chosen).then_some("--workspace")).args(args).env(SKIPS, &skips));
    print_skips(&skips)?;
    passed
}

/// Prints each reason for skipped tests once, and deletes the file.
fn print_skips(file: &Path) -> Result<(), Failure> {
    if !file.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(file)?;
    fs::remove_file(file)?;
    let mut reasons: Vec<&str> = text.lines().collect();
    reasons.sort_unstable();
    for same in reasons.chunk_by(|a, b| a == b) {
        print(&format!("skipped in {} tests: {}", same.len(), same[0]));
    }
    Ok(())
}

/// Runs the tests that take many minutes, one at a time.
pub(crate) fn soak(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    build(root)?;
    // The whole workspace: for one package alone, cargo would compile its dependencies again with other features.
    let ignored = ["test", "--workspace", "--test", "pipe", "--", "--ignored", "--nocapture", "--test-threads", "1"];
    succeed(cargo(root, &ignored).args(args))
}

/// Fuzzes each target of `fuzz/fuzz_targets`, or those that `args` names after a number of seconds.
pub(crate) fn fuzz(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    let mut args: Vec<&str> = args.iter().map(|arg| arg.to_str().unwrap_or_default()).collect();
    let secs = match args.first().map(|secs| secs.parse::<u32>()) {
        Some(Ok(secs)) => {
            args.remove(0);
            secs
        }
        Some(Err(_)) | None => 60,
    };
    let targets = fuzz_targets(root)?;
    if let Some(unknown) = args.iter().find(|name| !targets.iter().any(|target| target == *name)) {
        let message = format!("`{unknown}` is neither a number of seconds nor a fuzz target");
        return Err(Failure::new(message).help(format!("cargo xtask fuzz 300 {}", targets.join(" "))));
    }
    let has_fuzz = cargo(root, &["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !has_fuzz.success() {
        succeed(&mut cargo(root, &["install", "--locked", FUZZER]))?;
    }
    // Valid inputs of every target, as examples.
    let mut seeds =
        cargo(root, &["run", "--quiet", "--package", "pipe-fuzz-harness", "--example", "write_seeds", "--"]);
    succeed(seeds.arg(root.join("fuzz/corpus")))?;
    for target in targets.iter().filter(|target| args.is_empty() || args.contains(&target.as_str())) {
        print(&format!("fuzzing {target} for {secs} s"));
        fuzz_target(root, target, secs)?;
    }
    Ok(())
}

/// Returns the names of the fuzz targets, sorted.
fn fuzz_targets(root: &Path) -> Result<Vec<String>, Failure> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    targets.sort();
    Ok(targets)
}

/// Fuzzes one target. New inputs go to `fuzz/corpus/TARGET`; the folders of [`SEEDS`] are further examples.
fn fuzz_target(root: &Path, target: &str, secs: u32) -> Result<(), Failure> {
    let corpus = root.join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let mut command = Command::new("cargo"); // rustup's, which knows `+nightly`
    command.current_dir(root).args(["+nightly", "fuzz", "run", target]).arg(corpus);
    command.args(SEEDS.iter().filter(|(name, _)| *name == target).map(|(_, folder)| folder)).arg("--");
    // One input may take 5 s and 512 MB; none is longer than 64 KiB.
    command.args(["-timeout=5", "-rss_limit_mb=512", "-max_len=65536", "-print_final_stats=1"]);
    succeed(command.arg(format!("-max_total_time={secs}")).stdin(Stdio::null()))
}

/// Runs a benchmark of `benches/` on an optimised build.
pub(crate) fn bench(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    let Some((name, rest)) = args.split_first() else {
        return Err(Failure::new("no benchmark is given").help("cargo xtask bench engine"));
    };
    let script = root.join("benches").join(name).with_extension("py");
    if !script.is_file() {
        return Err(Failure::new(format!("`{}` is not a benchmark", name.display())).help("cargo xtask bench engine"));
    }
    succeed(&mut cargo(root, &["build", "--release", "--package", "pipe"]))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let mut python = Command::new("python3");
    succeed(python.arg(script).arg(target.join("release/pipe")).args(rest))
}

/// Compares with values of the Python originals, see `examples/golden` of `crates/learn` and, for metrics, which need no libtorch,
/// `examples/golden_metrics` of `crates/metrics`. Their names differ, because both programs are in one folder.
pub(crate) fn golden(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    let (package, example) = if args.first().is_some_and(|kind| kind == "metrics") {
        ("pipe-metrics", "golden_metrics")
    } else {
        crate::setup::setup(root)?;
        ("pipe-learn", "golden")
    };
    let mut compare = cargo(root, &["run", "--quiet", "--package", package, "--example", example, "--"]);
    succeed(compare.args(args))
}

/// Installs `pipe` and its workers into cargo's folder of programs.
pub(crate) fn install(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    for path in PROGRAMS {
        succeed(cargo(root, &["install", "--locked", "--path", path]).args(args))?;
    }
    Ok(())
}

fn build(root: &Path) -> Result<(), Failure> {
    succeed(&mut cargo(root, &["build"]))
}

pub(crate) fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(args);
    command
}

pub(crate) fn succeed(command: &mut Command) -> Result<(), Failure> {
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(Failure::Program(status)),
    }
}
