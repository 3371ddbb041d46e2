//! Several processes train one network.

use super::{Space, WORKER, Worker, change_preprocessing, change_train, json_of, train_params};
use pipe_schemas::stages::train::{CONTRACT, DataloaderParams, NumProcesses, TrainCfg, TrainParams};
use pipe_stage::protocol::{
    Grant, Input, MadePart, MakePart, MakeParts, Message, PROTOCOL_VERSION, Reply, Request, Task,
};
use pipe_tables::{SamplesFolder, read_training_log};
use pipe_weights::Checkpoint;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Trains with two processes of two clips each per step.
fn two(change: impl FnOnce(&mut TrainParams)) -> TrainParams {
    let mut params = TrainParams {
        num_processes: NumProcesses(2),
        sync_bn: true,
        train_dataloader: DataloaderParams { batch_size: 2 },
        ..train_params()
    };
    change(&mut params);
    params
}

fn tensors(path: PathBuf) -> BTreeMap<String, Vec<f32>> {
    let tensors = Checkpoint::open(&path).expect("a checkpoint").tensors;
    tensors.into_iter().map(|(name, tensor)| (name, tensor.to_f32())).collect()
}

#[test]
fn two_processes_train_as_one_with_twice_the_batch() {
    let space = Space::new();
    space.run_with("train", json_of(&train_params()), None, "one", 2, None).expect("trained");
    space.run_with("train", json_of(&two(|_| ())), None, "two", 2, None).expect("trained");
    let log = |output: &str| read_training_log(&space.path(output).join("training_log.parquet")).expect("a log");
    let (one, two) = (log("one"), log("two"));
    assert_eq!(one.len(), two.len());
    for (one, two) in one.iter().zip(&two) {
        assert_eq!((one.num_clips, one.num_left_out, one.lr), (two.num_clips, two.num_left_out, two.lr));
        assert!((one.loss - two.loss).abs() < 1e-3, "{one:?} {two:?}");
        assert!(one.validation.is_some() && two.validation.is_some());
    }
    let [one, two] = ["one", "two"].map(|output| tensors(space.path(output).join("last/checkpoint.safetensors")));
    let pairs = one.iter().flat_map(|(name, values)| values.iter().zip(&two[name]));
    let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most < 1e-3, "{most}");
}

/// A space with many epochs.
fn many_epochs(epochs: u32) -> Space {
    let space = Space::new();
    let samples = SamplesFolder::open(space.path("samples"));
    let rows = samples.epoch(0).expect("rows");
    for epoch in 0..epochs {
        let rows: Vec<_> = rows.iter().cloned().map(|row| pipe_schemas::tables::SampleRow { epoch, ..row }).collect();
        samples.write_epoch(epoch, &rows).expect("written");
    }
    change_preprocessing(&samples, |preprocessing| preprocessing.epochs = epochs);
    space
}

pub(super) fn request(space: &Space, params: &TrainParams, task: Task) -> Request {
    let input = |name: &str| {
        let path = space.path(name);
        (
            name.to_owned(),
            Input { path, digest: String::new(), files: None, media_root: None, left_out: BTreeMap::new() },
        )
    };
    fs_err::create_dir_all(space.path("scratch")).expect("a folder");
    Request {
        protocol: PROTOCOL_VERSION,
        id: 7,
        kind: CONTRACT.kind.into(),
        version: CONTRACT.version,
        task,
        params: json_of(params),
        inputs: [input("frames"), input("samples")].into(),
        sources: BTreeMap::new(),
        output: space.path("output"),
        scratch: space.path("scratch"),
        downloads: space.path("downloads"),
        diagnostics: space.path("diagnostics"),
        grant: Grant::cpu(2),
    }
}

pub(super) fn make(space: &Space, folder: &str, earlier: &[MadePart], end: usize) -> (Task, Vec<MadePart>) {
    let parts: Vec<MakePart> = (earlier.len()..end).map(|epoch| space.part(folder, &format!("{epoch:04}"))).collect();
    let made = parts.iter().map(MakePart::made).collect();
    (Task::Make(MakeParts { earlier: earlier.to_vec(), parts }), made)
}

/// Returns the processes that a process has started.
fn children(parent: u32) -> Vec<i32> {
    let list = fs_err::read_to_string(format!("/proc/{parent}/task/{parent}/children")).expect("a list");
    list.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

fn kill(pid: i32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().expect("a command");
    assert!(killed.success());
}

#[test]
fn a_killed_process_ends_the_others_and_the_next_run_continues() {
    const MANY: u32 = 500;
    let space = many_epochs(MANY);
    let params = two(|params| {
        params.train_cfg = TrainCfg { max_epochs: Some(MANY), val_interval: 2, ..TrainCfg::default() };
    });
    let mut worker = Worker::start();
    let (task, planned) = make(&space, "killed", &[], MANY as usize);
    let line = serde_json::to_string(&Message::Run(Box::new(request(&space, &params, task)))).expect("JSON");
    writeln!(worker.stdin, "{line}").expect("written");
    let (mut made, mut killed) = (Vec::new(), None);
    let (error, help) = loop {
        let line = worker.replies.next().expect("a reply").expect("a line");
        match serde_json::from_str(&line).expect("a reply") {
            Reply::PartFinished { name } => {
                made.push(planned[made.len()].clone());
                assert_eq!(made.last().map(|part| &part.name), Some(&name));
                if made.len() == 2 {
                    let children = children(worker.process.id());
                    assert_eq!(children.len(), 1, "one other process");
                    kill(children[0]);
                    killed = Some(Instant::now());
                }
            }
            Reply::Failed { error, help, .. } => break (error, help.unwrap_or_default()),
            Reply::Made { .. } => panic!("training went on"),
            _ => {}
        }
    };
    assert!(killed.expect("it was killed").elapsed() < Duration::from_secs(20));
    assert!(error.starts_with("process 1 of the training failed: it ended with signal: 9"), "{error}");
    assert_eq!(help, "run again: training continues after the last complete epoch");
    assert!(children(worker.process.id()).is_empty());

    // The worker continues, as in a run that was not disturbed.
    let end = made.len() + 2;
    let (task, rest) = make(&space, "continued", &made, end);
    worker.finished(request(&space, &params, task)).expect("trained");
    let (task, undisturbed) = make(&space, "undisturbed", &[], end);
    worker.finished(request(&space, &params, task)).expect("trained");
    let state = |part: &MadePart| fs_err::read(part.state("state.safetensors").expect("kept")).expect("a state");
    assert!(state(&rest[1]) == state(&undisturbed[end - 1]), "the states differ");
}

/// Starts a process that is not the first, as on another machine.
fn join(variables: &[(&str, String)]) -> Child {
    let mut command = Command::new(WORKER);
    command.args(["--join", "60"]).envs(variables.iter().map(|(name, value)| (name, value.as_str())));
    command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started")
}

#[test]
fn processes_that_are_started_elsewhere_join() {
    let space = Space::new();
    let params = two(|params| params.train_cfg.val_interval = 0);
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let variables = |rank: u32| {
        let addr = ("MASTER_ADDR", "127.0.0.1".to_owned());
        [("RANK", rank.to_string()), ("WORLD_SIZE", "2".to_owned()), addr, ("MASTER_PORT", port.to_string())]
    };
    let mut other = join(&variables(1));
    let mut worker = Worker::start_with(&variables(0));
    let (task, made) = make(&space, "elsewhere", &[], 2);
    worker.finished(request(&space, &params, task)).expect("trained");
    let (task, local) = make(&space, "local", &[], 2);
    let mut alone = Worker::start();
    alone.finished(request(&space, &TrainParams { threads: Some(2), ..params.clone() }, task)).expect("trained");
    let state = |part: &MadePart| fs_err::read(part.state("state.safetensors").expect("kept")).expect("a state");
    assert!(state(&made[1]) == state(&local[1]), "the states differ");
    assert_eq!(other.try_wait().expect("a status"), None, "it waits for the next training");
    // A request for another number of processes is refused.
    let one = TrainParams { num_processes: NumProcesses(1), ..params };
    let (task, _) = make(&space, "refused", &[], 2);
    let (error, help) = worker.finished(request(&space, &one, task)).expect_err("refused");
    assert_eq!(error, "`WORLD_SIZE` is 2, but `num_processes` is 1");
    assert_eq!(help, "set `num_processes: 2`, or unset `RANK` and `WORLD_SIZE`");
    other.kill().expect("ended");
    other.wait().expect("ended");
}

#[test]
fn what_can_not_join_says_why() {
    let check = |variables: &[(&str, &str)], expect: &str| {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let output = join(&variables).wait_with_output().expect("ended");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.success(), text.trim()), (false, expect));
    };
    check(&[], "error: the environment variables RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are not set");
    let others = [("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29500")];
    check(
        &[&[("RANK", "0")], &others[..]].concat(),
        "error: RANK is 0: the first process is `pipe`, which the others join",
    );
    check(&[("RANK", "7")], "error: the environment variable WORLD_SIZE is missing, but others of its group are set");
}

#[test]
fn an_error_of_another_process_is_the_error_of_the_training() {
    let space = Space::new();
    // Of the rows of a step, the second half belongs to the second process.
    let samples = SamplesFolder::open(space.path("samples"));
    change_train(&samples, |row| {
        if row.position == 3 {
            row.video_id = "r/z".into();
        }
    });
    let (task, _) = make(&space, "failed", &[], 2);
    let (error, _) = Worker::start().finished(request(&space, &two(|_| ()), task)).expect_err("failed");
    assert!(error.contains("r/z"), "{error}");
}
