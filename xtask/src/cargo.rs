//! The tasks that call cargo again, now that all it needs is there.

use crate::failure::Failure;
use crate::say;
use fs_err as fs;
use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where `pipe` and its workers come from.
const PROGRAMS: &[&str] = &[".", "workers/data", "workers/torch"];

/// Names the file in which tests say what they lack; see `pipe_testkit::skip`.
const SKIPS: &str = "PIPE_TEST_SKIPS";

/// What [`fuzz`] runs with; MIT or Apache-2.0.
const FUZZER: &str = "cargo-fuzz@0.13.1";

/// Builds `pipe` and its workers, then becomes `pipe run`; returns only if that fails.
pub(crate) fn run(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    build(root)?;
    // This program was built into the same folder.
    let pipe = env::current_exe()?.with_file_name("pipe");
    Err(Command::new(pipe).arg("run").args(args).exec().into())
}

/// Runs all tests, or those of the packages that `args` names.
pub(crate) fn test(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    // The black-box tests start the workers, which cargo does not build for a test of another package.
    build(root)?;
    let has_nextest = cargo(root, &["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let chosen = args.iter().any(|arg| arg == "-p" || arg.to_string_lossy().starts_with("--package"));
    let runner: &[&str] = if has_nextest.success() { &["nextest", "run"] } else { &["test"] };
    let skips = env::temp_dir().join(format!("pipe-test-skips-{}", std::process::id()));
    let mut tests = cargo(root, runner);
    let passed = succeed(tests.args((!chosen).then_some("--workspace")).args(args).env(SKIPS, &skips));
    tell_skips(&skips)?;
    passed
}

/// Tells what tests lacked, each thing once, and takes the file away.
fn tell_skips(file: &Path) -> Result<(), Failure> {
    if !file.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(file)?;
    fs::remove_file(file)?;
    let mut lacks: Vec<&str> = text.lines().collect();
    lacks.sort_unstable();
    for same in lacks.chunk_by(|a, b| a == b) {
        say(&format!("skipped in {} of the tests: {}", same.len(), same[0]));
    }
    Ok(())
}

/// Runs the tests that take many minutes, one after the other.
pub(crate) fn soak(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    build(root)?;
    // Of the whole workspace: one package alone would have its libraries compiled with other features.
    let ignored = ["test", "--workspace", "--test", "pipe", "--", "--ignored", "--nocapture", "--test-threads", "1"];
    succeed(cargo(root, &ignored).args(args))
}

/// Feeds pipeline files to the front end that nobody would write, starting from real ones.
pub(crate) fn fuzz(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    let secs = args.first().map_or("60", |secs| secs.to_str().unwrap_or_default());
    if secs.parse::<u32>().is_err() {
        return Err(Failure::new(format!("`{secs}` is no number of seconds")).help("cargo xtask fuzz 300"));
    }
    let has_fuzz = cargo(root, &["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !has_fuzz.success() {
        succeed(&mut cargo(root, &["install", "--locked", FUZZER]))?;
    }
    // What is found interesting goes to the first folder; the others only give examples.
    let corpus = root.join("fuzz/corpus/pipeline");
    fs::create_dir_all(&corpus)?;
    let mut command = Command::new("cargo"); // rustup's, which knows `+nightly`
    command.current_dir(root).args(["+nightly", "fuzz", "run", "pipeline"]).arg(corpus);
    command.args(["pipelines", "pipelines/base/datasets", "pipelines/base/models", "tests/pipe", "--"]);
    // One input may take 5 s and 512 MB; none is longer than 64 KiB.
    command.args(["-timeout=5", "-rss_limit_mb=512", "-max_len=65536", "-print_final_stats=1"]);
    succeed(command.arg(format!("-max_total_time={secs}")).stdin(Stdio::null()))
}

/// Runs a benchmark of `benches/` on an optimised build.
pub(crate) fn bench(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    let Some((name, rest)) = args.split_first() else {
        return Err(Failure::new("which benchmark?").help("cargo xtask bench engine"));
    };
    let script = root.join("benches").join(name).with_extension("py");
    if !script.is_file() {
        return Err(
            Failure::new(format!("there is no benchmark `{}`", name.display())).help("cargo xtask bench engine")
        );
    }
    succeed(&mut cargo(root, &["build", "--release", "--package", "pipe"]))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let mut python = Command::new("python3");
    succeed(python.arg(script).arg(target.join("release/pipe")).args(rest))
}

/// Installs `pipe` and its workers beside each other, in cargo's folder of programs.
pub(crate) fn install(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    for path in PROGRAMS {
        succeed(cargo(root, &["install", "--locked", "--path", path]).args(args))?;
    }
    Ok(())
}

/// Writes the schema of pipeline files.
pub(crate) fn schema(root: &Path) -> Result<(), Failure> {
    let mut command = cargo(root, &["run", "--quiet", "--package", "pipe-schemas", "--example", "pipeline_schema"]);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(Failure::Program(output.status));
    }
    let path = root.join("schemas/json/pipeline.schema.json");
    fs::write(&path, output.stdout)?;
    say(&format!("wrote {}", path.display()));
    Ok(())
}

fn build(root: &Path) -> Result<(), Failure> {
    succeed(&mut cargo(root, &["build"]))
}

fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(args);
    command
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(Failure::Program(status)),
    }
}
