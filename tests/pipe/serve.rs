//! `pipe serve` on loopback: predictions, refusals, load, and an orderly end.

#![expect(clippy::print_stdout, reason = "the figures are the result of the load test")]

use crate::predict::{PIPELINE, files, has_engines};
use crate::space::Space;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server, and the address that it listens on. It is killed when this is dropped.
pub(crate) struct Server {
    process: Child,
    address: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Server {
    pub(crate) fn start(space: &Space, args: &[&str]) -> Self {
        let model = ".pipe/out/p/onnx/model.onnx";
        let mut command = space.command(&[&["serve", model, "--port", "0"], args].concat());
        let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap_or_else(|| panic!("{line}"));
        let address = address.split_whitespace().next().unwrap().to_owned();
        Self { process, address, stderr }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        stream
    }

    /// Sends a request, and returns the status and the body of the response.
    fn request(&self, head: &str, body: &[u8]) -> (u16, String) {
        let (status, body, _) = self.exchange(head, body);
        (status, body)
    }

    /// Sends a request, and returns the status, the body and the head of the response.
    fn exchange(&self, head: &str, body: &[u8]) -> (u16, String, String) {
        let mut stream = self.connect();
        let length = body.len();
        // A server that refuses an upload closes the connection before it has read all of it.
        let _ =
            write!(stream, "{head} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        let _ = stream.write_all(body);
        response(stream)
    }

    pub(crate) fn predict(&self, query: &str, body: &[u8]) -> (u16, Value) {
        let (status, text) = self.request(&format!("POST /predict{query}"), body);
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}")))
    }

    /// Returns the number of open files of the worker, and its memory in KiB.
    fn resources(&self) -> (usize, u64) {
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        let worker = std::fs::read_to_string(children).unwrap();
        let worker = PathBuf::from("/proc").join(worker.split_whitespace().next().unwrap());
        let status = std::fs::read_to_string(worker.join("status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory = memory.split_whitespace().next().unwrap().parse().unwrap();
        (std::fs::read_dir(worker.join("fd")).unwrap().count(), memory)
    }

    /// Sends SIGTERM, and returns the exit code and the rest of stderr.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.process.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let code = self.process.wait().unwrap().code();
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).unwrap();
        (code, text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn response(mut stream: TcpStream) -> (u16, String, String) {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: `{text}`"));
    (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned(), head.to_owned())
}

/// Returns a space with an exported network, and the bytes of a video.
fn trained() -> Option<(Space, Vec<u8>)> {
    if !has_engines() {
        return None;
    }
    let space = Space::new();
    let frames = "sample: all, resize: none, buckets: 2";
    space.write("p.yaml", &PIPELINE.replace("FRAMES", frames).replace("AVERAGE", "prob"));
    space.run("p.yaml", &[]).ok();
    let video = std::fs::read(&files(&space.path(".pipe/out/p/clips/videos"))[0]).unwrap();
    Some((space, video))
}

#[test]
fn requests_are_answered_or_refused_and_nothing_leaks() {
    let Some((space, video)) = trained() else { return };
    std::fs::create_dir(space.path("root")).unwrap();
    std::fs::write(space.path("root/a b.avi"), &video).unwrap();
    std::fs::write(space.path("secret.avi"), &video).unwrap();
    std::os::unix::fs::symlink(space.path("secret.avi"), space.path("root/link.avi")).unwrap();
    let server = Server::start(&space, &["--root", "root", "--max-upload", "1"]);

    let (status, answer) = server.predict("?name=a.avi&top_k=2", &video);
    assert_eq!((status, answer["verdict"].as_str(), answer["num_views"].as_u64()), (200, Some("ok"), Some(6)));
    assert_eq!(answer["top"].as_array().unwrap().len(), 2);
    let output =
        space.output(&["predict", ".pipe/out/p/onnx/model.onnx", "secret.avi", "--output", "json", "--top-k", "2"]);
    let row: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(row["top"], answer["top"], "as `pipe predict`");
    assert_eq!(server.predict("?path=a%20b.avi&top_k=2", b""), (200, answer));

    let (status, answer) = server.predict("?path=a%20b.avi&window=0.2&stride=0.1&alert=MoveUp%3E%3D0,min%3D0.1", b"");
    assert_eq!(status, 200, "{answer}");
    assert!(answer["windows"].as_array().unwrap().len() > 3, "{answer}");
    assert_eq!(answer["events"][0]["event"], "MoveUp", "{answer}");
    assert_eq!(server.predict("?path=a%20b.avi&window=-1", b"").0, 400);
    assert_eq!(server.predict("?path=a%20b.avi&window=x", b"").0, 400);
    assert_eq!(server.predict("?path=a%20b.avi&window=1&alert=Fly%3E%3D0.5", b"").0, 400);
    let two = "?path=a%20b.avi&window=1&alert=MoveUp%3E%3D0.5&alert=Fly%3E%3D0.5";
    assert_eq!(server.predict(two, b"").0, 400, "each alert counts");
    assert_eq!(server.predict("?path=a%20b.avi&stride=1", b"").0, 400);

    for (path, expect) in
        [("../secret.avi", 404), ("link.avi", 404), ("/etc/passwd", 404), ("", 404), ("none.avi", 404)]
    {
        assert_eq!(server.predict(&format!("?path={path}"), b"").0, expect, "{path}");
    }
    assert_eq!(server.predict("", b"").0, 400);
    assert_eq!(server.predict("?top_k=many", &video).0, 400);
    assert_eq!(server.predict("", &vec![0; 1_000_001]).0, 413);
    assert_eq!(server.predict("?path=a%20b.avi", b"another video").0, 400, "which of the two is meant is not known");
    let (status, _, head) = server.exchange("GET /predict", b"");
    assert!(status == 405 && head.contains("allow: POST"), "{status} {head}");
    let (status, body, _) = server.exchange("HEAD /healthz", b"");
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(server.request("GET /other", b"").0, 404);
    let (status, answer) = server.predict("", b"this is not a video");
    assert_eq!((status, answer["verdict"].as_str()), (422, Some("unreadable")));
    let (status, health) = server.request("GET /healthz", b"");
    assert!(status == 200 && health.contains("\"status\":\"ok\""), "{health}");

    // Without a length, the limit holds too.
    let mut stream = server.connect();
    let _ =
        write!(stream, "POST /predict HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..20 {
        let _ = write!(stream, "10000\r\n")
            .and_then(|()| stream.write_all(&vec![0; 65_536]))
            .and_then(|()| write!(stream, "\r\n"));
    }
    let _ = write!(stream, "0\r\n\r\n");
    assert_eq!(response(stream).0, 413);

    let before = server.resources();
    for _ in 0..40 {
        let mut cut = server.connect();
        write!(cut, "POST /predict HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n", video.len()).unwrap();
        cut.write_all(&video[..video.len() / 2]).unwrap();
        cut.shutdown(Shutdown::Both).unwrap();
        let mut nonsense = server.connect();
        let _ = nonsense.write_all(b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n");
    }
    assert_eq!(server.predict("", &video).0, 200);
    // The server notices closed connections a moment later.
    let deadline = Instant::now() + Duration::from_mins(1);
    while server.resources().0 > before.0 + 4 {
        assert!(Instant::now() < deadline, "files: {} before, {} after", before.0, server.resources().0);
        std::thread::sleep(Duration::from_millis(50));
    }

    let (_, metrics) = server.request("GET /metrics", b"");
    let metric = |name: &str| -> u64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}"));
        line.trim().parse().unwrap()
    };
    // Of an upload that is cut off, either the body ends early, or no one waits any more.
    let (early, abandoned) = (metric("pipe_requests_total{status=\"400\"}"), metric("pipe_requests_abandoned_total"));
    assert!(early + abandoned >= 40 + 8, "{metrics}");
    for line in
        ["pipe_requests_total{status=\"200\"} 6", "pipe_requests_total{status=\"413\"} 2", "pipe_requests_in_flight 1"]
    {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    let (code, text) = server.stop();
    assert!(code == Some(0) && text.starts_with("stopping; requests that have begun"), "{code:?} {text}");
    assert!(text.contains("\nstopped after "), "{text}");
}

#[test]
fn a_thousand_requests_sixteen_at_a_time() {
    let Some((space, video)) = trained() else { return };
    let server = Server::start(&space, &[]);
    let times = load(&server, &video, 50);
    assert_eq!(times.len(), 50);
    let (files, memory) = server.resources();
    let mut times = load(&server, &video, 1000);
    let (files_after, memory_after) = server.resources();
    assert!(files_after <= files + 32, "{files} files before, {files_after} after");
    assert!(memory_after <= memory + 100_000, "{memory} KiB before, {memory_after} after");
    times.sort();
    let (median, p99) = (times[500], times[990]);
    println!(
        "1,000 requests at 16 at a time: median {median:.0?}, p99 {p99:.0?}; memory {memory} to {memory_after} KiB"
    );
    let (code, text) = server.stop();
    assert!(code == Some(0) && text.contains("stopped after 1050 requests"), "{code:?} {text}");
}

/// Sends uploads from 16 threads, and returns the time of each.
fn load(server: &Server, video: &[u8], count: usize) -> Vec<Duration> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let work = || {
            let mut times = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let started = Instant::now();
                assert_eq!(server.predict("", video).0, 200);
                times.push(started.elapsed());
            }
            times
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}
