//! [`start()`]: starts child processes on a thread that lasts as long as this process.
//!
//! The system ends a helper when the thread that started it ends, not when the process does, see `PR_SET_PDEATHSIG` in prctl(2). Threads
//! share helpers, and one that has no more work must not take a helper along that another one uses.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

type Order = (Command, SyncSender<io::Result<Child>>);

/// Starts a program.
pub(super) fn start(command: Command) -> io::Result<Child> {
    static STARTER: Mutex<Option<SyncSender<Order>>> = Mutex::new(None);
    let ended = || io::Error::other("the thread that starts helpers has ended");
    let (answer, child) = sync_channel(1);
    let orders = {
        let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
        match &*starter {
            Some(orders) => orders.clone(),
            None => starter.insert(starter_thread()?).clone(),
        }
    };
    orders.send((command, answer)).map_err(|_| ended())?;
    child.recv().map_err(|_| ended())?
}

fn starter_thread() -> io::Result<SyncSender<Order>> {
    let (send, orders) = sync_channel::<Order>(1);
    let work = move || {
        for (mut command, answer) in orders {
            // Who gave the order may have been given up.
            let _ = answer.send(command.spawn());
        }
    };
    std::thread::Builder::new().name("start-helpers".into()).spawn(work)?;
    Ok(send)
}
