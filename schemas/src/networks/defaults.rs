//! Defaults that several families share.

use super::hidden_act::HiddenAct;

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

pub(super) fn three() -> u32 {
    3
}

pub(super) fn twelve() -> u32 {
    12
}

pub(super) fn sixteen() -> u32 {
    16
}

pub(super) fn thirty_two() -> u32 {
    32
}

pub(super) fn sixty_four() -> u32 {
    64
}

pub(super) fn crop_size() -> u32 {
    256
}

/// The features of ViT-B.
pub(super) fn vit_base() -> u32 {
    768
}

/// The features of ViT-L.
pub(super) fn vit_large() -> u32 {
    1024
}

pub(super) fn intermediate_size() -> u32 {
    3072
}

pub(super) fn mlp_ratio() -> f64 {
    4.0
}

pub(super) fn drop_path_rate() -> f64 {
    0.1
}

pub(super) fn layer_norm_eps() -> f64 {
    1e-6
}

pub(super) fn tubelet() -> [u32; 3] {
    [2, 16, 16]
}

pub(super) fn yes() -> bool {
    true
}

pub(super) fn aux_loss_weight() -> f64 {
    0.4
}

pub(super) fn gelu() -> HiddenAct {
    HiddenAct::Gelu
}

pub(super) fn gelu_fast() -> HiddenAct {
    HiddenAct::GeluFast
}
