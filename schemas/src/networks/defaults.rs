//! Defaults that several families share.

pub(super) fn base_channels() -> u32 {
    64
}

pub(super) fn shift_div() -> u32 {
    8
}

pub(super) fn one() -> u32 {
    1
}

pub(super) fn two() -> u32 {
    2
}

pub(super) fn five() -> u32 {
    5
}

pub(super) fn eight() -> u32 {
    8
}

pub(super) fn twenty_four() -> u32 {
    24
}

pub(super) fn fc_channels() -> u32 {
    4096
}

pub(super) fn fc1_channels() -> u32 {
    2048
}

pub(super) fn hidden_size() -> u32 {
    512
}

pub(super) fn gamma_b() -> f64 {
    2.25
}

pub(super) fn gamma_d() -> f64 {
    2.2
}

pub(super) fn thirty_two() -> u32 {
    32
}

pub(super) fn yes() -> bool {
    true
}

pub(super) fn aux_loss_weight() -> f64 {
    0.4
}
