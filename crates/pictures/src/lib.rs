//! Pictures for people, as PNG: contact sheets of clips, plots, and diagrams of predictions.

mod canvas;
mod clips;
mod font;
mod heatmap;
mod plot;
mod reliability;
mod sheet;

pub use clips::{evenly, sheet_of_clips};
pub use heatmap::Heatmap;
pub use plot::{Line, Plot};
pub use reliability::{Reliability, ReliabilityBin};
pub use sheet::Sheet;
