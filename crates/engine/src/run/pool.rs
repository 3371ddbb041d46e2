//! [`Pool`]: threads for actions and downloads, used again: thousands of short actions would else pay for a thread each.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Task = Box<dyn FnOnce() + Send>;

/// Threads that grow as needed. Idle ones end with the pool, busy ones after their task.
#[derive(Default)]
pub(super) struct Pool {
    /// Who waits for the next task.
    idle: Arc<Mutex<Vec<Sender<Task>>>>,
}

impl Pool {
    /// Runs `task` on a thread of its own.
    pub(super) fn run(&self, task: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let task: Task = Box::new(task);
        let thread = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match thread {
            None => self.start(task),
            // One that ended of its last task's panic gives this one back.
            Some(thread) => thread.send(task).or_else(|lost| self.start(lost.0)),
        }
    }

    fn start(&self, task: Task) -> io::Result<()> {
        let idle = Arc::downgrade(&self.idle);
        std::thread::Builder::new().name("action".into()).spawn(move || serve(task, &idle)).map(drop)
    }
}

/// Runs one task after the other for as long as there is a pool.
fn serve(mut task: Task, idle: &Weak<Mutex<Vec<Sender<Task>>>>) {
    loop {
        task();
        let Some(idle) = idle.upgrade() else { return };
        let (sender, receiver) = channel();
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
    fn threads_are_used_again_and_a_panic_costs_one() {
        let (pool, (sender, receiver)) = (Pool::default(), channel());
        let told = || receiver.recv_timeout(Duration::from_secs(10)).expect("told");
        let tell = |sender: &Sender<_>| {
            let sender = sender.clone();
            move || assert!(sender.send(std::thread::current().id()).is_ok())
        };
        let settle = || std::thread::sleep(Duration::from_millis(20));
        pool.run(tell(&sender)).expect("run");
        let first = told();
        settle();
        pool.run(tell(&sender)).expect("run");
        assert_eq!(told(), first);
        settle();
        pool.run(|| panic!("as tests do")).expect("run");
        settle();
        pool.run(tell(&sender)).expect("run");
        assert_ne!(told(), first);
    }
}
