//! [`Cancel`]: how Ctrl-C reaches a run.

use super::RunMessage;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

/// Stops a run from another thread: the first time gently, the second time at once.
#[derive(Debug, Default)]
pub struct Cancel {
    state: Mutex<(u32, Option<SyncSender<RunMessage>>)>,
}

impl Cancel {
    /// Asks the run to stop; asked twice, it stops now.
    pub fn trigger(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if let Some(sender) = &state.1 {
            // The channel is only full while the run has more urgent news than a third Ctrl-C.
            let _ = sender.try_send(RunMessage::Cancel);
        }
    }

    pub(super) fn connect(&self, sender: SyncSender<RunMessage>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(sender);
    }

    pub(super) fn level(&self) -> u32 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}
