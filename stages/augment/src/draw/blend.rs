//! [`blend`]: draws which clips of a batch are blended, and how.

use pipe_clips::Draws;
use pipe_schemas::stages::augment::{Blend, Blending};
use pipe_schemas::tables::SampleRow;

/// Draws which rows are blended with which, batch by batch. `rows` are the rows of an epoch, in order.
pub(super) fn blend(rows: &mut [SampleRow], blending: &Blending, size: (u32, u32), seed: u64, epoch: &str) {
    for (batch, rows) in rows.chunks_mut(blending.batch_size as usize).enumerate() {
        let mut draws = Draws::new(seed, &["blend", epoch, &batch.to_string()]);
        let Some(way) = choose(blending, &mut draws) else { continue };
        let mut partners: Vec<u32> = rows.iter().map(|row| row.position).collect();
        draws.shuffle(&mut partners);
        let (mix_share, mix_box) = match way {
            Blend::MixupBlending { alpha } => (1.0 - draws.beta(alpha), Vec::new()),
            Blend::CutmixBlending { alpha } => cut_box(draws.beta(alpha), size, &mut draws),
        };
        for (row, partner) in rows.iter_mut().zip(partners) {
            if partner != row.position && mix_share > 0.0 {
                row.mix_position = Some(partner);
                row.mix_share = mix_share as f32;
                row.mix_box.clone_from(&mix_box);
            }
        }
    }
}

fn choose(blending: &Blending, draws: &mut Draws) -> Option<Blend> {
    let Blending { augments, probs, .. } = blending;
    if probs.is_empty() {
        return augments.get(draws.below(augments.len() as u64) as usize).copied();
    }
    let mut left = draws.unit();
    let chosen = probs.iter().position(|prob| {
        left -= prob;
        left < 0.0
    });
    chosen.and_then(|place| augments.get(place)).copied()
}

/// Returns the box that is taken from the other clip, and its share of the area. Its center may be anywhere; the part outside the
/// image is cut off, as in MMAction2.
fn cut_box(lambda: f64, (width, height): (u32, u32), draws: &mut Draws) -> (f64, Vec<u32>) {
    let side = |length: u32| (f64::from(length) * (1.0 - lambda).sqrt()) as u32;
    let mut edges = |length: u32| {
        let (middle, half) = (draws.below(u64::from(length)) as u32, side(length) / 2);
        let start = middle.saturating_sub(half);
        (start, (middle + half).min(length) - start)
    };
    let ((left, box_width), (top, box_height)) = (edges(width), edges(height));
    let share = f64::from(box_width) * f64::from(box_height) / (f64::from(width) * f64::from(height));
    (share, vec![left, top, box_width, box_height])
}
