//! Pictures for people: contact sheets of clips, as PNG.

mod clips;
mod font;
mod sheet;

pub use clips::{evenly, sheet_of_clips};
pub use sheet::Sheet;
