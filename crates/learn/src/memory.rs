//! [`MemoryOfClips`]: how much memory a step takes, and how many clips fit; for advice after a step did not fit.

#![expect(unsafe_code, reason = "functions of glibc")]

use std::ffi::c_int;

/// glibc's `struct mallinfo2`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct MallInfo2 {
    arena: usize,
    ordblks: usize,
    smblks: usize,
    hblks: usize,
    hblkhd: usize,
    usmblks: usize,
    fsmblks: usize,
    uordblks: usize,
    /// Bytes that are free, but belong to the process.
    fordblks: usize,
    keepcost: usize,
}

unsafe extern "C" {
    fn malloc_trim(pad: usize) -> c_int;
    fn mallinfo2() -> MallInfo2;
}

/// The memory that a step takes: so much for each clip, and the rest for gradients and the optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryOfClips {
    /// Bytes for each clip of a batch.
    pub per_clip_bytes: u64,
    /// Bytes beside those.
    pub fixed_bytes: u64,
    /// Bytes that this process may still take.
    pub available_bytes: u64,
}

impl MemoryOfClips {
    /// Returns the memory from the peaks of two steps with different numbers of clips; `None` if the larger took no more.
    pub(crate) fn of_peaks(smaller: (u64, u64), larger: (u64, u64), available_bytes: u64) -> Option<Self> {
        let (clips, bytes) = (larger.0.checked_sub(smaller.0)?, larger.1.checked_sub(smaller.1)?);
        let per_clip_bytes = bytes.checked_div(clips).filter(|bytes| *bytes > 0)?;
        let fixed_bytes = smaller.1.saturating_sub(smaller.0 * per_clip_bytes);
        Some(Self { per_clip_bytes, fixed_bytes, available_bytes })
    }

    /// Returns the number of clips that fit with a tenth to spare.
    pub fn num_clips(&self) -> u64 {
        (self.available_bytes / 10 * 9).saturating_sub(self.fixed_bytes) / self.per_clip_bytes.max(1)
    }
}

/// Returns the bytes that `work` takes at most, beside what is in use.
pub(crate) fn peak_of(work: impl FnOnce()) -> Option<u64> {
    // SAFETY: it only returns free memory to the system, so that the figures below count what is in use.
    unsafe { malloc_trim(0) };
    // The peak starts anew.
    fs_err::write("/proc/self/clear_refs", "5").ok()?;
    let before = status("VmRSS:")?;
    work();
    Some(status("VmHWM:")?.saturating_sub(before))
}

/// Returns the bytes that this process may still take: of its limit of addresses, and of the machine.
pub(crate) fn available() -> Option<u64> {
    let meminfo = fs_err::read_to_string("/proc/meminfo").ok()?;
    let machine = kilobytes(&meminfo, "MemAvailable:")?;
    let limits = fs_err::read_to_string("/proc/self/limits").ok()?;
    let limit =
        limits.lines().find_map(|line| line.strip_prefix("Max address space")?.split_whitespace().next()?.parse().ok());
    let Some(limit): Option<u64> = limit else { return Some(machine) };
    // SAFETY: it reads counters.
    let free = unsafe { mallinfo2() }.fordblks as u64;
    Some(limit.saturating_sub(status("VmSize:")?).saturating_add(free).min(machine))
}

fn status(name: &str) -> Option<u64> {
    kilobytes(&fs_err::read_to_string("/proc/self/status").ok()?, name)
}

/// Returns a figure of a file in `/proc`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_clip_follows_from_two_steps() {
        let memory = MemoryOfClips::of_peaks((2, 500), (4, 700), 2000).expect("more");
        assert_eq!(memory, MemoryOfClips { per_clip_bytes: 100, fixed_bytes: 300, available_bytes: 2000 });
        assert_eq!(memory.num_clips(), 15);
        assert_eq!(MemoryOfClips { available_bytes: 200, ..memory }.num_clips(), 0);
        assert_eq!(MemoryOfClips::of_peaks((2, 500), (4, 500), 2000), None);
    }

    #[test]
    fn a_peak_is_that_of_the_work() {
        let bytes = 64 << 20;
        let peak = peak_of(|| drop(std::hint::black_box(vec![1u8; bytes]))).expect("a figure") as usize;
        assert!((bytes / 2..4 * bytes).contains(&peak), "{peak}");
        assert!(available().is_some_and(|bytes| bytes > 0));
    }
}
