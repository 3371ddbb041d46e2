//! Pictures for people, as PNG: contact sheets of clips, and plots.

mod canvas;
mod clips;
mod font;
mod plot;
mod sheet;

pub use clips::{evenly, sheet_of_clips};
pub use plot::{Line, Plot};
pub use sheet::Sheet;
