//! `augment`: every random draw of training and every test view, as rows of the `samples` tables.
//!
//! Reads `index.parquet` of `frames`, for labels of segments also the times of frames, and `annotations.parquet`,
//! `classes.parquet` and `labelling.json` of `labels`. Writes `samples/`: `train.parquet`, `test.parquet`, `classes.parquet` and
//! `preprocessing.json`; `contact_sheet.png`; and, with `store_clips`, the clips themselves in `clips/`. For these two alone it
//! reads pixels. Its key holds the digests of its inputs, all parameters, and the version of libjpeg-turbo for their sake; the
//! samples are decided by our own draws.

mod clips;
mod draw;
mod error;
mod font;
mod list;
mod sheet;
mod stage;

pub use stage::Augment;
