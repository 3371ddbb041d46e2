//! [`Cancel`]: stops a run on Ctrl-C.

use super::RunMessage;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

/// Stops a run from another thread. The first call lets actions stop, the second kills them.
#[derive(Debug, Default)]
pub struct Cancel {
    state: Mutex<(u32, Option<SyncSender<RunMessage>>)>,
}

impl Cancel {
    /// Cancels the run. The second call kills what is running.
    pub fn trigger(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        if let Some(sender) = &state.1 {
            // If the channel is full, the run has messages to process before it can react.
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
