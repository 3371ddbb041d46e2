//! [`Resources`]: jobs, processors, memory and GPUs that an executor has and that a stage takes.

use crate::spec::StageLimits;
use fs_err as fs;

/// What an executor has. Executors with the same `place` share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) place: &'static str,
    pub(crate) resources: Resources,
}

/// Amounts of what can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resources {
    /// Stages at the same time.
    pub(crate) jobs: usize,
    pub(crate) cpus: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) gpus: usize,
}

impl Capacity {
    /// Returns what this machine has, for at most `jobs` stages at the same time.
    pub(crate) fn of_this_machine(jobs: usize) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kilobytes = memory.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        let gpus = fs::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count);
        // Unknown memory limits nothing.
        let memory_bytes = kilobytes.map_or(u64::MAX, |kilobytes| kilobytes * 1024);
        let resources = Resources { jobs: jobs.max(1), cpus: cpus.max(jobs), memory_bytes, gpus };
        Self { place: "this machine", resources }
    }
}

impl Resources {
    /// Returns what a stage takes; never more than there is, so that each stage can run alone.
    pub(crate) fn taken_by(&self, limits: &StageLimits) -> Self {
        Self {
            jobs: 1,
            cpus: limits.cpus.unwrap_or(1).min(self.cpus),
            memory_bytes: limits.memory_bytes.unwrap_or(0).min(self.memory_bytes),
            gpus: limits.gpus.unwrap_or(0).min(self.gpus),
        }
    }

    /// Returns whether this is enough for `wanted`.
    pub(crate) fn has(&self, wanted: &Self) -> bool {
        self.jobs >= wanted.jobs
            && self.cpus >= wanted.cpus
            && self.memory_bytes >= wanted.memory_bytes
            && self.gpus >= wanted.gpus
    }

    /// Returns what is left after `taken` was taken.
    pub(crate) fn without(self, taken: Self) -> Self {
        Self {
            jobs: self.jobs - taken.jobs,
            cpus: self.cpus - taken.cpus,
            memory_bytes: self.memory_bytes - taken.memory_bytes,
            gpus: self.gpus - taken.gpus,
        }
    }

    /// Returns what is there after `returned` was returned.
    pub(crate) fn with(self, returned: Self) -> Self {
        Self {
            jobs: self.jobs + returned.jobs,
            cpus: self.cpus + returned.cpus,
            memory_bytes: self.memory_bytes + returned.memory_bytes,
            gpus: self.gpus + returned.gpus,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_wants_more_than_there_is_takes_all_there_is() {
        let all = Resources { jobs: 4, cpus: 4, memory_bytes: 100, gpus: 0 };
        let greedy = StageLimits { cpus: Some(64), memory_bytes: Some(1000), gpus: Some(2), ..StageLimits::default() };
        let taken = all.taken_by(&greedy);
        assert_eq!(taken, Resources { jobs: 1, cpus: 4, memory_bytes: 100, gpus: 0 });
        let free = all.without(taken);
        assert!(!free.has(&all.taken_by(&StageLimits::default())));
        assert_eq!(free.with(taken), all);
    }
}
