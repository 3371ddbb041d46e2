//! [`spawn()`]: starts helpers on a thread that runs as long as this process.
//!
//! The system ends a helper when the thread that started it ends, not when the process ends; see `PR_SET_PDEATHSIG` in prctl(2). Threads
//! share helpers, and a thread that has no more work must not end a helper that another thread uses.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// A program to start, and where to return it.
type Request = (Command, SyncSender<io::Result<Child>>);

/// Starts a program.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static REQUESTS: Mutex<Option<SyncSender<Request>>> = Mutex::new(None);
    let ended = || io::Error::other("the thread that starts helpers has ended");
    let requests = {
        let mut requests = REQUESTS.lock().unwrap_or_else(PoisonError::into_inner);
        match &*requests {
            Some(requests) => requests.clone(),
            None => requests.insert(spawn_thread()?).clone(),
        }
    };
    let (reply, child) = sync_channel(1);
    requests.send((command, reply)).map_err(|_| ended())?;
    child.recv().map_err(|_| ended())?
}

fn spawn_thread() -> io::Result<SyncSender<Request>> {
    let (send, requests) = sync_channel::<Request>(1);
    let work = move || {
        for (mut command, reply) in requests {
            // It can't fail: the caller waits for the reply.
            let _ = reply.send(command.spawn());
        }
    };
    std::thread::Builder::new().name("spawn-helpers".into()).spawn(work)?;
    Ok(send)
}
