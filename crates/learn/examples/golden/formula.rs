//! Weights and clips by formula: each value depends on the name of its tensor and its position, and on nothing else.

pub(crate) use crate::draws::Draws;

/// Names of tables of positions and of class tokens.
const TABLES: [&str; 16] = [
    "cls_token",
    "class_token",
    "class_pos",
    "pos_embed",
    "spatial_pos",
    "temporal_pos",
    "time_embed",
    "position_embeddings",
    "time_embeddings",
    "rel_pos_h",
    "rel_pos_w",
    "rel_pos_t",
    "relative_position_bias_table",
    "pos_embed_spatial",
    "pos_embed_temporal",
    "pos_embed_class",
];

/// Returns the values of a tensor of a checkpoint.
pub(crate) fn weights(name: &str, shape: &[usize], gain: f64) -> Vec<f32> {
    let draws = Draws::new(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    let value: Box<dyn Fn(usize) -> f64> = if last == "num_batches_tracked" {
        Box::new(|_| 0.0)
    } else if last == "running_mean" {
        Box::new(|index| 0.1 * draws.signed(index))
    } else if last == "running_var" {
        Box::new(|index| 1.0 + 0.5 * draws.unit(index))
    } else if TABLES.contains(&last) {
        Box::new(|index| 0.5 * draws.signed(index))
    } else if last.ends_with("bias") || last.starts_with("bias_") {
        Box::new(|index| 0.1 * draws.signed(index))
    } else if shape.len() == 1 {
        Box::new(|index| 1.0 + 0.1 * draws.signed(index))
    } else {
        let fan_in: usize = shape.iter().skip(1).product();
        let scale = gain * (3.0 / fan_in as f64).sqrt();
        Box::new(move |index| draws.signed(index) * scale)
    };
    (0..shape.iter().product()).map(|index| value(index) as f32).collect()
}

/// Returns a clip `[N, C, T, H, W]`: noise, and blocks of 2 frames and 16 x 16 pixels.
pub(crate) fn clip(shape: [usize; 5]) -> Vec<f32> {
    let (noise, blocks) = (Draws::new("input"), Draws::new("input.coarse"));
    let [batch, channels, frames, height, width] = shape;
    let [coarse_t, coarse_h, coarse_w] = [frames.div_ceil(2), height.div_ceil(16), width.div_ceil(16)];
    let mut values = Vec::with_capacity(shape.iter().product());
    for n in 0..batch {
        for c in 0..channels {
            for t in 0..frames {
                for y in 0..height {
                    for x in 0..width {
                        let block = (((n * channels + c) * coarse_t + t / 2) * coarse_h + y / 16) * coarse_w + x / 16;
                        values.push((noise.signed(values.len()) + 1.5 * blocks.signed(block)) as f32);
                    }
                }
            }
        }
    }
    values
}
