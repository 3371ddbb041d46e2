//! Shared by tests: [`Server`], a web server on the loopback interface with scripted responses, and [`run`].

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use crate::download::RetryPolicy;
use crate::stage::fetch;
use pipe_schemas::stages::fetch::{FetchFile, FetchParams};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_testkit::{Ran, run_stage};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request of a client.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Number of the request, from 0.
    pub(crate) number: usize,
    pub(crate) path: String,
    pub(crate) offset: Option<usize>,
    pub(crate) if_range: Option<String>,
}

/// A web server on the loopback interface.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server that calls `respond` for each request.
    pub(crate) fn start(
        respond: impl Fn(&Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Self { address, requests: Arc::default(), stopped: Arc::default() };
        let (requests, stopped) = (Arc::clone(&server.requests), Arc::clone(&server.stopped));
        let respond = Arc::new(respond);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok).take_while(|_| !stopped.load(Ordering::Relaxed)) {
                let (requests, respond) = (Arc::clone(&requests), Arc::clone(&respond));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let Some(request) = read(&stream, &requests) else { return };
                    // The client may have closed the connection.
                    let _ = respond(&request, &mut stream);
                });
            }
        });
        server
    }

    /// Starts a server that sends the bytes which `respond` returns.
    pub(crate) fn responding(respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |request, stream| stream.write_all(&respond(request)))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the requests so far as lines: path, offset and condition.
    pub(crate) fn log(&self) -> Vec<String> {
        let line = |request: &Request| {
            let offset = request.offset.map_or(String::new(), |offset| format!(" from {offset}"));
            let condition = request.if_range.as_ref().map_or(String::new(), |tag| format!(" if {tag}"));
            format!("{}{offset}{condition}", request.path)
        };
        self.requests.lock().expect("no thread panicked").iter().map(line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn read(stream: &TcpStream, requests: &Mutex<Vec<Request>>) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let (mut offset, mut if_range) = (None, None);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => offset = value.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok(),
            "if-range" => if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut all = requests.lock().expect("no thread panicked");
    let number = all.len();
    all.push(Request { number, path, offset, if_range });
    all.last().cloned()
}

/// Returns a response with a status line, headers and a body, which need not match the headers.
pub(crate) fn response(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let first = format!("HTTP/1.1 {status}");
    let lines = [&[first.as_str(), "Connection: close"], headers, &["", ""]].concat();
    [lines.join("\r\n").as_bytes(), body].concat()
}

/// Returns the response of a correct server to a request for `content`.
pub(crate) fn respond(request: &Request, content: &[u8], headers: &[&str]) -> Vec<u8> {
    let size = content.len();
    let (status, range, body) = match request.offset {
        Some(offset) if offset < size => {
            ("206 Partial Content", format!("Content-Range: bytes {offset}-{}/{size}", size - 1), &content[offset..])
        }
        Some(_) => ("416 Range Not Satisfiable", format!("Content-Range: bytes */{size}"), &[][..]),
        None => ("200 OK", "Accept-Ranges: bytes".to_owned(), content),
    };
    let length = format!("Content-Length: {}", body.len());
    response(status, &[headers, &[&range, &length]].concat(), body)
}

/// The stage with short timeouts.
struct ImpatientFetch;

impl Stage for ImpatientFetch {
    fn kind(&self) -> &'static str {
        "fetch"
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let (timeout, first_delay) = (Duration::from_millis(300), Duration::from_millis(5));
        let retry = RetryPolicy {
            max_attempts: 3,
            first_delay,
            read_timeout: timeout,
            rate_interval: timeout,
            min_bytes_per_interval: 1000,
        };
        fetch(context, retry)
    }
}

/// Runs the stage, with `folder` as its output.
pub(crate) fn run(folder: &Path, params: &FetchParams) -> Ran {
    run_stage(&ImpatientFetch, params, [], folder, 2)
}

/// Returns a file with the digest of `content`.
pub(crate) fn file(url: String, content: &[u8]) -> FetchFile {
    FetchFile { url, blake3: Some(blake3::hash(content).to_hex().to_string()), ..FetchFile::default() }
}

/// Returns the files below a folder, with their contents.
pub(crate) fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs_err::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_string_lossy().into_owned();
                found.push((name, fs_err::read(&path).expect("a file")));
            }
        }
    }
    found.sort();
    found
}
