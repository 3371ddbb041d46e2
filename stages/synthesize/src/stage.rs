//! [`Synthesize`]: the implementation of the stage.

use crate::SynthesizeError;
use crate::draw::Canvas;
use crate::lists::lists;
use crate::scene::{Appearance, Clip, class_name, clips};
use pipe_schemas::stages::synthesize::{CONTRACT, SynthesizeParams};
use pipe_stage::{Context, Stage, StageError, Summary};
use pipe_video::{Encoder, EncoderParams, VideoError};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Quantizer of MPEG-4, low enough that the edges of shapes stay sharp.
const QUANTIZER: u32 = 3;

/// The stage `synthesize`.
pub struct Synthesize;

impl Stage for Synthesize {
    fn kind(&self) -> &'static str {
        CONTRACT.kind
    }

    fn run(&self, context: &Context) -> Result<Summary, StageError> {
        let params: SynthesizeParams = context.params()?;
        let clips = clips(&params);
        let classes: Vec<_> = params.classes.iter().map(|&motion| class_name(motion)).collect();
        for (name, text) in lists(&classes, &clips, params.test_groups) {
            fs_err::write(context.output(&format!("lists/{name}"))?, text)?;
        }
        let appearances: Vec<_> = (1..=params.groups).map(|group| Appearance::new(params.seed, group)).collect();
        let done = AtomicU64::new(0);
        let make = |clip: &Clip| -> Result<(), StageError> {
            context.check_cancelled()?;
            let path = context.output(&format!("videos/{}", clip.path()))?;
            encode(&path, &params, &appearances[clip.group as usize - 1], clip)
                .map_err(|source| SynthesizeError::Encode { path: clip.path(), source })?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            context.progress(done, clips.len() as u64, "videos");
            Ok(())
        };
        context.thread_pool()?.install(|| clips.par_iter().try_for_each(make))?;
        Ok(Summary::line(format!("{} videos of {} classes", clips.len(), classes.len())))
    }
}

fn encode(path: &Path, params: &SynthesizeParams, appearance: &Appearance, clip: &Clip) -> Result<(), VideoError> {
    let (width_px, height_px) = (params.width_px, params.height_px);
    let canvas = Canvas::new(appearance, width_px, height_px);
    let mut encoder =
        Encoder::create(path, EncoderParams { width_px, height_px, fps: params.fps, quantizer: QUANTIZER })?;
    for pose in clip.poses(params, appearance) {
        encoder.write_rgb(&canvas.paint(appearance, &pose))?;
    }
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_testkit::run_stage;
    use pipe_video::Decoder;

    fn run(folder: &Path, params: &SynthesizeParams, threads: usize) -> Summary {
        run_stage(&Synthesize, params, [], folder, threads).result.expect("made")
    }

    fn small() -> SynthesizeParams {
        SynthesizeParams {
            groups: 3,
            test_groups: 1,
            clips_per_group: 2,
            frames_per_clip: 6,
            width_px: 64,
            height_px: 48,
            ..SynthesizeParams::default()
        }
    }

    #[test]
    fn the_layout_is_that_of_ucf101() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(run(folder.path(), &small(), 2).lines, ["48 videos of 8 classes"]);
        let read = |name: &str| fs_err::read_to_string(folder.path().join("lists").join(name)).expect("a list");
        assert!(read("classInd.txt").starts_with("1 MoveLeft\n2 MoveRight\n"));
        assert!(read("trainlist01.txt").starts_with("MoveLeft/v_MoveLeft_g02_c01.avi 1\n"));
        assert!(read("testlist01.txt").starts_with("MoveLeft/v_MoveLeft_g01_c01.avi\n"));
        let (train, test) = (read("trainlist01.txt"), read("testlist01.txt"));
        assert_eq!((train.lines().count(), test.lines().count()), (32, 16));
        for line in train.lines().chain(test.lines()) {
            let path = folder.path().join("videos").join(line.split(' ').next().expect("a path"));
            let info = pipe_video::probe(&path).expect("a video");
            assert_eq!((info.width_px, info.height_px, info.fps_num, info.frames_declared), (64, 48, 25, 6));
            assert_eq!(Decoder::open(&path).expect("opened").flatten().count(), 6);
        }
    }

    #[test]
    fn bytes_depend_on_the_seed_and_not_on_threads() {
        let digests = |seed: u64, threads: usize| {
            let folder = tempfile::tempdir().expect("a folder");
            let params = SynthesizeParams { seed, ..small() };
            run(folder.path(), &params, threads);
            let digest = |clip: &Clip| {
                let path = folder.path().join("videos").join(clip.path());
                blake3::hash(&fs_err::read(path).expect("a video"))
            };
            clips(&params).iter().map(digest).collect::<Vec<_>>()
        };
        let one = digests(0, 1);
        assert_eq!(one, digests(0, 3));
        let other = digests(1, 3);
        assert!(one.iter().zip(&other).all(|(a, b)| a != b));
    }

    #[test]
    fn the_mean_frame_does_not_depend_on_the_class() {
        let params = SynthesizeParams { clips_per_group: 20, ..small() };
        let appearances: Vec<_> = (1..=params.groups).map(|group| Appearance::new(params.seed, group)).collect();
        let canvases: Vec<_> = appearances.iter().map(|appearance| Canvas::new(appearance, 64, 48)).collect();
        let mean = |class_index: usize| {
            let of_class: Vec<_> = clips(&params).into_iter().filter(|clip| clip.class_index == class_index).collect();
            let mut sums = vec![0.0; 64 * 48 * 3];
            for clip in &of_class {
                let group = clip.group as usize - 1;
                let frame = canvases[group].paint(&appearances[group], &clip.poses(&params, &appearances[group])[3]);
                sums.iter_mut().zip(frame).for_each(|(sum, value)| *sum += f64::from(value) / of_class.len() as f64);
            }
            sums
        };
        let means: Vec<_> = (0..8).map(mean).collect();
        let distance =
            |a: &[f64], b: &[f64]| (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt();
        // A shape covers about a sixth of the frame and differs from the background by about 150 of 255. The mean of 60 frames
        // has a standard deviation of 150 * sqrt(5 / 36 / 60) = 7, and a difference of two means one of 10. A class with a
        // fixed position or larger shapes would be at a distance of 20 or more.
        for (index, pair) in means.windows(2).enumerate() {
            let apart = distance(&pair[0], &pair[1]);
            assert!(apart < 15.0, "classes {index} and {} are {apart} apart", index + 1);
        }
    }
}
