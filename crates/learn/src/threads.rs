//! [`use_threads`]: the number of threads, on which results depend.

use std::sync::Once;

/// Number of threads that libtorch computes with where the work is too small to gain from more, and its results should not depend on
/// the machine.
pub const COMPUTE_THREADS: i32 = 2;

/// Sets the number of threads that libtorch computes with to [`COMPUTE_THREADS`].
pub fn pin_threads() {
    use_threads(COMPUTE_THREADS as usize);
}

/// Sets the number of threads that libtorch computes with. Call it on each thread that computes: OpenMP keeps the number per thread.
///
/// Sums are divided into one piece per thread, so that the number of threads affects the last bits, and after a few steps the
/// leading digits of the loss (measured: 2.034 and 2.036 after 12 steps with one and with two threads, the same in every run). So
/// the environment of a result names it.
pub fn use_threads(threads: usize) {
    static INTEROP: Once = Once::new();
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
    // May be called once only, and before any work.
    INTEROP.call_once(|| tch::set_num_interop_threads(1));
}
