//! Pruned networks: without channels, or with zeros in place of the smallest weights.

use crate::{LearnError, Network};
use pipe_graph::Param;
use pipe_graph::passes::{
    ChannelGroups, PruneError, PruneOptions, Removed, Sparsity, WeightScope, choose_channels, prune_weights,
};
use std::collections::BTreeMap;

impl Network {
    /// Chooses the channels of least importance; see [`choose_channels`].
    ///
    /// # Errors
    /// [`PruneError`] if the share of the multiply-adds can't be reached.
    pub fn choose_channels(&self, groups: &ChannelGroups, options: &PruneOptions) -> Result<Removed, PruneError> {
        choose_channels(self.graph(), groups, &self.values_by_name(), options)
    }

    /// Returns the network without some channels. `groups` are those of its graph.
    ///
    /// # Errors
    /// [`LearnError::Rewrite`] if the graph does not have these channels.
    pub fn without_channels(&self, groups: &ChannelGroups, removed: &Removed) -> Result<Self, LearnError> {
        let pruned = groups.remove(self.graph(), removed)?;
        let old = self.values_by_name();
        let mut values = BTreeMap::new();
        for (id, param) in self.graph().params.iter().enumerate() {
            let old = old.get(&param.name).map_or(&[][..], Vec::as_slice);
            values.insert(param.name.clone(), pruned.values(pipe_graph::ParamId(id), param, old)?);
        }
        self.rewritten(pruned.graph, &values)
    }

    /// Returns the network with zeros in place of the smallest weights, and the zeros of each tensor; see [`prune_weights`].
    ///
    /// # Errors
    /// [`PruneError::Sparsity`] if the share is not above 0 and below 1.
    pub fn with_pruned_weights(&self, sparsity: f64, scope: WeightScope) -> Result<(Self, Vec<Sparsity>), LearnError> {
        let mut values = self.values_by_name();
        let report = prune_weights(self.graph(), &mut values, sparsity, scope)?;
        Ok((self.rewritten(self.graph().clone(), &values)?, report))
    }

    /// Returns copies of the values of all tensors, by name.
    fn values_by_name(&self) -> BTreeMap<String, Vec<f32>> {
        self.tensors().into_iter().map(|(name, tensor)| (name, tensor.to_f32())).collect()
    }

    /// Returns the values of a tensor of the graph in row-major order; `None` if it has another one.
    pub fn values_of(&self, param: &Param) -> Option<Vec<f32>> {
        let (_, tensor) = self.named_tensors().find(|(name, _)| *name == param.name)?;
        Some(crate::convert::to_weights(tensor).to_f32())
    }
}
