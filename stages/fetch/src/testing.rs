//! What tests share: [`Server`], a web server on loopback that does what it is told, and [`run`].

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

use crate::download::Patience;
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

/// What a client asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Which request this is, from 0.
    pub(crate) number: usize,
    pub(crate) path: String,
    pub(crate) offset: Option<usize>,
    pub(crate) if_range: Option<String>,
}

/// A web server on loopback.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server that hands each connection, once the request is read, to `answer`.
    pub(crate) fn start(
        answer: impl Fn(&Asked, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Self { address, asked: Arc::default(), over: Arc::default() };
        let (asked, over, answer) = (Arc::clone(&server.asked), Arc::clone(&server.over), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok).take_while(|_| !over.load(Ordering::Relaxed)) {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let Some(request) = read(&stream, &asked) else { return };
                    // A client that is gone is none of the server's business.
                    let _ = answer(&request, &mut stream);
                });
            }
        });
        server
    }

    /// Starts a server that answers with bytes.
    pub(crate) fn answering(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |asked, stream| stream.write_all(&answer(asked)))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the requests so far as lines: path, offset, and what that depends on.
    pub(crate) fn log(&self) -> Vec<String> {
        let line = |asked: &Asked| {
            let offset = asked.offset.map_or(String::new(), |offset| format!(" from {offset}"));
            let condition = asked.if_range.as_ref().map_or(String::new(), |tag| format!(" if {tag}"));
            format!("{}{offset}{condition}", asked.path)
        };
        self.asked.lock().expect("no thread panicked").iter().map(line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn read(stream: &TcpStream, asked: &Mutex<Vec<Asked>>) -> Option<Asked> {
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
    let mut all = asked.lock().expect("no thread panicked");
    let number = all.len();
    all.push(Asked { number, path, offset, if_range });
    all.last().cloned()
}

/// Returns an answer with a status line, headers, and a body that may be other than they say.
pub(crate) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let first = format!("HTTP/1.1 {status}");
    let lines = [&[first.as_str(), "Connection: close"], headers, &["", ""]].concat();
    [lines.join("\r\n").as_bytes(), body].concat()
}

/// Returns what a good server says to a request for `content`.
pub(crate) fn served(asked: &Asked, content: &[u8], headers: &[&str]) -> Vec<u8> {
    let size = content.len();
    let (status, range, body) = match asked.offset {
        Some(offset) if offset < size => {
            ("206 Partial Content", format!("Content-Range: bytes {offset}-{}/{size}", size - 1), &content[offset..])
        }
        Some(_) => ("416 Range Not Satisfiable", format!("Content-Range: bytes */{size}"), &[][..]),
        None => ("200 OK", "Accept-Ranges: bytes".to_owned(), content),
    };
    let length = format!("Content-Length: {}", body.len());
    answer(status, &[headers, &[&range, &length]].concat(), body)
}

/// The stage, with no time to lose.
struct Impatient;

impl Stage for Impatient {
    fn kind(&self) -> &'static str {
        "fetch"
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let span = Duration::from_millis(300);
        let first_wait = Duration::from_millis(5);
        fetch(context, Patience { tries: 3, first_wait, silence: span, span, least_bytes: 1000 })
    }
}

/// Runs the stage; what it wrote is in `folder`.
pub(crate) fn run(folder: &Path, params: &FetchParams) -> Ran {
    run_stage(&Impatient, params, [], folder, 2)
}

/// Returns a file with the digest of what it should be.
pub(crate) fn file(url: String, content: &[u8]) -> FetchFile {
    FetchFile { url, blake3: Some(blake3::hash(content).to_hex().to_string()), ..FetchFile::default() }
}

/// Returns the paths below a folder with the files' contents.
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
