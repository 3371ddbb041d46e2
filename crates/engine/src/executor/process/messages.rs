//! [`Messages`]: messages to a worker, which a thread of their own writes. A worker that does not read blocks only this thread.

use pipe_stage::protocol::Message;
use std::io::{self, Write};
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Maximum number of messages that wait to be written: a request, and cancellations of it.
const MAX_WAITING: usize = 16;

/// Sends messages to a worker. Clones send to the same worker.
#[derive(Debug, Clone)]
pub(super) struct Messages {
    waiting: SyncSender<Vec<u8>>,
}

impl Messages {
    /// Starts the thread that writes.
    pub(super) fn start(stdin: Arc<ChildStdin>) -> io::Result<Self> {
        let (waiting, lines) = sync_channel(MAX_WAITING);
        std::thread::Builder::new().name("worker-messages".into()).spawn(move || write(&stdin, &lines))?;
        Ok(Self { waiting })
    }

    /// Sends a message. Returns at once: whether it arrives shows in what the worker does.
    pub(super) fn send(&self, message: &Message) -> serde_json::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        // If the worker reads nothing, further messages change nothing.
        drop(self.waiting.try_send(line));
        Ok(())
    }
}

/// Writes messages until the worker closes its stdin, or nothing sends any more.
fn write(mut stdin: &ChildStdin, lines: &Receiver<Vec<u8>>) {
    for line in lines {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}
