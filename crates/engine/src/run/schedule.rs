//! [`Schedule`]: which stage may start next.

use crate::Plan;
use crate::spec::StageLimits;
use fs_err as fs;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::{Incoming, Outgoing};
use pipe_stage::protocol::Device;
use std::collections::BTreeSet;

/// Which stage may start next: one whose inputs are all there, and for which there is room.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The connections between the stages of this run, without those from stages that are done: a stage without an edge
    /// into it can start.
    waiting: DiGraph<(), ()>,
    /// Place in the plan's order, and stage.
    ready: BTreeSet<(usize, usize)>,
    rank: Vec<usize>,
    room: Room,
    free: Room,
    /// Indices of the GPUs that no stage uses.
    free_gpus: BTreeSet<u32>,
}

/// What a running stage uses; returned with [`Schedule::give_back`].
#[derive(Debug)]
pub(super) struct Lease {
    taken: Room,
    gpus: Vec<u32>,
}

impl Lease {
    /// Returns the devices that the stage may use.
    pub(super) fn devices(&self) -> Vec<Device> {
        if self.gpus.is_empty() { vec![Device::Cpu] } else { self.gpus.iter().copied().map(Device::Cuda).collect() }
    }
}

/// What there is to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) jobs: usize,
    pub(super) cpus: usize,
    pub(super) memory_bytes: u64,
    pub(super) gpus: usize,
}

impl Room {
    /// Returns what this machine has, for at most `jobs` stages at once.
    pub(super) fn of_machine(jobs: usize) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kilobytes = memory.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        let gpus = fs::read_dir("/proc/driver/nvidia/gpus").map_or(0, Iterator::count);
        // Unknown memory limits nothing.
        let memory_bytes = kilobytes.map_or(u64::MAX, |kilobytes| kilobytes * 1024);
        Self { jobs: jobs.max(1), cpus: cpus.max(jobs), memory_bytes, gpus }
    }

    /// Returns what a stage takes; never more than there is, so that each can run alone.
    fn taken_by(&self, limits: &StageLimits) -> Self {
        Self {
            jobs: 1,
            cpus: limits.cpus.unwrap_or(1).min(self.cpus),
            memory_bytes: limits.memory_bytes.unwrap_or(0).min(self.memory_bytes),
            gpus: limits.gpus.unwrap_or(0).min(self.gpus),
        }
    }

    fn has(&self, wanted: &Self) -> bool {
        self.jobs >= wanted.jobs
            && self.cpus >= wanted.cpus
            && self.memory_bytes >= wanted.memory_bytes
            && self.gpus >= wanted.gpus
    }

    fn less(self, taken: Self) -> Self {
        Self {
            jobs: self.jobs - taken.jobs,
            cpus: self.cpus - taken.cpus,
            memory_bytes: self.memory_bytes - taken.memory_bytes,
            gpus: self.gpus - taken.gpus,
        }
    }

    fn more(self, given: Self) -> Self {
        Self {
            jobs: self.jobs + given.jobs,
            cpus: self.cpus + given.cpus,
            memory_bytes: self.memory_bytes + given.memory_bytes,
            gpus: self.gpus + given.gpus,
        }
    }
}

impl Schedule {
    /// Returns the schedule of the stages that `wanted` holds, with all that they need.
    pub(super) fn new(plan: &Plan, wanted: &BTreeSet<usize>, room: Room) -> Self {
        let mut rank = vec![0; plan.num_stages()];
        plan.order().iter().enumerate().for_each(|(place, &stage)| rank[stage] = place);
        let waiting = plan.graph_of(wanted);
        let is_ready = |stage: usize| waiting.first_edge(NodeIndex::new(stage), Incoming).is_none();
        let ready = wanted.iter().filter(|&&stage| is_ready(stage)).map(|&stage| (rank[stage], stage)).collect();
        let free_gpus = (0..room.gpus as u32).collect();
        Self { ready, waiting, rank, room, free: room, free_gpus }
    }

    /// Returns the first stage in order that can start, and takes it off the list.
    pub(super) fn next(&mut self, plan: &Plan) -> Option<usize> {
        let fits = |&&(_, stage): &&(usize, usize)| self.free.has(&self.room.taken_by(&plan.stage(stage).limits));
        let found = *self.ready.iter().find(fits)?;
        self.ready.remove(&found);
        Some(found.1)
    }

    /// Puts a stage back on the list.
    pub(super) fn again(&mut self, stage: usize) {
        self.ready.insert((self.rank[stage], stage));
    }

    /// Reserves what a stage needs before it starts to run.
    pub(super) fn take(&mut self, limits: &StageLimits) -> Lease {
        let taken = self.room.taken_by(limits);
        self.free = self.free.less(taken);
        let gpus: Vec<u32> = self.free_gpus.iter().copied().take(taken.gpus).collect();
        self.free_gpus.retain(|gpu| !gpus.contains(gpu));
        Lease { taken, gpus }
    }

    /// Frees what a stage used, after it has run.
    pub(super) fn give_back(&mut self, lease: Lease) {
        self.free = self.free.more(lease.taken);
        self.free_gpus.extend(lease.gpus);
    }

    /// Makes stages ready that waited for `stage` alone.
    pub(super) fn done(&mut self, stage: usize) {
        while let Some(edge) = self.waiting.first_edge(NodeIndex::new(stage), Outgoing) {
            let dependent = self.waiting.edge_endpoints(edge).map(|(_, dependent)| dependent);
            self.waiting.remove_edge(edge);
            if let Some(dependent) = dependent
                && self.waiting.first_edge(dependent, Incoming).is_none()
            {
                self.ready.insert((self.rank[dependent.index()], dependent.index()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_wants_more_than_there_is_takes_all_there_is() {
        let room = Room { jobs: 4, cpus: 4, memory_bytes: 100, gpus: 0 };
        let greedy = StageLimits { cpus: Some(64), memory_bytes: Some(1000), gpus: Some(2), ..StageLimits::default() };
        let taken = room.taken_by(&greedy);
        assert_eq!(taken, Room { jobs: 1, cpus: 4, memory_bytes: 100, gpus: 0 });
        let free = room.less(taken);
        assert!(!free.has(&room.taken_by(&StageLimits::default())));
        assert_eq!(free.more(taken), room);
    }
}
