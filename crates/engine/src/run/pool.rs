//! [`Pool`]: threads for actions and downloads. They are reused: a run can have thousands of short actions.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Task = Box<dyn FnOnce() + Send>;

/// Threads, as many as there are tasks at the same time. Idle threads end with the pool, busy ones after their task.
#[derive(Default)]
pub(super) struct Pool {
    /// One sender per idle thread.
    idle: Arc<Mutex<Vec<SyncSender<Task>>>>,
}

impl Pool {
    /// Runs `task` on an idle or a new thread.
    pub(super) fn run(&self, task: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let task: Task = Box::new(task);
        let thread = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match thread {
            None => self.start(task),
            // The thread may have ended with a panic of its last task; then this task comes back.
            Some(thread) => thread.send(task).or_else(|lost| self.start(lost.0)),
        }
    }

    fn start(&self, task: Task) -> io::Result<()> {
        let idle = Arc::downgrade(&self.idle);
        std::thread::Builder::new().name("action".into()).spawn(move || serve(task, &idle)).map(drop)
    }
}

/// Runs tasks one after the other until the pool is dropped.
fn serve(mut task: Task, idle: &Weak<Mutex<Vec<SyncSender<Task>>>>) {
    loop {
        task();
        let Some(idle) = idle.upgrade() else { return };
        let (sender, receiver) = sync_channel(1);
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        drop(idle);
        let Ok(next) = receiver.recv() else { return };
        task = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn threads_are_reused_unless_their_task_panics() {
        let (pool, (sender, receiver)) = (Pool::default(), sync_channel(16));
        let received = || receiver.recv_timeout(Duration::from_secs(10)).expect("a thread");
        let send_id = |sender: &SyncSender<_>| {
            let sender = sender.clone();
            move || assert!(sender.send(std::thread::current().id()).is_ok())
        };
        let settle = || std::thread::sleep(Duration::from_millis(20));
        pool.run(send_id(&sender)).expect("run");
        let first = received();
        settle();
        pool.run(send_id(&sender)).expect("run");
        assert_eq!(received(), first);
        settle();
        pool.run(|| panic!("as tests do")).expect("run");
        settle();
        pool.run(send_id(&sender)).expect("run");
        assert_ne!(received(), first);
    }
}
