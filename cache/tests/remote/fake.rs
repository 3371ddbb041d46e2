//! [`FakeServer`]: an S3 server that serves a folder, and can misbehave.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Behavior {
    /// Serves the objects.
    Honest,
    /// Refuses every request, and repeats the request in its response.
    Refuses,
    /// Sends half of a blob, then stops for good.
    DiesInBlobs,
    /// Responds to every request with status 500.
    Broken,
    /// Never responds.
    Silent,
}

/// A server on the loopback interface, which stops when dropped.
pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    behavior: Behavior,
    gone: AtomicBool,
    num_requests: AtomicU64,
    requests: Mutex<String>,
}

impl FakeServer {
    pub(crate) fn start(folder: &Path, behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            behavior,
            gone: AtomicBool::new(false),
            num_requests: AtomicU64::new(0),
            requests: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if own.gone.load(Ordering::SeqCst) {
                    return;
                }
                let own = Arc::clone(&own);
                std::thread::spawn(move || own.answer(&stream.expect("a connection")));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn num_requests(&self) -> u64 {
        self.shared.num_requests.load(Ordering::SeqCst)
    }

    /// Returns the first line and the headers of all requests.
    pub(crate) fn requests(&self) -> String {
        self.shared.requests.lock().expect("no panic").clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.shared.end(self.address);
    }
}

impl Shared {
    /// Stops the server and closes its port.
    fn end(&self, address: SocketAddr) {
        self.gone.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }

    fn answer(&self, stream: &TcpStream) {
        let mut head = String::new();
        let mut lines = BufReader::new(stream);
        while lines.read_line(&mut head).is_ok_and(|read| read > 2) {}
        self.num_requests.fetch_add(1, Ordering::SeqCst);
        self.requests.lock().expect("no panic").push_str(&head);
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        // Path style: the bucket, then the object.
        let object = target.trim_start_matches('/').split_once('/').map_or("", |(_, object)| object);
        let address = stream.local_addr().expect("an address");
        let mut stream = stream;
        let mut send = |status: &str, body: &[u8], sent: &[u8]| {
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                 etag: \"x\"\r\nconnection: close\r\n\r\n",
                body.len()
            );
            // The client may have closed the connection.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
        };
        match self.behavior {
            Behavior::Refuses => {
                let body = format!("<Error><Code>AccessDenied</Code><Message>{head}</Message></Error>");
                send("403 Forbidden", body.as_bytes(), body.as_bytes());
            }
            Behavior::Broken => send("500 Internal Server Error", b"", b""),
            Behavior::Silent => std::thread::sleep(Duration::from_mins(10)),
            Behavior::Honest | Behavior::DiesInBlobs => match std::fs::read(self.folder.join(object)) {
                Err(_) => send("404 Not Found", b"", b""),
                Ok(_) if method != "GET" => send("501 Not Implemented", b"", b""),
                Ok(body) if self.behavior == Behavior::DiesInBlobs && object.contains("blobs/") => {
                    self.end(address);
                    send("200 OK", &body, &body[..body.len() / 2]);
                }
                Ok(body) => send("200 OK", &body, &body),
            },
        }
    }
}
