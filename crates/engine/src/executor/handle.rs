//! [`Handle`]: stops an action from another thread.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A way to stop an action from another thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    /// Set for good once the action is cancelled, so that what has not started yet does not start.
    stopped: Arc<AtomicBool>,
    target: Arc<Mutex<Option<Box<dyn Target>>>>,
}

/// The process, or the job of a cluster, that runs an action.
pub(crate) trait Target: Debug + Send {
    /// Asks it to stop soon.
    fn cancel(&self);

    /// Ends it now.
    fn kill(&self);
}

impl Handle {
    /// Returns a handle of an action that `target` runs.
    pub(crate) fn new(target: impl Target + 'static) -> Self {
        let handle = Self::default();
        handle.set_target(Some(Box::new(target)));
        handle
    }

    /// Sets what runs the action from now on; `None` if nothing does.
    pub(crate) fn set_target(&self, target: Option<Box<dyn Target>>) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Asks the action to stop soon.
    pub(crate) fn cancel(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(target) = &*self.target.lock().unwrap_or_else(PoisonError::into_inner) {
            target.cancel();
        }
    }

    /// Ends the action now.
    pub(crate) fn kill(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(target) = &*self.target.lock().unwrap_or_else(PoisonError::into_inner) {
            target.kill();
        }
    }

    /// Returns whether the action was cancelled or killed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
