//! `fetch` in a pipeline: files are downloaded from a web server on the loopback interface, verified, unpacked and used.

use crate::space::{Space, tiny};
use pipe_testkit::repository;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A web server on the loopback interface that supports ranges.
struct Server {
    address: SocketAddr,
    /// Path and offset of each request.
    requests: Arc<Mutex<Vec<String>>>,
    /// Maximum number of bytes to send per response.
    stop_after: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    fn start(files: BTreeMap<&'static str, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            stop_after: Arc::new(AtomicU64::new(u64::MAX)),
            stopped: Arc::default(),
        };
        let (requests, stop_after) = (server.requests.clone(), server.stop_after.clone());
        let stopped = server.stopped.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok).take_while(|_| !stopped.load(Ordering::Relaxed)) {
                // The client may have closed the connection.
                let _ = respond(stream, &files, &requests, stop_after.load(Ordering::Relaxed));
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn respond(
    mut stream: TcpStream,
    files: &BTreeMap<&str, Vec<u8>>,
    requests: &Mutex<Vec<String>>,
    stop_after: u64,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let mut offset = 0;
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            offset = range.trim_end_matches('-').parse().unwrap_or(0);
        }
    }
    requests.lock().unwrap().push(if offset > 0 { format!("{path} from {offset}") } else { path.clone() });
    let Some(content) = files.get(path.as_str()) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let (size, rest) = (content.len(), &content[offset..]);
    let status = if offset > 0 { "206 Partial Content" } else { "200 OK" };
    let range = format!("Content-Range: bytes {offset}-{}/{size}\r\nETag: \"v1\"", size - 1);
    let length = rest.len();
    write!(stream, "HTTP/1.1 {status}\r\n{range}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&rest[..length.min(stop_after as usize)])?;
    if (stop_after as usize) < length {
        // Keep the connection open without sending anything until the client closes it.
        let mut reader = BufReader::new(stream);
        reader.fill_buf()?;
    }
    Ok(())
}

/// Returns a tar of a folder, with all files below the folder `top`, as in archives of data sets.
fn tar(folder: &Path, top: &str) -> Vec<u8> {
    let (mut bytes, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = format!("{top}/{}", path.strip_prefix(folder).unwrap().display());
            let content = std::fs::read(&path).unwrap();
            let mut header = [0_u8; 512];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[100..107].copy_from_slice(b"0000644");
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            header[148..156].fill(b' ');
            header[156] = b'0';
            header[257..265].copy_from_slice(b"ustar\x0000");
            let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
            header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            bytes.extend(header);
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// Returns archives of a few generated videos and of their lists.
fn archives(space: &Space) -> BTreeMap<&'static str, Vec<u8>> {
    let clips =
        "{ classes: [move_left, grow], groups: 3, test_groups: 1, frames_per_clip: 6, width_px: 64, height_px: 48 }";
    space.write("clips.yaml", &format!("pipeline: clips\nstages:\n  clips: {{ uses: synthesize, with: {clips} }}\n"));
    space.run("clips.yaml", &[]).ok();
    let made = space.path(".pipe/out/clips/clips");
    BTreeMap::from([
        ("videos.tar", tar(&made.join("videos"), "UCF-101")),
        ("lists.tar", tar(&made.join("lists"), "lists")),
    ])
}

fn pipeline(space: &Space, server: &Server, archives: &BTreeMap<&str, Vec<u8>>) {
    let fetch = |name: &str| {
        let (url, digest) = (server.url(name), blake3::hash(&archives[name]).to_hex());
        format!("{{ uses: fetch, with: {{ strip_folders: 1, files: [{{ url: \"{url}\", blake3: \"{digest}\" }}] }} }}")
    };
    let text = format!(
        "pipeline: p
stages:
  clips: {}
  lists: {}
  videos: {{ uses: ingest, inputs: {{ folder: clips }} }}
  labels: {{ uses: annotations, inputs: {{ videos: videos, lists: lists }}, with: {{ format: ucf101 }} }}
  frames: {{ uses: frames, inputs: {{ videos: videos }}, with: {{ buckets: 2 }} }}
",
        fetch("videos.tar"),
        fetch("lists.tar"),
    );
    space.write("p.yaml", &text);
}

#[test]
fn downloads_are_identified_by_their_digests() {
    let space = Space::new();
    let archives = archives(&space);
    let server = Server::start(archives.clone());
    pipeline(&space, &server, &archives);
    let first = space.run("p.yaml", &[]).ok();
    assert_eq!(first.stages("ran"), ["clips", "frames", "labels", "lists", "videos"]);
    assert_eq!(
        first.stage("clips")["summary"],
        serde_json::json!(["1 file downloaded, 1 MB; 12 files unpacked, 1 MB"])
    );
    assert_eq!(first.stage("labels")["summary"][0], "2 classes, 8 of 8 training and 4 of 4 test videos present");
    let mut requests = server.take_requests();
    requests.sort();
    assert_eq!(requests, ["lists.tar", "videos.tar"]);
    drop(server);

    // Another URL with the same digest: nothing is downloaded.
    let unused = Server::start(BTreeMap::new());
    pipeline(&space, &unused, &archives);
    let again = space.run("p.yaml", &[]).ok();
    assert_eq!(again.run_finished()["ran"], 0);
    assert_eq!((again.digests(), unused.take_requests()), (first.digests(), vec![]));

    // Another digest: the file is downloaded, and refused because its digest is wrong.
    let mut other = archives.clone();
    other.insert("lists.tar", b"other".to_vec());
    let wrong = Server::start(archives.clone());
    pipeline(&space, &wrong, &other);
    let failed = space.run("p.yaml", &[]);
    assert_eq!((failed.code, failed.stages("failed")), (Some(1), vec!["lists".to_owned()]));
    let failure = failed.stage("lists")["failure"]["error"].to_string();
    assert!(failure.contains("lists.tar has the wrong digest: blake3 is"), "{failure}");
}

#[test]
fn a_killed_download_resumes() {
    let space = Space::new();
    let archives = archives(&space);
    let server = Server::start(archives.clone());
    pipeline(&space, &server, &archives);
    let half = archives["videos.tar"].len() as u64 / 2;
    server.stop_after.store(half, Ordering::Relaxed);
    let mut child = space.command(&["run", "p.yaml", "videos"]).spawn().unwrap();
    let downloads = space.path(".pipe/downloads");
    let downloaded = || -> u64 {
        let folders = std::fs::read_dir(&downloads).into_iter().flatten().map_while(Result::ok);
        folders.filter_map(|folder| std::fs::metadata(folder.path().join("data")).ok()).map(|data| data.len()).sum()
    };
    let until = Instant::now() + Duration::from_secs(20);
    while downloaded() < half {
        assert!(Instant::now() < until, "only {} of {half} bytes", downloaded());
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(server.take_requests(), ["videos.tar"]);

    server.stop_after.store(u64::MAX, Ordering::Relaxed);
    space.run("p.yaml", &[]).ok();
    let requests = server.take_requests();
    assert!(requests.contains(&format!("videos.tar from {half}")), "{requests:?}");
    let left = std::fs::read_dir(&downloads).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(left, 0, "a finished download leaves no files");
}

#[test]
fn fetched_weights_equal_weights_from_a_file() {
    let space = Space::new();
    space.run_tiny(&[]).ok();
    let checkpoint = space.path("checkpoint.safetensors");
    std::fs::copy(space.path(".pipe/out/smoke/model/model/checkpoint.safetensors"), &checkpoint).unwrap();
    let digest = blake3::hash(&std::fs::read(&checkpoint).unwrap()).to_hex();
    let smoke = repository().join("pipelines/smoke.yaml");
    let file = format!("{{ url: \"file://{}\", blake3: \"{digest}\" }}", checkpoint.display());
    let (own, fetched) =
        ("{ with: { load_from: { checkpoint: checkpoint.safetensors } } }", "{ inputs: { weights: weights } }");
    for (name, model) in [("own", own), ("fetched", fetched)] {
        let weights = format!("weights: {{ uses: fetch, with: {{ unpack: false, files: [{file}] }} }}");
        let text =
            format!("pipeline: {name}\nextends: [{}]\nstages:\n  {weights}\n  model: {model}\n", smoke.display());
        space.write(&format!("{name}.yaml"), &text);
    }
    let own = space.run("own.yaml", &tiny(&[])).ok();
    assert_eq!(own.stage("model")["parts"], serde_json::json!({ "hits": 0, "ran": 2 }));
    let fetched = space.run("fetched.yaml", &tiny(&[])).ok();
    assert_eq!(fetched.stage("model")["parts"], serde_json::json!({ "hits": 2, "ran": 0 }));
    assert_eq!(fetched.stage("model")["output"], own.stage("model")["output"]);

    let both = space.run("fetched.yaml", &tiny(&["stages.model.with.load_from.checkpoint=checkpoint.safetensors"]));
    assert_eq!(both.code, Some(2));
    assert!(
        format!("{:?}", both.events).contains("has both `load_from.checkpoint` and the input `weights`"),
        "{both:?}"
    );
}
