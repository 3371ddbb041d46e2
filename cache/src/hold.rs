//! The lock of the whole store: runs share it, garbage collection has it alone.
//!
//! A run holds it from before its first look into the store until its end, so nothing that it found or wrote goes away
//! under it. It is taken before any action's lock, and who has it alone takes no other by waiting: nobody can wait in a
//! circle. What only looks (`status`, `why`, `stats`) takes no lock and waits for nobody; what it looks at may be gone a
//! moment later.

use crate::CacheError;
use crate::store::Store;
use fs_err as fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// Held by who has the store alone: no run uses it meanwhile.
#[derive(Debug)]
pub struct StoreLock(#[expect(dead_code, reason = "closing the file releases the lock")] std::fs::File);

impl Store {
    /// Returns the store with a share of its lock: until the last clone is gone, nothing is removed from it. `waiting` is
    /// called if garbage is being collected.
    pub fn hold(mut self, waiting: impl FnOnce()) -> Result<Self, CacheError> {
        let file = match self.lock_file() {
            // What can't be written can still be read, and then the lock can be shared if there is one.
            Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
                match fs::File::open(self.lock_path()) {
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(self),
                    other => other?.into_parts().0,
                }
            }
            other => other?,
        };
        if file.try_lock_shared().is_err() {
            waiting();
            file.lock_shared()?;
        }
        self.held = Some(Arc::new(file));
        Ok(self)
    }

    /// Returns what [`Self::hold`] does, or nothing where that would have to wait, or to make a file.
    pub fn hold_if_free(mut self) -> Result<Option<Self>, CacheError> {
        let file = match fs::File::open(self.lock_path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?.into_parts().0,
        };
        let free = file.try_lock_shared().is_ok();
        self.held = free.then(|| Arc::new(file));
        Ok(free.then_some(self))
    }

    /// Waits until nobody holds the store, and keeps others from holding it. `waiting` is called if somebody does.
    pub fn lock_alone(&self, waiting: impl FnOnce()) -> Result<StoreLock, CacheError> {
        let file = self.lock_file()?;
        if file.try_lock().is_err() {
            waiting();
            file.lock()?;
        }
        Ok(StoreLock(file))
    }

    /// Returns whether somebody holds the store just now.
    pub fn is_held(&self) -> bool {
        // A store without the file was never held.
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
    use crate::testing::Space;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    #[test]
    fn runs_share_the_store_and_who_wants_it_alone_waits_for_the_last() {
        let space = Space::new();
        assert!(!space.store.is_held());
        let first = space.store.clone().hold(|| panic!("nobody is here")).expect("held");
        let second = space.store.clone().hold(|| panic!("runs share")).expect("held");
        let clone = second.clone();
        assert!(space.store.is_held());
        let (sender, receiver) = sync_channel(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let lock = space.store.lock_alone(|| sender.send("waiting").expect("heard")).expect("locked");
                sender.send("alone").expect("heard");
                drop(lock);
            });
            assert_eq!(receiver.recv(), Ok("waiting"));
            drop((first, second));
            assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err(), "a clone is left");
            drop(clone);
            assert_eq!(receiver.recv(), Ok("alone"));
        });
    }

    #[test]
    fn a_run_waits_for_who_has_the_store_alone_and_looking_does_not() {
        let space = Space::new();
        let key = space.action("x", &[("a.txt", "one")]);
        let lock = space.store.lock_alone(|| panic!("nobody is here")).expect("locked");
        assert!(matches!(space.store.find(key), crate::Lookup::Hit(_)));
        let (sender, receiver) = sync_channel(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                space.store.clone().hold(|| sender.send("waiting").expect("heard")).expect("held");
                sender.send("held").expect("heard");
            });
            assert_eq!(receiver.recv(), Ok("waiting"));
            drop(lock);
            assert_eq!(receiver.recv(), Ok("held"));
        });
    }
}
