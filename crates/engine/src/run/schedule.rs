//! [`Schedule`]: which stage may start next.

use crate::Plan;
use crate::executor::{Capacity, Resources};
use crate::spec::StageLimits;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::{Incoming, Outgoing};
use pipe_stage::protocol::Device;
use std::collections::BTreeSet;

/// Which stage may start next: one whose inputs are complete, and for which its executor has enough resources.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The connections between the stages of this run, without those from stages that are done: a stage without an edge
    /// into it can start.
    waiting: DiGraph<(), ()>,
    /// Rank in the plan's order, and stage.
    ready: BTreeSet<(usize, usize)>,
    rank: Vec<usize>,
    /// The pool that each stage takes its resources from.
    pool_of: Vec<usize>,
    pools: Vec<ResourcePool>,
}

/// The resources of one place.
#[derive(Debug)]
struct ResourcePool {
    place: &'static str,
    all: Resources,
    free: Resources,
    /// Indices of the GPUs that no stage uses.
    free_gpus: BTreeSet<u32>,
}

/// What a running stage uses; returned with [`Schedule::give_back`].
#[derive(Debug)]
pub(super) struct Lease {
    pool: usize,
    taken: Resources,
    gpus: Vec<u32>,
}

impl Lease {
    /// Returns the devices that the stage may use.
    pub(super) fn devices(&self) -> Vec<Device> {
        if self.gpus.is_empty() { vec![Device::Cpu] } else { self.gpus.iter().copied().map(Device::Cuda).collect() }
    }
}

impl ResourcePool {
    fn new(place: &'static str, all: Resources) -> Self {
        Self { place, all, free: all, free_gpus: (0..all.gpus as u32).collect() }
    }

    fn has(&self, limits: &StageLimits) -> bool {
        self.free.has(&self.all.taken_by(limits))
    }
}

impl Schedule {
    /// Returns the schedule of the stages in `wanted`, which contains everything that they read. `capacity` is that of the
    /// executor that runs a stage.
    pub(super) fn new(plan: &Plan, wanted: &BTreeSet<usize>, capacity: impl Fn(usize) -> Capacity) -> Self {
        let mut rank = vec![0; plan.num_stages()];
        plan.order().iter().enumerate().for_each(|(place, &stage)| rank[stage] = place);
        let waiting = plan.graph_of(wanted);
        let is_ready = |stage: usize| waiting.first_edge(NodeIndex::new(stage), Incoming).is_none();
        let ready = wanted.iter().filter(|&&stage| is_ready(stage)).map(|&stage| (rank[stage], stage)).collect();
        let (mut pool_of, mut pools) = (Vec::with_capacity(rank.len()), Vec::<ResourcePool>::new());
        for stage in 0..rank.len() {
            let Capacity { place, resources } = capacity(stage);
            let pool = pools.iter().position(|pool| pool.place == place).unwrap_or_else(|| {
                pools.push(ResourcePool::new(place, resources));
                pools.len() - 1
            });
            pool_of.push(pool);
        }
        Self { waiting, ready, rank, pool_of, pools }
    }

    /// Returns the first stage in order that can start, and removes it from the list.
    pub(super) fn next(&mut self, plan: &Plan) -> Option<usize> {
        let has_resources =
            |&&(_, stage): &&(usize, usize)| self.pools[self.pool_of[stage]].has(&plan.stage(stage).limits);
        let found = *self.ready.iter().find(has_resources)?;
        self.ready.remove(&found);
        Some(found.1)
    }

    /// Puts a stage back on the list.
    pub(super) fn again(&mut self, stage: usize) {
        self.ready.insert((self.rank[stage], stage));
    }

    /// Reserves what a stage needs before it starts to run.
    pub(super) fn take(&mut self, stage: usize, limits: &StageLimits) -> Lease {
        let pool = &mut self.pools[self.pool_of[stage]];
        let taken = pool.all.taken_by(limits);
        pool.free = pool.free.without(taken);
        let gpus: Vec<u32> = pool.free_gpus.iter().copied().take(taken.gpus).collect();
        pool.free_gpus.retain(|gpu| !gpus.contains(gpu));
        Lease { pool: self.pool_of[stage], taken, gpus }
    }

    /// Frees what a stage used, after it has run.
    pub(super) fn give_back(&mut self, lease: Lease) {
        let pool = &mut self.pools[lease.pool];
        pool.free = pool.free.with(lease.taken);
        pool.free_gpus.extend(lease.gpus);
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
