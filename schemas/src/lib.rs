//! The contracts of `pipe`: the parameters and ports of each stage kind, and the columns of each table.
//!
//! The engine checks pipelines against a [`Contract`], stages read their typed parameters, and all code that reads or writes a
//! table uses its row type. Start with [`contract::Contract`], then any file in [`stages`]. This crate does no work and links
//! nothing heavy, because `pipe` itself depends on it.

pub mod contract;
pub mod data_files;
pub mod engines;
pub mod evaluation;
mod export_metadata;
pub mod labelling;
pub mod losses;
mod missing;
pub mod networks;
pub mod pipeline;
mod removed_channels;
mod report_tables;
mod rule;
pub mod stages;
pub mod tables;

pub use contract::{
    Check, Contract, InputPort, Numerics, OddNames, Output, OutputPort, ParamError, Parts, PortType, Selection,
    SourceSet, Tolerance, Tool, Worker,
};
pub use export_metadata::{ClipFormat, Colours, ExportMetadata, Layout, MetadataError};
pub use pipeline::pipeline_schema;
pub use removed_channels::{Positions, RemovedChannels};
pub use rule::{Monitor, Rule};
