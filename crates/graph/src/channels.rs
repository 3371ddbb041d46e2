//! The channels of values and tensors, as an op sees them: [`ChannelRule`] says which are the same, [`KeptChannels`] which stay.
//!
//! [`passes::ChannelGroups`](crate::passes::ChannelGroups) applies the rules of all nodes of a graph, and removes channels.

mod kept;
mod labels;
mod reshape;
mod rule;

pub(crate) use kept::{Kept, KeptChannels};
pub(crate) use labels::{Axis, Labels};
pub(crate) use rule::ChannelRule;
