//! The stage `augment`: every random draw of training and every test view, as rows of the `samples` tables.
//!
//! | reads | |
//! |---|---|
//! | `frames` | the index; for labels of segments also the times of frames; pixels for the contact sheet and stored clips only |
//! | `labels` | labels, classes, and whether a video may have several labels |
//!
//! | writes | |
//! |---|---|
//! | `samples/` | see [`pipe_tables::SamplesFolder`] |
//! | `contact_sheet.png` | some clips of the first epoch as the network sees them |
//! | `clips/` | with `store_clips`, the clips as pixels |
//!
//! Each epoch is a part, and so are the test views. The module `parts` defines what determines a part; the version of
//! libjpeg-turbo is in every key for the sake of stored clips. `draw` is where rows are drawn.

#![warn(clippy::wildcard_enum_match_arm)]

mod clips;
mod draw;
mod error;
mod inputs;
mod list;
mod make;
mod missing;
mod parts;
mod sheet;
mod stage;

pub use stage::Augment;
