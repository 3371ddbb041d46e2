//! Swin (Liu et al. 2021), the 2-D network from which Video Swin starts: its names in torchvision (`swin_t`) and in the repository of the
//! authors (`swin_tiny_patch4_window7_224`), whose files MMAction2 uses.

use crate::NameMap;
use crate::architecture::{Flat, Inflation};
use pipe_schemas::networks::Project;
use pipe_schemas::networks::swin3d::SwinTransformer3D;

/// Returns the 2-D network and the names of its tensors. torchvision counts its patches as the first entry of `features`.
pub(super) fn inflation(swin: &SwinTransformer3D) -> Inflation {
    let mut names = NameMap::new(Project::Torchvision)
        .rule("patch_embed.proj.*", "features.0.0.*")
        .rule("patch_embed.norm.*", "features.0.2.*");
    let mut original = NameMap::new(Project::Original)
        .rule("features.0.0.*", "patch_embed.proj.*")
        .rule("features.0.2.*", "patch_embed.norm.*");
    for stage in 0..4 {
        let (blocks, theirs) = (2 * stage + 1, format!("layers.{stage}"));
        names = names
            .rule(format!("features.{}.*", blocks - 1), format!("features.{blocks}.*"))
            .rule(format!("features.{blocks}.*"), format!("features.{}.*", blocks + 1));
        original = original
            .rule(format!("features.{blocks}.#.mlp.0.*"), format!("{theirs}.blocks.#.mlp.fc1.*"))
            .rule(format!("features.{blocks}.#.mlp.3.*"), format!("{theirs}.blocks.#.mlp.fc2.*"))
            .rule(format!("features.{blocks}.#.*"), format!("{theirs}.blocks.#.*"))
            .rule(format!("features.{}.*", blocks + 1), format!("{theirs}.downsample.*"))
            // The mask of shifted windows follows from sizes.
            .ignored(format!("{theirs}.blocks.#.attn_mask"));
    }
    let same = |map: NameMap| map.rule("norm.*", "norm.*").rule("head.*", "head.*");
    let table_repeats = 2 * swin.window_size[0] as usize - 1;
    let maps = vec![NameMap::same(Project::Torchvision), same(original)];
    Inflation { flat: Flat::Derived { name: "swin", maps, table_repeats }, names: same(names) }
}
