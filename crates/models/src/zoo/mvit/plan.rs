//! [`blocks`]: heads, channels, strides and tables of each block.

use super::PATCH_STRIDE;
use super::block::Block;
use crate::tokens::drop_path_rate;
use pipe_graph::ops::drop_path::DropPath;
use pipe_graph::{GraphError, ShapeError};
use pipe_schemas::networks::mvit::{MViT, MViTVersion};

/// The stride of keys and values in the first blocks; it halves with the resolution.
const FIRST_KEY_STRIDE: usize = 8;

/// Returns the frames, rows and columns of patches that the tables of positions are made for.
pub(super) fn table_size(mvit: &MViT) -> [usize; 3] {
    let [height, width] = mvit.spatial_size;
    let clip = [mvit.temporal_size, height, width].map(|size| size as usize);
    [0, 1, 2].map(|axis| (clip[axis] / PATCH_STRIDE[axis]).max(1))
}

/// Returns the blocks.
///
/// # Errors
/// [`ShapeError::Groups`] if the heads do not divide the channels, [`ShapeError::Range`] for a downscaling that is not in order or
/// beyond the last block.
pub(super) fn blocks(mvit: &MViT) -> Result<Vec<Block>, GraphError> {
    let (embed_dims, num_heads) = (mvit.embed_dims as usize, mvit.num_heads as usize);
    let at_blocks = |source| GraphError::Shape { node: "blocks".to_owned(), source };
    if num_heads == 0 || !embed_dims.is_multiple_of(num_heads) {
        return Err(at_blocks(ShapeError::Groups { channels: embed_dims, groups: num_heads }));
    }
    check_downscaling(mvit).map_err(at_blocks)?;
    let mut table_size = table_size(mvit);
    let mut blocks = Vec::new();
    for index in 0..mvit.num_layers {
        // How often the resolution has been halved by the end of a block.
        let halvings = |index: u32| mvit.downscale_indices.iter().filter(|at| **at <= index).count();
        let downscales = mvit.downscale_indices.contains(&index);
        let channels = |index: u32| embed_dims << halvings(index);
        let (in_channels, attention_channels, out_channels) = match mvit.version {
            MViTVersion::V1 => (channels(index), channels(index), channels(index + 1)),
            MViTVersion::V2 => (channels(index.saturating_sub(1)), channels(index), channels(index)),
        };
        let query_stride = if downscales { 2 } else { 1 };
        let key_stride = (FIRST_KEY_STRIDE >> halvings(index)).max(1);
        blocks.push(Block {
            name: format!("blocks.{index}"),
            version: mvit.version,
            heads: num_heads << halvings(index),
            in_channels,
            attention_channels,
            out_channels,
            query_stride,
            key_stride,
            table_rows: table_rows(table_size, query_stride, key_stride),
            drop_path: DropPath {
                rate: drop_path_rate(mvit.drop_path_rate, index as usize, mvit.num_layers as usize),
                parts: 1,
            },
        });
        if downscales {
            table_size = [table_size[0], (table_size[1] / 2).max(1), (table_size[2] / 2).max(1)];
        }
    }
    Ok(blocks)
}

/// Returns the number of rows of the tables for rows, columns and frames. Both axes of the plane have as many as the longer one needs.
fn table_rows(size: [usize; 3], query_stride: usize, key_stride: usize) -> [usize; 3] {
    let side = size[1].max(size[2]);
    let plane = (2 * (side / query_stride).max(side / key_stride)).saturating_sub(1).max(1);
    [plane, plane, 2 * size[0] - 1]
}

fn check_downscaling(mvit: &MViT) -> Result<(), ShapeError> {
    let error = |found: u32, expected| {
        let what = "an entry of `downscale_indices`";
        Err(ShapeError::Range { what, found: f64::from(found), expected })
    };
    let mut before = 0;
    for index in &mvit.downscale_indices {
        if *index <= before {
            return error(*index, "at least 1 and above the one before");
        }
        if *index >= mvit.num_layers {
            return error(*index, "a block, so below `num_layers`");
        }
        before = *index;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::mvit;
    use super::*;

    fn check(version: MViTVersion, index: usize, channels: [usize; 3], heads: usize, strides: [usize; 2]) {
        let block = &blocks(&mvit(version)).expect("a plan")[index];
        assert_eq!([block.in_channels, block.attention_channels, block.out_channels], channels, "block {index}");
        assert_eq!((block.heads, [block.query_stride, block.key_stride]), (heads, strides), "block {index}");
    }

    #[test]
    fn v1_grows_in_the_mlp_before_the_resolution_halves() {
        check(MViTVersion::V1, 0, [96, 96, 192], 1, [1, 8]);
        check(MViTVersion::V1, 1, [192; 3], 2, [2, 4]);
        check(MViTVersion::V1, 2, [192, 192, 384], 2, [1, 4]);
        check(MViTVersion::V1, 13, [384, 384, 768], 4, [1, 2]);
        check(MViTVersion::V1, 14, [768; 3], 8, [2, 1]);
        check(MViTVersion::V1, 15, [768; 3], 8, [1, 1]);
    }

    #[test]
    fn v2_grows_in_the_attention_that_halves_the_resolution() {
        check(MViTVersion::V2, 0, [96; 3], 1, [1, 8]);
        check(MViTVersion::V2, 1, [96, 192, 192], 2, [2, 4]);
        check(MViTVersion::V2, 14, [384, 768, 768], 8, [2, 1]);
        let rows: Vec<[usize; 3]> =
            blocks(&mvit(MViTVersion::V2)).expect("a plan").iter().map(|block| block.table_rows).collect();
        assert_eq!([rows[0], rows[1], rows[3], rows[14], rows[15]].map(|rows| rows[0]), [111, 55, 27, 27, 13]);
        assert!(rows.iter().all(|rows| rows[2] == 15));
    }

    #[test]
    fn downscaling_that_cannot_happen_is_an_error() {
        let error = |downscale_indices: &[u32]| {
            let mvit = MViT { downscale_indices: downscale_indices.to_vec(), ..mvit(MViTVersion::V2) };
            match blocks(&mvit) {
                Err(GraphError::Shape { source, .. }) => source.to_string(),
                _ => panic!("{downscale_indices:?} are accepted"),
            }
        };
        assert_eq!(
            error(&[3, 1]),
            "an entry of `downscale_indices` is 1, expected at least 1 and above the one before"
        );
        assert_eq!(error(&[16]), "an entry of `downscale_indices` is 16, expected a block, so below `num_layers`");
    }
}
