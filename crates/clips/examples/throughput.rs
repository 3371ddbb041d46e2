//! Measures the loader: `throughput FRAMES_DIR FRAMES SIDE CLIPS THREADS` prints clips per CPU second.
//!
//! A clip is `FRAMES` random segments of a video, cut by `RandomResizedCrop`, scaled to `SIDE` by `SIDE` pixels and
//! mirrored half of the time; eight are a batch, normalised to `[N, C, T, H, W]`. `benches/data.py` runs it beside others.

use pipe_clips::{ClipSize, Draws, Loader, VideoSegment, normalise, train_views};
use pipe_schemas::stages::augment::{ClipPipeline, Flip, RandomResizedCrop, Resize, Sampler, Scale};
use pipe_schemas::tables::{FrameIndexRow, SampleRow};
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

const BATCH_SIZE: usize = 8;
const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const STD: [f32; 3] = [58.395, 57.12, 57.375];

#[expect(clippy::print_stdout, reason = "it is a program that reports")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, frames, side, num_clips, threads] = &args[..] else {
        return Err("usage: throughput FRAMES_DIR FRAMES SIDE CLIPS THREADS".into());
    };
    let (frames, side, num_clips, threads): (u32, u32, usize, usize) =
        (frames.parse()?, side.parse()?, num_clips.parse()?, threads.parse()?);
    let loader = Loader::open(&PathBuf::from(folder))?;
    let rows = rows(loader.shards().index(), frames, side, num_clips)?;
    let size = ClipSize { frames: frames as usize, height: side as usize, width: side as usize };
    let (mut clips, mut sum, mut values) = (0, 0.0, Vec::new());
    let (start, cpu) = (Instant::now(), cpu_secs()?);
    for batch in loader.clips(rows, size, BATCH_SIZE, threads)? {
        let batch = batch?;
        normalise(&batch, size, MEAN, STD, &mut values);
        clips += batch.num_clips;
        sum += f64::from(values[values.len() / 2]);
    }
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_secs()? - cpu);
    let rate = clips as f64 / cpu;
    println!(
        r#"{{"clips": {clips}, "wall_secs": {wall:.3}, "cpu_secs": {cpu:.3}, "clips_per_cpu_sec": {rate:.1}, "sum": {sum:.3}}}"#
    );
    Ok(())
}

fn rows(index: &[FrameIndexRow], frames: u32, side: u32, num_clips: usize) -> Result<Vec<SampleRow>, Box<dyn Error>> {
    let transforms = vec![
        RandomResizedCrop::default().into(),
        Resize { scale: Scale::Exact([side, side]) }.into(),
        Flip::default().into(),
    ];
    let pipeline = ClipPipeline { sampler: Sampler::frames(1, 1, frames), transforms };
    let row = |(position, video): (usize, &FrameIndexRow)| {
        let FrameIndexRow { num_frames, fps, width_px, height_px, .. } = *video;
        let segment = VideoSegment { frames: 0..num_frames, fps, width_px, height_px };
        let draws = |purpose: &str| Draws::new(0, &["throughput", &position.to_string(), purpose]);
        let view = train_views(&pipeline, &segment, &[0], draws)?.remove(0);
        Ok(SampleRow { position: position as u32, ..view.into_row(&video.video_id, None) })
    };
    index.iter().cycle().take(num_clips).enumerate().map(row).collect()
}

/// Returns user and system time of all threads of this process.
fn cpu_secs() -> Result<f64, Box<dyn Error>> {
    const TICKS_PER_SEC: f64 = 100.0;
    let stat = fs_err::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(") ").ok_or("no process")?.1.split(' ').skip(11).take(2);
    let ticks: Vec<f64> = fields.map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SEC)
}
