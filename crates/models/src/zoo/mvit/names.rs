//! The names that MMAction2 and PySlowFast give to the tensors of MViT.

use crate::NameMap;
use crate::name_map::Axes;
use pipe_schemas::networks::Project;

/// MMAction2 has MViTv2 only.
pub(super) fn mmaction2() -> NameMap {
    let map = NameMap::new(Project::Mmaction2).rule("conv_proj.*", "backbone.patch_embed.projection.*").rule_with_axes(
        "pos_encoding.class_token",
        "backbone.cls_token",
        Axes { before: 2, after: 0 },
    );
    blocks(map, "backbone.blocks").rule("norm.*", "backbone.norm3.*").rule("head.1.*", "cls_head.fc_cls.*")
}

pub(super) fn pyslowfast() -> NameMap {
    let axes = |before| Axes { before, after: 0 };
    let map = NameMap::new(Project::Pyslowfast)
        .rule("conv_proj.*", "patch_embed.proj.*")
        .rule_with_axes("pos_encoding.class_token", "cls_token", axes(2))
        .rule_with_axes("pos_encoding.class_pos", "pos_embed_class", axes(2))
        .rule_with_axes("pos_encoding.spatial_pos", "pos_embed_spatial", axes(1))
        .rule_with_axes("pos_encoding.temporal_pos", "pos_embed_temporal", axes(1));
    blocks(map, "blocks").rule("norm.*", "norm.*").rule("head.1.*", "head.projection.*")
}

/// Appends the rules of the blocks, which both projects have.
fn blocks(mut map: NameMap, theirs: &str) -> NameMap {
    for letter in ["q", "k", "v"] {
        let ours = format!("blocks.#.attn.pool_{letter}");
        map = map
            .rule(format!("{ours}.pool.*"), format!("{theirs}.#.attn.pool_{letter}.*"))
            .rule(format!("{ours}.norm_act.0.*"), format!("{theirs}.#.attn.norm_{letter}.*"));
    }
    map.rule("blocks.#.attn.project.0.*", format!("{theirs}.#.attn.proj.*"))
        .rule("blocks.#.mlp.0.*", format!("{theirs}.#.mlp.fc1.*"))
        .rule("blocks.#.mlp.3.*", format!("{theirs}.#.mlp.fc2.*"))
        .rule("blocks.#.project.*", format!("{theirs}.#.proj.*"))
        .rule("blocks.#.*", format!("{theirs}.#.*"))
}
