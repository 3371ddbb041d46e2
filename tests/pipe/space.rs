//! [`Space`]: a temporary folder with a store, in which tests run `pipe`.

use pipe_testkit::repository;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Settings that make the smoke pipeline tiny: two classes, a few videos, two epochs.
const TINY: &[&str] = &[
    "stages.clips.with.classes=[move_left, move_right]",
    "stages.clips.with.groups=3",
    "stages.clips.with.test_groups=1",
    "stages.clips.with.clips_per_group=2",
    "stages.clips.with.frames_per_clip=12",
    "stages.samples.with.test.sampler.num_clips=1",
    "stages.samples.with.train.sampler.clip_len=4",
    "stages.samples.with.test.sampler.clip_len=4",
    "stages.model.with.train_dataloader.batch_size=4",
    "vars.epochs=2",
];

/// A temporary folder in which `pipe` runs, with its store in `.pipe`.
pub(crate) struct Space {
    /// Removed with the space.
    _temporary: tempfile::TempDir,
    folder: PathBuf,
}

/// The output of a run with `--output json`.
#[derive(Debug)]
pub(crate) struct RunOutput {
    pub(crate) code: Option<i32>,
    pub(crate) events: Vec<serde_json::Value>,
    pub(crate) stderr: String,
}

impl Space {
    pub(crate) fn new() -> Self {
        Self::below("")
    }

    /// Returns a space in a folder with this name.
    pub(crate) fn below(name: impl AsRef<Path>) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let space = Self { folder: temporary.path().join(name), _temporary: temporary };
        std::fs::create_dir_all(space.path(".pipe")).unwrap();
        space
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    pub(crate) fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipe"));
        command.args(args).current_dir(&self.folder).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a pipeline with `--output json`.
    pub(crate) fn run(&self, pipeline: &str, settings: &[&str]) -> RunOutput {
        let output =
            self.command(&run_args(pipeline, settings).iter().map(String::as_str).collect::<Vec<_>>()).output();
        run_output(&output.unwrap())
    }

    /// Runs the tiny smoke pipeline with additional settings.
    pub(crate) fn run_tiny(&self, settings: &[&str]) -> RunOutput {
        self.run("smoke", &tiny(settings))
    }

    /// Starts the tiny smoke pipeline, and kills it after `delay`.
    pub(crate) fn kill_tiny_after(&self, delay: Duration) {
        let args = run_args("smoke", &tiny(&[]));
        let mut command = self.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Reads a JSON file in the newest output of a stage.
    pub(crate) fn json(&self, pipeline: &str, stage: &str, file: &str) -> serde_json::Value {
        let path = self.path(".pipe/out").join(pipeline).join(stage).join(file);
        serde_json::from_str(
            &std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
        .unwrap()
    }

    /// Returns the CPU seconds that a command takes, as `bash` measures them.
    pub(crate) fn cpu_secs(&self, args: &[&str]) -> f64 {
        let script = r#"TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>&1"#;
        let output = Command::new("bash")
            .args(["-c", script, "bash", env!("CARGO_BIN_EXE_pipe")])
            .args(args)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        text.split_whitespace().map(|secs| secs.parse::<f64>().unwrap()).sum()
    }
}

pub(crate) fn tiny<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    TINY.iter().copied().chain(settings.iter().copied()).collect()
}

/// Returns the arguments that run `pipelines/NAME.yaml`, or a file if the name ends with `.yaml`.
pub(crate) fn run_args(pipeline: &str, settings: &[&str]) -> Vec<String> {
    let file = match pipeline.strip_suffix(".yaml") {
        Some(_) => PathBuf::from(pipeline),
        None => repository().join("pipelines").join(format!("{pipeline}.yaml")),
    };
    let mut args = vec!["run".to_owned(), file.display().to_string(), "--output".into(), "json".into()];
    // Tests must not write lock files beside the pipelines of this repository.
    args.extend(pipeline.strip_suffix(".yaml").is_none().then(|| "--no-lock".to_owned()));
    args.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]));
    args
}

pub(crate) fn run_output(output: &Output) -> RunOutput {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    RunOutput {
        code: output.status.code(),
        events: stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        stderr: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

impl RunOutput {
    /// Asserts that the run succeeded.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{:#?}\n{}", self.finished(), self.stderr);
        self
    }

    fn finished(&self) -> Vec<&serde_json::Value> {
        self.events.iter().filter(|event| event["event"] == "stage_finished").collect()
    }

    /// Returns the `stage_finished` event of a stage.
    pub(crate) fn stage(&self, name: &str) -> &serde_json::Value {
        let found = self.finished().into_iter().find(|event| event["stage"] == name);
        found.unwrap_or_else(|| panic!("no stage `{name}` finished: {}", self.stderr))
    }

    /// Returns the names of the stages with this outcome, sorted.
    pub(crate) fn stages(&self, outcome: &str) -> Vec<String> {
        let with = self.finished().into_iter().filter(|event| event["outcome"] == outcome);
        let mut names: Vec<String> = with.map(|event| event["stage"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Returns the output digest of each stage but `table`, which has measurements.
    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        let digest = |event: &serde_json::Value| {
            (event["stage"].as_str().unwrap().to_owned(), event["output"].as_str().unwrap_or_default().to_owned())
        };
        self.finished().into_iter().filter(|event| event["stage"] != "table").map(digest).collect()
    }

    /// Returns the last event, `run_finished`.
    pub(crate) fn run_finished(&self) -> &serde_json::Value {
        let last = self.events.last().unwrap();
        assert_eq!(last["event"], "run_finished");
        last
    }
}
