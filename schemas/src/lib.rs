//! The contracts of `pipe`: what each stage kind takes and gives, and what each table looks like.
//!
//! Everything else meets here: the engine checks pipelines against a [`Contract`], workers read the typed parameters,
//! and whoever writes or reads a table uses its row type. Start with [`contract::Contract`], then any file in [`stages`].
//! Nothing here does work, and nothing heavy is linked: `pipe` itself depends on this crate.

pub mod contract;
pub mod networks;
pub mod pipeline;
pub mod stages;
pub mod tables;

pub use contract::{
    Check, Contract, InputPort, Numerics, OddNames, Output, OutputPort, ParamError, Parts, PortType, SourceSet,
    Tolerance, Tool, Worker,
};
pub use pipeline::pipeline_schema;
