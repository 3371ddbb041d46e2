//! Helpers that crash, hang, or exceed their limits: only their own job fails.
//!
//! Helpers are this program itself, so it has its own `main` with the arguments of libtest that runners use.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use pipe_stage::protocol::{Grant, PROTOCOL_VERSION, Request, Task};
use pipe_stage::{
    Context, Environment, HelperFailure, Helpers, Job, JobFailure, JobLimits, SendPiece, WorkerInfo, serve,
};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const JOB: Job = Job { name: "misbehave", run: misbehave };
const LIMITS: JobLimits = JobLimits { memory_mb: 512, cpu_secs: 1 };
const TESTS: [(&str, fn()); 8] = [
    ("a_failure_of_the_machine_is_not_one_of_the_job", a_failure_of_the_machine_is_not_one_of_the_job),
    ("a_job_that_succeeds_when_it_is_alone_has_a_result", a_job_that_succeeds_when_it_is_alone_has_a_result),
    (
        "a_helper_that_can_not_be_started_is_a_failure_of_the_machine",
        a_helper_that_can_not_be_started_is_a_failure_of_the_machine,
    ),
    ("a_bad_job_costs_itself_only", a_bad_job_costs_itself_only),
    ("a_helper_does_many_jobs", a_helper_does_many_jobs),
    ("a_helper_outlives_the_thread_that_needed_it_first", a_helper_outlives_the_thread_that_needed_it_first),
    ("pieces_of_all_sizes_arrive_as_they_were_sent", pieces_of_all_sizes_arrive_as_they_were_sent),
    ("a_cancelled_run_does_not_wait", a_cancelled_run_does_not_wait),
];

#[expect(clippy::print_stdout, reason = "what runners of tests read")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|flag| flag == "--helper") {
        return serve(|| WorkerInfo {
            stages: Vec::new(),
            tools: BTreeMap::new(),
            jobs: vec![JOB],
            environment: |_| Environment::new(),
        });
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

#[expect(clippy::exit, reason = "one of the failures to survive")]
fn misbehave(job: &[u8], send: SendPiece) -> std::io::Result<Vec<u8>> {
    send(b"begun")?;
    let mut count = 0_u64;
    match job {
        b"crash" => nix::sys::signal::raise(nix::sys::signal::Signal::SIGILL)?,
        b"exit" => std::process::exit(7),
        b"number" => count = u64::from(std::process::id()),
        _ if job.starts_with(b"signal ") => {
            let number: i32 = String::from_utf8_lossy(&job[7..]).parse().unwrap_or_default();
            end_by_signal(number)?;
        }
        // Fails in a way of its own until a file is there, which it makes: once.
        _ if job.starts_with(b"once ") => {
            let (path, signal) = std::str::from_utf8(&job[5..]).unwrap_or_default().split_once(' ').unwrap_or_default();
            if fs_err::File::create_new(path).is_ok() {
                let number: i32 = signal.parse().unwrap_or_default();
                end_by_signal(number)?;
            }
        }
        b"spin" => loop {
            count = std::hint::black_box(count + 1);
        },
        b"sleep" => std::thread::sleep(Duration::from_hours(1)),
        b"hog" => {
            let hoard: Vec<Vec<u8>> = (0..1024).map(|_| vec![1; 1 << 20]).collect();
            count = std::hint::black_box(hoard).len() as u64;
        }
        b"deaf" => {
            for fd in 3..10 {
                let _ = nix::unistd::close(fd);
            }
            std::thread::sleep(Duration::from_hours(1));
        }
        b"large" => (0..200).try_for_each(|number| send(&piece(number)))?,
        _ => (0..5).try_for_each(|piece| send(&[piece]))?,
    }
    Ok([job, &count.to_le_bytes()].concat())
}

/// Ends this process. The first of some signals only removes the handler that the standard library installs for it.
fn end_by_signal(number: i32) -> std::io::Result<()> {
    let signal = nix::sys::signal::Signal::try_from(number)?;
    loop {
        nix::sys::signal::kill(nix::unistd::getpid(), signal)?;
    }
}

/// From none to 1.5 MB, more and less than fits into the memory that is shared.
fn piece(number: usize) -> Vec<u8> {
    let length = number * number * 37;
    (0..length).map(|at| (at * 31 + number) as u8).collect()
}

fn context(cancelled: Arc<AtomicBool>) -> Context {
    let request = Request {
        protocol: PROTOCOL_VERSION,
        id: 1,
        kind: "ingest".into(),
        version: 1,
        task: Task::Whole,
        params: serde_json::Value::Null,
        inputs: BTreeMap::new(),
        sources: BTreeMap::new(),
        output: "/nowhere".into(),
        scratch: "/nowhere".into(),
        downloads: "/nowhere".into(),
        diagnostics: "/nowhere".into(),
        grant: Grant::cpu(1),
    };
    let program = std::env::current_exe().expect("this program");
    Context::new(request, cancelled, |_| ()).with_helper_program(program)
}

/// Runs a job; returns the number of pieces, and how it ended.
fn run(helpers: &Helpers, job: &str) -> (usize, Result<Vec<u8>, JobFailure>) {
    let count = |pieces: &mut usize, _: &[u8]| {
        *pieces += 1;
        Ok(())
    };
    helpers.run(job.as_bytes(), || 0, count).expect("the machinery works")
}

fn a_bad_job_costs_itself_only() {
    let context = context(Arc::default());
    let helpers = Helpers::new(&context, JOB, LIMITS);
    let check = |job: &str, expect: HelperFailure, words: &str| {
        let start = Instant::now();
        let failure = run(&helpers, job).1.expect_err("a failure");
        // On a busy machine, a second of processor time may take longer than the limit of wall time.
        let is_busy = job == "spin" && failure == JobFailure::OfInput(HelperFailure::Hung { wall_secs: 10 });
        assert!(is_busy || failure == JobFailure::OfInput(expect), "{job}: {failure:?}");
        assert_eq!(expect.to_string(), words);
        assert!(start.elapsed() < Duration::from_mins(1), "{job} took {:?}", start.elapsed());
        let (pieces, result) = run(&helpers, "good");
        assert_eq!((pieces, result), (6, Ok(b"good\0\0\0\0\0\0\0\0".into())), "after {job}");
    };
    check("crash", HelperFailure::Crashed { signal: 4 }, "the decoder crashed (SIGILL)");
    check("exit", HelperFailure::Ended { code: 7 }, "the decoder exited with code 7");
    check("hog", HelperFailure::Crashed { signal: 6 }, "the decoder crashed (SIGABRT)");
    let words = "it took more than 1 s of processor time, or 60 s for one frame";
    check("spin", HelperFailure::OutOfTime { cpu_secs: 1 }, words);
    check("sleep", HelperFailure::Hung { wall_secs: 10 }, "no response for 10 s");
    check("deaf", HelperFailure::Hung { wall_secs: 10 }, "no response for 10 s");
}

fn a_failure_of_the_machine_is_not_one_of_the_job() {
    let context = context(Arc::default());
    let helpers = Helpers::new(&context, JOB, LIMITS);
    // SIGKILL, SIGTERM, SIGHUP, SIGINT, SIGUSR1: no program sends them to itself.
    for signal in [9, 15, 1, 2, 10] {
        let failure = run(&helpers, &format!("signal {signal}")).1.expect_err("a failure");
        assert_eq!(failure, JobFailure::OfMachine(HelperFailure::Crashed { signal }));
    }
    // SIGSEGV, SIGABRT, SIGFPE, SIGBUS: those of a decoder that crashes.
    for signal in [11, 6, 8, 7] {
        let failure = run(&helpers, &format!("signal {signal}")).1.expect_err("a failure");
        assert_eq!(failure, JobFailure::OfInput(HelperFailure::Crashed { signal }));
    }
    assert_eq!(run(&helpers, "good").0, 6);
}

fn a_job_that_succeeds_when_it_is_alone_has_a_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let context = context(Arc::default());
    for signal in [9, 15, 11, 6] {
        let helpers = Helpers::new(&context, JOB, JobLimits { cpu_secs: 60, ..LIMITS });
        let job = format!("once {} {signal}", folder.path().join(signal.to_string()).display());
        // Other jobs run in the meantime, and none of them is disturbed. Their threads stay: a helper ends with the thread that
        // started it.
        let all_are_done = Barrier::new(4);
        std::thread::scope(|scope| {
            let other = || {
                let result = run(&helpers, "good").1;
                all_are_done.wait();
                result
            };
            let others: Vec<_> = (0..3).map(|_| scope.spawn(other)).collect();
            let (pieces, result) = run(&helpers, &job);
            all_are_done.wait();
            let result = result.unwrap_or_else(|failure| panic!("{failure:?}, signal {signal}"));
            assert!(result.starts_with(job.as_bytes()));
            assert_eq!(pieces, 1, "the pieces of the first try do not count");
            assert!(others.into_iter().all(|other| other.join().expect("no panic").is_ok()));
        });
    }
}

fn a_helper_that_can_not_be_started_is_a_failure_of_the_machine() {
    let context = context(Arc::default()).with_helper_program("/nowhere/worker".into());
    let helpers = Helpers::new(&context, JOB, LIMITS);
    let failure = run(&helpers, "good").1.expect_err("a failure");
    let expect = HelperFailure::NotStarted { errno: 2 };
    assert_eq!(failure, JobFailure::OfMachine(expect));
    assert_eq!(expect.to_string(), "the decoder can't be started: No such file or directory (os error 2)");
}

fn a_helper_outlives_the_thread_that_needed_it_first() {
    let context = context(Arc::default());
    let helpers = Helpers::new(&context, JOB, LIMITS);
    let number = || run(&helpers, "number").1.expect("a result");
    let first = std::thread::scope(|scope| scope.spawn(number).join().expect("no panic"));
    // The signal that would end it may take a moment.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(first, number(), "another process did the second job");
}

fn a_helper_does_many_jobs() {
    let context = context(Arc::default());
    let helpers = Helpers::new(&context, JOB, LIMITS);
    for number in 0..100 {
        let job = format!("job {number}");
        let (pieces, result) = run(&helpers, &job);
        assert_eq!(pieces, 6);
        assert_eq!(result, Ok([job.as_bytes(), &[0; 8]].concat()));
    }
}

fn pieces_of_all_sizes_arrive_as_they_were_sent() {
    let context = context(Arc::default());
    let helpers = Helpers::new(&context, JOB, JobLimits { cpu_secs: 60, ..LIMITS });
    for round in 0..3 {
        let take = |number: &mut usize, found: &[u8]| {
            assert_eq!(found, if *number == 0 { b"begun".to_vec() } else { piece(*number - 1) }, "round {round}");
            *number += 1;
            Ok(())
        };
        let (number, result) = helpers.run(b"large", || 0, take).expect("the machinery works");
        assert_eq!(result, Ok(b"large\0\0\0\0\0\0\0\0".into()));
        assert_eq!(number, 201);
        // The next round has another helper.
        if round == 1 {
            assert_eq!(run(&helpers, "crash").1, Err(JobFailure::OfInput(HelperFailure::Crashed { signal: 4 })));
        }
    }
}

fn a_cancelled_run_does_not_wait() {
    let cancelled = Arc::<AtomicBool>::default();
    let context = context(Arc::clone(&cancelled));
    let helpers = Helpers::new(&context, JOB, JobLimits { cpu_secs: 60, ..LIMITS });
    let start = Instant::now();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        cancelled.store(true, Ordering::Relaxed);
    });
    let result = helpers.run(b"sleep", || (), |(), _| Ok(()));
    assert!(result.expect_err("cancelled").is_cancelled());
    assert!(start.elapsed() < Duration::from_secs(30));
}
