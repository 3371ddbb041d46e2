//! The functions of `cpp/c10d.cpp`, as safe Rust.

#![expect(unsafe_code, reason = "functions of C++")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;
use tch::Tensor;

unsafe extern "C" {
    fn pipe_error() -> *const c_char;
    fn pipe_c10d_new(host: *const c_char, port: u16, listener: c_int, timeout_ms: i64) -> *mut c_void;
    fn pipe_c10d_connect(
        group: *mut c_void,
        rank: c_int,
        size: c_int,
        own_address: *const c_char,
        timeout_ms: i64,
        reduction_ms: i64,
    ) -> c_int;
    fn pipe_c10d_free(group: *mut c_void);
    fn pipe_c10d_all_reduce(group: *mut c_void, tensor: *mut c_void) -> c_int;
    fn pipe_c10d_broadcast(group: *mut c_void, tensor: *mut c_void) -> c_int;
    fn pipe_c10d_set(group: *mut c_void, key: *const c_char, value: *const u8, len: usize) -> c_int;
    fn pipe_c10d_get(
        group: *mut c_void,
        key: *const c_char,
        timeout_ms: i64,
        value: *mut *mut u8,
        len: *mut usize,
    ) -> c_int;
    fn pipe_c10d_free_value(value: *mut u8);
    fn pipe_sync_batch_norm(
        group: *mut c_void,
        x: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        running_mean: *const c_void,
        running_var: *const c_void,
        momentum: f64,
        eps: f64,
        contributes: c_int,
    ) -> *mut c_void;
    fn pipe_load_library(path: *const c_char) -> c_int;
}

/// The text of an error of C++.
pub(crate) type Text = String;

/// A process group of c10d with its store.
#[derive(Debug)]
pub(crate) struct RawGroup(NonNull<c_void>);

// SAFETY: the objects of c10d may be used by any thread.
unsafe impl Send for RawGroup {}
// SAFETY: as above. Reductions of several threads at the same time would be in another order in each process, but are no data races.
unsafe impl Sync for RawGroup {}

/// The operands of a batch normalisation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchNormCall<'a> {
    pub(crate) x: &'a Tensor,
    pub(crate) weight: &'a Tensor,
    pub(crate) bias: &'a Tensor,
    pub(crate) running_mean: &'a Tensor,
    pub(crate) running_var: &'a Tensor,
    pub(crate) momentum: f64,
    pub(crate) eps: f64,
    /// Whether the values of this process count.
    pub(crate) contributes: bool,
}

impl RawGroup {
    /// Opens the store at an address. The first process passes a socket that listens there, which belongs to the group from then on; the
    /// others wait for it.
    pub(crate) fn new(host: &str, port: u16, listener: Option<c_int>, wait: Duration) -> Result<Self, Text> {
        let host = c_string(host)?;
        // SAFETY: the text lives until the call returns.
        let group = unsafe { pipe_c10d_new(host.as_ptr(), port, listener.unwrap_or(-1), millis(wait)) };
        NonNull::new(group).map(Self).ok_or_else(last_error)
    }

    /// Connects all processes with each other; all must be there. `own_address` is where this one listens to the others. Nothing else but
    /// [`Self::set`] and [`Self::get`] may be called before.
    pub(crate) fn connect(
        &mut self,
        rank: u32,
        world_size: u32,
        own_address: &str,
        [wait, reduction]: [Duration; 2],
    ) -> Result<(), Text> {
        let own_address = c_string(own_address)?;
        let (rank, size) = (rank as c_int, world_size as c_int);
        // SAFETY: the text lives until the call returns, and the group as long as `self`.
        check(unsafe {
            pipe_c10d_connect(self.0.as_ptr(), rank, size, own_address.as_ptr(), millis(wait), millis(reduction))
        })
    }

    /// Adds up the values of all processes, in place.
    pub(crate) fn all_reduce(&self, tensor: &mut Tensor) -> Result<(), Text> {
        // SAFETY: the group lives as long as `self`, and a tensor of `tch` is a pointer to one of libtorch.
        check(unsafe { pipe_c10d_all_reduce(self.0.as_ptr(), tensor.as_mut_ptr().cast()) })
    }

    /// Overwrites the values with those of the first process.
    pub(crate) fn broadcast(&self, tensor: &mut Tensor) -> Result<(), Text> {
        // SAFETY: as in `all_reduce`.
        check(unsafe { pipe_c10d_broadcast(self.0.as_ptr(), tensor.as_mut_ptr().cast()) })
    }

    /// Stores a value for all processes.
    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), Text> {
        let key = c_string(key)?;
        // SAFETY: key and value live until the call returns.
        check(unsafe { pipe_c10d_set(self.0.as_ptr(), key.as_ptr(), value.as_ptr(), value.len()) })
    }

    /// Waits for a value that a process stores; `None` after `timeout`.
    pub(crate) fn get(&self, key: &str, timeout: Duration) -> Result<Option<Vec<u8>>, Text> {
        let key = c_string(key)?;
        let (mut value, mut len) = (std::ptr::null_mut(), 0);
        // SAFETY: the key and both places live until the call returns.
        let found =
            unsafe { pipe_c10d_get(self.0.as_ptr(), key.as_ptr(), millis(timeout), &raw mut value, &raw mut len) };
        match found {
            0 => {
                // SAFETY: the call returned 0, and so has stored memory of `len` bytes.
                let bytes = unsafe { std::slice::from_raw_parts(value, len) }.to_vec();
                // SAFETY: the memory is freed once.
                unsafe { pipe_c10d_free_value(value) };
                Ok(Some(bytes))
            }
            1 => Ok(None),
            _ => Err(last_error()),
        }
    }

    /// Normalises with the statistics of all processes, and updates the running ones. Gradients flow through the statistics too.
    pub(crate) fn batch_norm(&self, call: BatchNormCall<'_>) -> Result<Tensor, Text> {
        let BatchNormCall { x, weight, bias, running_mean, running_var, momentum, eps, contributes } = call;
        let [x, weight, bias, mean, var] =
            [x, weight, bias, running_mean, running_var].map(|tensor| tensor.as_ptr().cast::<c_void>());
        let group = self.0.as_ptr();
        // SAFETY: as in `all_reduce`. The group must outlive the gradient, which the callers' `Arc` ensures: a step computes its gradient
        // while the learner holds the group.
        let result =
            unsafe { pipe_sync_batch_norm(group, x, weight, bias, mean, var, momentum, eps, c_int::from(contributes)) };
        if result.is_null() {
            return Err(last_error());
        }
        // SAFETY: it is a new tensor, which nothing else owns.
        Ok(unsafe { Tensor::from_ptr(result.cast()) })
    }
}

impl Drop for RawGroup {
    fn drop(&mut self) {
        // SAFETY: nothing uses the group any more.
        unsafe { pipe_c10d_free(self.0.as_ptr()) }
    }
}

/// Loads a shared library, such as `libtorch_cuda.so`, so that libtorch finds what it registers.
pub(crate) fn load_library(path: &Path) -> Result<(), Text> {
    let path = c_string(&path.to_string_lossy())?;
    // SAFETY: the text lives until the call returns. The initialisers of the library run; it is one of libtorch.
    check(unsafe { pipe_load_library(path.as_ptr()) })
}

/// Returns the error of a function that did not return 0.
pub(crate) fn check(result: c_int) -> Result<(), Text> {
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// Returns the first line of the text of the last error of this thread; the others are the C++ stack.
pub(crate) fn last_error() -> Text {
    // SAFETY: the text belongs to this thread, and lives until its next call.
    let text = unsafe { CStr::from_ptr(pipe_error()) }.to_string_lossy();
    text.lines().next().unwrap_or_default().to_owned()
}

fn c_string(text: &str) -> Result<CString, Text> {
    CString::new(text).map_err(|_| format!("{text:?} contains a NUL"))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
