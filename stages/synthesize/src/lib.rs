//! The stage `synthesize`: generates labelled clips with classes that differ only in motion.
//!
//! It has no inputs and writes the layout of UCF101: `videos/MoveLeft/v_MoveLeft_g01_c01.avi`, and `lists/` with `classInd.txt`,
//! `trainlist01.txt` and `testlist01.txt`. The bytes depend only on the parameters and the version of FFmpeg.
//!
//! Start with [`scene`], which defines the content of a clip. [`draw`] paints it, and [`lists`] writes the lists.

mod draw;
mod error;
mod lists;
mod scene;
mod stage;

pub use error::SynthesizeError;
pub use stage::Synthesize;
