//! The lock of the whole store: shared by runs, exclusive for garbage collection.
//!
//! A run holds the lock from before its first lookup until its end, so that nothing it found or wrote is deleted. It takes this
//! lock before the lock of any action, and the holder of the exclusive lock waits for no other lock, so there is no deadlock.
//! Commands that only look (`status`, `why`, `stats`) take no lock and never wait; objects may be deleted right after they looked.

use crate::CacheError;
use crate::store::{Store, is_read_only};
use fs_err as fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// The exclusive lock of a store: no run uses the store while it is held.
#[derive(Debug)]
pub struct StoreLock(#[expect(dead_code, reason = "closing the file releases the lock")] std::fs::File);

impl Store {
    /// Takes the shared lock: until the last clone is dropped, nothing is deleted from the store. Calls `waiting` before it waits
    /// for a garbage collection.
    pub fn hold(mut self, waiting: impl FnOnce()) -> Result<Self, CacheError> {
        let file = match self.lock_file() {
            // A read-only store needs no lock file; an existing one can be locked.
            Err(error) if is_read_only(error.kind()) => match fs::File::open(self.lock_path()) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(self),
                other => other?.into_parts().0,
            },
            other => other?,
        };
        if file.try_lock_shared().is_err() {
            waiting();
            file.lock_shared()?;
        }
        self.held = Some(Arc::new(file));
        Ok(self)
    }

    /// Like [`Self::hold`], but returns `None` if that would wait or create the lock file.
    pub fn hold_if_free(mut self) -> Result<Option<Self>, CacheError> {
        let file = match fs::File::open(self.lock_path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?.into_parts().0,
        };
        let free = file.try_lock_shared().is_ok();
        self.held = free.then(|| Arc::new(file));
        Ok(free.then_some(self))
    }

    /// Takes the exclusive lock. Calls `waiting` before it waits for the holders of shared locks.
    pub fn lock_alone(&self, waiting: impl FnOnce()) -> Result<StoreLock, CacheError> {
        let file = self.lock_file()?;
        if file.try_lock().is_err() {
            waiting();
            file.lock()?;
        }
        Ok(StoreLock(file))
    }

    /// Returns whether any process holds the lock.
    pub fn is_held(&self) -> bool {
        // A store without a lock file was never locked.
        fs::File::open(self.lock_path()).is_ok_and(|file| file.file().try_lock().is_err())
    }

    fn lock_path(&self) -> PathBuf {
        self.root.join("lock")
    }

    fn lock_file(&self) -> std::io::Result<std::fs::File> {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(self.lock_path())?;
        Ok(file.into_parts().0)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::TestStore;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    #[test]
    fn the_exclusive_lock_waits_for_all_shared_locks() {
        let test = TestStore::new();
        assert!(!test.store.is_held());
        let first = test.store.clone().hold(|| panic!("not locked")).expect("held");
        let second = test.store.clone().hold(|| panic!("shared")).expect("held");
        let clone = second.clone();
        assert!(test.store.is_held());
        let (sender, receiver) = sync_channel(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let lock = test.store.lock_alone(|| sender.send("waiting").expect("received")).expect("locked");
                sender.send("exclusive").expect("received");
                drop(lock);
            });
            assert_eq!(receiver.recv(), Ok("waiting"));
            drop((first, second));
            assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err(), "a clone still holds it");
            drop(clone);
            assert_eq!(receiver.recv(), Ok("exclusive"));
        });
    }

    #[test]
    fn a_run_waits_for_the_exclusive_lock_but_a_lookup_does_not() {
        let test = TestStore::new();
        let key = test.action("x", &[("a.txt", "one")]);
        let lock = test.store.lock_alone(|| panic!("not locked")).expect("locked");
        assert!(matches!(test.store.find(key), crate::Lookup::Hit(_)));
        let (sender, receiver) = sync_channel(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                test.store.clone().hold(|| sender.send("waiting").expect("received")).expect("held");
                sender.send("held").expect("received");
            });
            assert_eq!(receiver.recv(), Ok("waiting"));
            drop(lock);
            assert_eq!(receiver.recv(), Ok("held"));
        });
    }
}
