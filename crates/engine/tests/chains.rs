//! A stage that is made as a chain: where it resumes, that it may end early, and which states stay in the store.
//!
//! The worker is this program itself, so it has its own `main`. It stands in for `train`: each link's state is the text of the
//! link before it with one more word. Files in the folder that holds the worker control it: `stop_after` ends the chain after
//! that many links, `fail_at` makes a link fail, `keep` names the links whose states are kept, `best` is the link that the
//! result is made from. Each link that is made adds a line to `made`.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use pipe_cache::gc;
use pipe_cache::{ActionKey, Digest, Lookup, Store};
use pipe_engine::{
    Bookkeeping, Cancel, Executables, Plan, Prefetch, RunMode, RunOptions, RunSummary, Selection, Setting,
};
use pipe_stage::protocol::{Made, MadePart, MakeParts, PlannedPart};
use pipe_stage::{AnyStage, Context, Environment, PartedStage, StageError, Summary, WorkerInfo, serve};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

const TESTS: [(&str, fn()); 8] = [
    ("an_interrupted_chain_resumes_after_its_last_link", an_interrupted_chain_resumes_after_its_last_link),
    ("a_chain_that_ended_early_goes_on_when_it_may", a_chain_that_ended_early_goes_on_when_it_may),
    ("states_of_a_finished_chain_are_dropped_and_freed", states_of_a_finished_chain_are_dropped_and_freed),
    ("a_longer_chain_resumes_from_the_newest_state", a_longer_chain_resumes_from_the_newest_state),
    ("a_damaged_state_is_not_continued_from", a_damaged_state_is_not_continued_from),
    ("every_set_of_missing_states_ends_with_the_same_result", every_set_of_missing_states_ends_with_the_same_result),
    ("a_dropped_state_that_is_needed_is_made_again", a_dropped_state_that_is_needed_is_made_again),
    (
        "a_link_that_comes_out_differently_is_followed_by_new_links",
        a_link_that_comes_out_differently_is_followed_by_new_links,
    ),
];

#[expect(clippy::print_stdout, reason = "what runners of tests read")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if args[0].ends_with("worker") {
        let tools = ["libtorch", "libjpeg-turbo"].map(|tool| (tool.to_owned(), "1".to_owned())).into();
        let stages = vec![AnyStage::Parted(&Links)];
        return serve(|| WorkerInfo { stages, tools, jobs: Vec::new(), environment: |_| Environment::new() });
    }
    if args.iter().any(|arg| arg == pipe_engine::reaper::ARGUMENT) {
        return pipe_engine::reaper::run().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let ignored = args.iter().any(|flag| flag == "--ignored");
    let named = |name: &str| args.iter().any(|arg| arg == name);
    let any_named = TESTS.iter().any(|(name, _)| named(name));
    for (name, test) in TESTS.iter().filter(|(name, _)| !ignored && (named(name) || !any_named)) {
        if named("--list") {
            println!("{name}: test");
        } else {
            test();
        }
    }
    ExitCode::SUCCESS
}

/// The worker's side.
struct Links;

fn control(name: &str) -> PathBuf {
    let program = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    program.parent().unwrap_or(Path::new(".")).join(name)
}

fn setting(name: &str) -> Option<String> {
    std::fs::read_to_string(control(name)).ok()
}

impl PartedStage for Links {
    fn kind(&self) -> &'static str {
        "train"
    }

    fn plan(&self, context: &Context) -> Result<Vec<PlannedPart>, StageError> {
        let params: serde_json::Value = context.params()?;
        let count = params["train_cfg"]["max_epochs"].as_u64().unwrap_or_default();
        Ok((0..count).map(|link| PlannedPart { name: link.to_string(), ..PlannedPart::default() }).collect())
    }

    fn make(&self, context: &Context, parts: &MakeParts) -> Result<Made, StageError> {
        let stop_after = setting("stop_after").and_then(|count| count.parse().ok()).unwrap_or(usize::MAX);
        if parts.earlier.len() >= stop_after {
            return Ok(Made::ChainEnded);
        }
        let mut text = match parts.resume_from() {
            Some(link) => fs_err::read_to_string(link.state("text")?)?,
            None => "start".to_owned(),
        };
        for part in &parts.parts {
            if setting("fail_at").as_ref() == Some(&part.name) {
                return Err(StageError::message("as requested"));
            }
            text += &format!(" {}{}", part.name, setting("word").unwrap_or_default());
            fs_err::write(part.state("text")?, &text)?;
            fs_err::write(part.note("length")?, text.len().to_string())?;
            fs_err::write(control("made"), setting("made").unwrap_or_default() + &part.name + " ")?;
            context.part_finished(&part.name);
            if part.name.parse() == Ok(stop_after - 1) {
                return Ok(Made::ChainEnded);
            }
        }
        Ok(Made::All)
    }

    fn assemble(&self, context: &Context, parts: &[MadePart]) -> Result<Summary, StageError> {
        let best = setting("best").and_then(|name| parts.iter().find(|part| part.name == name));
        let best = best.or(parts.last()).ok_or_else(|| StageError::message("no link"))?;
        let text = fs_err::read_to_string(best.state("text")?)?;
        for output in [
            "model/model.json",
            "last/model.json",
            "training_log.parquet",
            "training_steps.parquet",
            "tensorboard/events",
        ] {
            fs_err::write(context.output(output)?, &text)?;
        }
        let kept_states = setting("keep").map(|names| names.split(' ').map(str::to_owned).collect());
        Ok(Summary { kept_states, ..Summary::line(format!("{} links", parts.len())) })
    }
}

/// The tests' side: a folder with workers and a store.
struct Space {
    folder: tempfile::TempDir,
}

impl Space {
    fn new() -> Self {
        let space = Self { folder: tempfile::tempdir().expect("a folder") };
        let program = std::env::current_exe().expect("this program");
        for name in ["pipe-torch-worker", "pipe-data-worker", "pipe"] {
            std::os::unix::fs::symlink(&program, space.path(name)).expect("a link");
        }
        let input = |name: &str| {
            format!(
                "  {name}: {{ uses: command, with: {{ shell: 'echo 1 > \"${{outputs.r}}\"', outputs: {{ r: r }} }} }}\n"
            )
        };
        let model = "  model: { uses: train, inputs: { frames: frames, samples: samples }, with: { train_cfg: { max_epochs: 6 } } }\n";
        let text = format!("pipeline: p\nstages:\n{}{}{model}", input("frames"), input("samples"));
        space.control("p.yaml", &text);
        space
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn control(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// Runs the pipeline with `count` links. Another `seed` is another action whose links are the same.
    fn run(&self, count: usize, seed: u32) -> RunSummary {
        let settings =
            [format!("stages.model.with.train_cfg.max_epochs={count}"), format!("stages.model.with.seed={seed}")];
        let plan: Plan = pipe_engine::load(&self.path("p.yaml"), &settings.map(Setting)).expect("a plan");
        // Names of runs sort by their order.
        let number = std::fs::read_dir(self.path(".pipe/runs")).map_or(0, Iterator::count);
        let options = RunOptions {
            root: self.path(".pipe"),
            executables: Executables { workers: self.folder.path().into(), pipe: self.path("pipe") },
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            jobs: 1,
            run: format!("run-{number:04}"),
            started: String::new(),
            selection: Selection::default(),
            keep_going: false,
            locked: None,
            remote: None,
            check: None,
            verify: false,
            mode: RunMode::Results,
        };
        pipe_engine::run(&plan, &options, Prefetch::default(), &Cancel::default(), &mut |_| ()).expect("a run")
    }

    /// Runs the pipeline, and returns the links that were made, the model and the number of links that were reused.
    fn made(&self, count: usize, seed: u32) -> (String, String, u64) {
        self.control("made", "");
        let summary = self.run(count, seed);
        let stage = summary.stages.iter().find(|stage| stage.stage == "model").expect("the stage");
        assert_eq!(stage.failure, None);
        let model = std::fs::read_to_string(self.path(".pipe/out/p/model/model/model.json")).expect("a model");
        let made = std::fs::read_to_string(self.path("made")).expect("a list");
        (made.trim_end().to_owned(), model, stage.parts.expect("parts").hits)
    }

    fn store(&self) -> Store {
        Store::open(&self.path(".pipe")).expect("a store")
    }

    /// Returns the links of the action that ran last.
    fn links(&self) -> BTreeMap<String, ActionKey> {
        let run = pipe_engine::runs(&Bookkeeping::to_read(&self.path(".pipe")))
            .expect("runs")
            .into_iter()
            .next()
            .expect("a run");
        let stage = run.summary.stages.iter().find(|stage| stage.stage == "model").expect("the stage");
        let key: ActionKey = stage.key.as_ref().expect("a key").parse().expect("a key");
        let Lookup::Hit(whole) = self.store().find(key) else { panic!("a result") };
        whole.parts
    }

    /// Returns the links whose states the store has, of the action that ran last.
    fn states(&self) -> String {
        let (store, links) = (self.store(), self.links());
        let has_state = |key: &ActionKey| match store.find(*key) {
            Lookup::Hit(record) => store.has_state(&record),
            _ => panic!("a link is gone"),
        };
        let names = links.iter().filter(|(_, key)| has_state(key)).map(|(name, _)| name.clone());
        names.collect::<Vec<_>>().join(" ")
    }

    fn collect_garbage(&self) -> u64 {
        let store = self.store();
        let alone = store.lock_alone(|| ()).expect("locked");
        let plan = gc::plan(&store, &gc::GcLimits::default(), &BTreeSet::new(), SystemTime::now()).expect("planned");
        gc::carry_out(&store, &alone, &plan).expect("carried out");
        plan.unreachable.count
    }
}

fn model(links: &[&str]) -> String {
    links.iter().fold("start".to_owned(), |text, link| text + " " + link)
}

fn an_interrupted_chain_resumes_after_its_last_link() {
    let space = Space::new();
    space.control("fail_at", "3");
    let failed = space.run(6, 0);
    let stage = failed.stages.iter().find(|stage| stage.failure.is_some()).expect("a failure");
    assert_eq!(stage.failure.as_ref().map(|failure| failure.error.as_str()), Some("as requested"));
    assert_eq!(stage.summary, ["3 of 6 epochs are kept: the next run continues from there"]);
    std::fs::remove_file(space.path("fail_at")).expect("removed");
    assert_eq!(space.made(6, 0), ("3 4 5".into(), model(&["0", "1", "2", "3", "4", "5"]), 3));
}

fn a_chain_that_ended_early_goes_on_when_it_may() {
    let space = Space::new();
    space.control("stop_after", "3");
    assert_eq!(space.made(6, 0), ("0 1 2".into(), model(&["0", "1", "2"]), 0));
    assert_eq!(space.made(6, 1), (String::new(), model(&["0", "1", "2"]), 3), "no link is made");
    space.control("stop_after", "5");
    assert_eq!(space.made(6, 2), ("3 4".into(), model(&["0", "1", "2", "3", "4"]), 3));
}

fn states_of_a_finished_chain_are_dropped_and_freed() {
    let space = Space::new();
    space.made(4, 0);
    assert_eq!(space.states(), "3", "by default, the last one is kept");
    // The tree and the blob of each of three states.
    assert_eq!(space.collect_garbage(), 6);
    assert_eq!(space.states(), "3");
    space.control("keep", "1 3");
    assert_eq!(space.made(4, 1).0, "", "links are hits without their states");
    assert_eq!(space.states(), "3", "a dropped state does not come back");
    let space = Space::new();
    space.control("keep", "1 3");
    space.made(4, 0);
    assert_eq!(space.states(), "1 3");
    assert_eq!(space.collect_garbage(), 4);
}

fn a_longer_chain_resumes_from_the_newest_state() {
    let space = Space::new();
    space.control("keep", "1");
    space.made(4, 0);
    space.collect_garbage();
    assert_eq!(space.made(6, 0), ("2 3 4 5".into(), model(&["0", "1", "2", "3", "4", "5"]), 2));
    // A stopping rule that already holds is seen without making a state again.
    space.control("stop_after", "6");
    assert_eq!(space.made(8, 0).0, "2 3 4 5", "the result is made from the last state, which was dropped");
}

fn a_damaged_state_is_not_continued_from() {
    let space = Space::new();
    space.control("keep", "0 2 3");
    let text = space.made(4, 0).1;
    space.collect_garbage();
    // As long as before, so that only reading it reveals the damage.
    let path = space.store().blob(Digest::of(text.as_bytes()));
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, text.replace('3', "7")).expect("written");
    assert_eq!(space.made(6, 0), ("3 4 5".into(), model(&["0", "1", "2", "3", "4", "5"]), 3));
}

fn every_set_of_missing_states_ends_with_the_same_result() {
    let all = model(&["0", "1", "2", "3"]);
    for kept in 0..8_u8 {
        let space = Space::new();
        space.control("keep", "0 1 2");
        space.made(3, 0);
        for key in
            space.links().into_values().enumerate().filter(|(link, _)| kept & (1 << link) == 0).map(|(_, key)| key)
        {
            space.store().keep_state(key, false).expect("dropped");
        }
        space.collect_garbage();
        let newest = (0..3).rev().find(|link| kept & (1 << link) != 0).map_or(0, |newest| newest + 1);
        let expect: Vec<String> = (newest..4).map(|link: usize| link.to_string()).collect();
        let (made, text, _) = space.made(4, 0);
        assert_eq!((made, &text), (expect.join(" "), &all), "states {kept:03b}");
        space.control("best", "1");
        assert_eq!(space.made(4, 1).1, model(&["0", "1"]), "states {kept:03b}");
    }
}

fn a_dropped_state_that_is_needed_is_made_again() {
    let space = Space::new();
    let all = space.made(6, 0).1;
    space.collect_garbage();
    assert_eq!(space.made(3, 0), ("0 1 2".into(), model(&["0", "1", "2"]), 0));
    assert_eq!(space.states(), "2");
    space.control("best", "4");
    let (made, best, hits) = space.made(6, 1);
    assert_eq!((made.as_str(), hits), ("3 4", 4), "from the state of 2, and 5 is the same as before");
    assert_eq!(best, model(&["0", "1", "2", "3", "4"]));
    std::fs::remove_file(space.path("best")).expect("removed");
    assert_eq!(space.made(6, 2).1, all);
}

fn a_link_that_comes_out_differently_is_followed_by_new_links() {
    let space = Space::new();
    space.control("keep", "1");
    space.made(4, 0);
    space.control("word", "!");
    // 2 and 3 are made again, and differ from what the store has; 3 is not taken from there.
    let (made, changed, hits) = space.made(5, 0);
    assert_eq!((made.as_str(), hits), ("2 3 4", 2));
    assert_eq!(changed, model(&["0", "1", "2!", "3!", "4!"]));
}
