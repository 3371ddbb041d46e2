//! Defaults that several families share.

pub(super) fn base_channels() -> u32 {
    64
}

pub(super) fn shift_div() -> u32 {
    8
}
