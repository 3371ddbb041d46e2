//! To be written.
pub struct Builder;
