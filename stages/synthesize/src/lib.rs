//! The stage `synthesize`: labelled clips whose class can be told only from motion.
//!
//! It reads nothing and writes UCF101's layout: `videos/MoveLeft/v_MoveLeft_g01_c01.avi`, and `lists/` with `classInd.txt`,
//! `trainlist01.txt` and `testlist01.txt`. The parameters and FFmpeg's version decide every byte.
//!
//! [`scene`] says what a clip shows, [`draw`] paints it, [`lists`] writes the lists.

mod draw;
mod error;
mod lists;
mod scene;
mod stage;

pub use error::SynthesizeError;
pub use stage::Synthesize;
