//! Pictures for people, as PNG: contact sheets of clips, heat maps and captions over frames, plots, and diagrams of predictions.

mod canvas;
mod caption;
mod clips;
mod font;
mod heatmap;
mod overlay;
mod plot;
mod reliability;
mod scatter;
mod sheet;

pub use caption::caption;
pub use clips::{evenly, sheet_of_clips, shrink};
pub use heatmap::Heatmap;
pub use overlay::overlay;
pub use plot::{Line, Plot};
pub use reliability::{Reliability, ReliabilityBin};
pub use scatter::{Point, Scatter};
pub use sheet::Sheet;
