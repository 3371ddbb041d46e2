//! How large a pipeline file and its values may be. Real files are far below; a file made to exhaust memory is refused.

/// Maximum size of one file; real ones are a few kilobytes.
pub(crate) const MAX_FILE_BYTES: usize = 1 << 20;
/// Maximum nesting; real files have about eight levels.
pub(crate) const MAX_DEPTH: usize = 64;
/// Maximum memory of all values once aliases are expanded and matrices multiplied.
pub(crate) const MAX_WEIGHT: usize = 16 << 20;
/// Memory of one value, not counting its text.
pub(crate) const NODE_BYTES: usize = 100;
