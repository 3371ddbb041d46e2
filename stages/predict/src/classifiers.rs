//! [`open_classifiers`]: copies of a network that compute at the same time.

use crate::PredictStageError;
use crate::videos::with_help;
use pipe_infer::{Engine, ExecutionProvider, SessionOptions};
use pipe_predict::{Classifier, ExportedModel, FrameSet};
use pipe_stage::StageError;
use std::sync::Arc;

/// Largest size of the files of all copies. A copy needs about the size of its file.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Maximum size of the clips that all copies compute at a time. Intermediate results need several times as much.
const MAX_CLIP_BYTES: u64 = 128 << 20;

/// Opens copies of a model, so that several videos can be computed at the same time. The copies share the threads of `options`. Each copy
/// computes `batch_size` views at a time. One copy with all threads would take a fifth more processor time, because the threads wait for
/// each other in each operation.
///
/// # Errors
/// If the engine refuses the model, or the machine has no more threads.
pub fn open_classifiers(
    model: &Arc<ExportedModel>,
    engine: &dyn Engine,
    options: SessionOptions,
    batch_size: usize,
    num_videos: usize,
) -> Result<Vec<Classifier>, StageError> {
    let is_one = options.provider != ExecutionProvider::Cpu || model.file.has_other_files();
    let in_memory = copies_in_memory(model.file.size_bytes(), pass_bytes(model, batch_size));
    let max_copies = if is_one { 1 } else { num_videos.min(in_memory) };
    let (num_copies, threads) = shares(options.threads, max_copies);
    let open = || Classifier::new(Arc::clone(model), engine, SessionOptions { threads, ..options }).map_err(with_help);
    std::thread::scope(|scope| {
        let spawn = |_| std::thread::Builder::new().name("open".into()).spawn_scoped(scope, open);
        let others = (1..num_copies).map(spawn).collect::<Result<Vec<_>, _>>()?;
        let others = others.into_iter().map(|thread| thread.join().map_err(|_| PredictStageError::Panicked)?);
        std::iter::once(open()).chain(others).collect()
    })
}

fn copies_in_memory(file_bytes: u64, pass_bytes: u64) -> usize {
    let copies = (MAX_FILE_BYTES / file_bytes.max(1)).min(MAX_CLIP_BYTES / pass_bytes.max(1));
    usize::try_from(copies).unwrap_or(usize::MAX)
}

/// Returns the size of the clips of a forward pass for a video of a minute, in 32 bits per value.
fn pass_bytes(model: &ExportedModel, batch_size: usize) -> u64 {
    let (width_px, height_px) = (2 * model.clip_size.width as u32, 2 * model.clip_size.height as u32);
    let video = FrameSet { num_frames: 1800, width_px, height_px, fps: 30.0, damage: String::new() };
    let num_views = model.views("", &video, 0..video.num_frames, None).map_or(batch_size, |views| views.len());
    (model.clip_bytes() * size_of::<f32>() * num_views.min(batch_size)) as u64
}

/// Returns how many copies share some threads, and the number of threads of each. It is the same for all, so that a result does not depend
/// on which copy computes it. With 0 threads the engine chooses.
fn shares(threads: usize, max_copies: usize) -> (usize, usize) {
    if threads == 0 {
        return (1, 0);
    }
    let copies = threads / threads.div_ceil(max_copies.max(1));
    (copies, threads / copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_shared_equally() {
        let cases = [
            ((0, 9), (1, 0)),
            ((1, 9), (1, 1)),
            ((2, 0), (1, 2)),
            ((2, 1), (1, 2)),
            ((2, 64), (2, 1)),
            ((3, 2), (1, 3)),
            ((16, 11), (8, 2)),
            ((16, 16), (16, 1)),
            ((16, 3), (2, 8)),
        ];
        for ((threads, max_copies), expect) in cases {
            assert_eq!(shares(threads, max_copies), expect, "{threads} threads, at most {max_copies} copies");
        }
    }

    #[test]
    fn large_files_and_passes_have_fewer_copies() {
        let of_file = |file_bytes| copies_in_memory(file_bytes, 1 << 20);
        assert_eq!([0, 94 << 20, 600 << 20, 2 << 30].map(of_file), [128, 10, 1, 0]);
        let of_pass = |pass_bytes| copies_in_memory(1 << 20, pass_bytes);
        assert_eq!([0, 5 << 20, 38 << 20, 1 << 30].map(of_pass), [1024, 25, 3, 0]);
    }
}
