//! The zoo: each architecture written on [`pipe_graph`], one file each. Start at [`build`].
//!
//! | `backbone.type` | paper | tensors are named as in |
//! |---|---|---|
//! | `ResNet` | TSN, Wang et al. 2016 | torchvision `resnet18`, `resnet50` |
//! | `ResNetTSM` | TSM, Lin et al. 2019 | torchvision `resnet18`, `resnet50` |
//! | `MobileNetV2` | Sandler et al. 2018, frames as in TSN | torchvision `mobilenet_v2` |
//! | `MobileNetV2TSM` | the same with TSM | torchvision `mobilenet_v2` |
//! | `R3D` | Tran et al. 2018 | torchvision `r3d_18` |

mod error;
mod head;
mod mobilenet_v2;
mod r3d;
mod resnet;
mod zoo;

pub use error::ModelError;
pub use zoo::build;
