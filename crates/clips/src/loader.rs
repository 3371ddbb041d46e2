//! [`Loader`]: rows of a `samples` table to batches of pixels, read ahead by threads of their own.

use crate::ClipError;
use crate::decode::{FrameDecoder, Shown};
use crate::mix::Mix;
use crate::pixel_ops;
use pipe_schemas::tables::{FrameIndexRow, SampleRow};
use pipe_tables::frames::FrameShards;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Batches that are in the making or ready while the caller works on one.
const BATCHES_AHEAD: usize = 2;

/// Pixels of a batch, in bytes.
const MAX_BATCH_BYTES: usize = 1 << 32;

/// Makes clips from a folder of frame shards.
#[derive(Clone)]
pub struct Loader {
    shards: Arc<FrameShards>,
}

/// What every clip of a table looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipSize {
    /// `T`.
    pub frames: usize,
    /// `H`.
    pub height: usize,
    /// `W`.
    pub width: usize,
}

/// Some clips, in the order of their rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// `[N, T, H, W, 3]`, RGB.
    pub pixels: Vec<u8>,
    /// `[N]`.
    pub class_indices: Vec<i64>,
    /// `[N]`; classes of the clips that these are blended with, and their own where they are not.
    pub mix_class_indices: Vec<i64>,
    /// `[N]`; how much of each label is that other class.
    pub mix_shares: Vec<f32>,
    /// `[N, K]`; how much of each class a clip is, see [`Batches::with_targets`]. Empty unless asked for.
    pub targets: Vec<f32>,
    /// `N`; less than asked for in the last batch.
    pub num_clips: usize,
    /// Which rows these are.
    pub rows: Range<usize>,
}

/// An iterator over all batches. Ends after the first error; its threads end when it is dropped.
///
/// The batches do not depend on the number of threads. Pixels of up to three batches are held at a time, or four where clips
/// are blended.
pub struct Batches {
    plan: Arc<Plan>,
    /// First row of the next batch.
    next: usize,
    /// First row that no thread was asked for.
    requested: usize,
    /// Clips that came before their batch was complete; the first is that of row `next`.
    ahead: VecDeque<Option<Clip>>,
    /// `None` once it is over; the threads end when they can't receive.
    requests: Option<SyncSender<usize>>,
    clips: Receiver<(usize, Clip)>,
    threads: Vec<JoinHandle<()>>,
    /// `K`, if targets are wanted.
    num_classes: Option<usize>,
}

type Clip = Result<Vec<u8>, ClipError>;

/// What all threads know.
struct Plan {
    rows: Arc<[SampleRow]>,
    /// Those of which clips are made.
    range: Range<usize>,
    size: ClipSize,
    batch_size: usize,
    /// See [`Plan::closed`].
    closed: Vec<bool>,
    shards: Arc<FrameShards>,
}

impl Loader {
    /// Opens the shards in `frames_dir`.
    pub fn open(frames_dir: &Path) -> Result<Self, ClipError> {
        Ok(Self { shards: Arc::new(FrameShards::open(frames_dir)?) })
    }

    /// Returns the shards.
    pub fn shards(&self) -> &FrameShards {
        &self.shards
    }

    /// Starts `threads` threads that make the clips of `rows`, `batch_size` to a batch.
    ///
    /// # Errors
    /// [`ClipError`] if a row does not fit the shards or `size`; all rows are checked before any is loaded.
    pub fn clips(
        &self,
        rows: impl Into<Arc<[SampleRow]>>,
        size: ClipSize,
        batch_size: usize,
        threads: usize,
    ) -> Result<Batches, ClipError> {
        let rows: Arc<[SampleRow]> = rows.into();
        let all = 0..rows.len();
        self.clips_of(rows, all, size, batch_size, threads)
    }

    /// Does what [`Self::clips`] does for some of `rows`; the others are what these are blended with.
    pub fn clips_of(
        &self,
        rows: Arc<[SampleRow]>,
        range: Range<usize>,
        size: ClipSize,
        batch_size: usize,
        threads: usize,
    ) -> Result<Batches, ClipError> {
        check_size(size, batch_size)?;
        let (closed, shards) = (Vec::new(), Arc::clone(&self.shards));
        let mut plan = Plan { rows, range, size, batch_size, closed, shards };
        plan.check_rows(|row| self.check(row, size))?;
        plan.closed = plan.closed()?;
        // Every clip that is asked for has a place in these channels, so that neither side ever waits to send.
        let places = batch_size.min(plan.range.len()).max(1) * BATCHES_AHEAD;
        let (requests, received) = sync_channel(places);
        let (send, clips) = sync_channel(places);
        let received = Arc::new(Mutex::new(received));
        let threads = threads.clamp(1, places);
        let mut batches = Batches {
            next: plan.range.start,
            requested: plan.range.start,
            plan: Arc::new(plan),
            ahead: VecDeque::new(),
            requests: Some(requests),
            clips,
            threads: Vec::with_capacity(threads),
            num_classes: None,
        };
        for number in 0..threads {
            let worker = Worker { plan: Arc::clone(&batches.plan), decoder: FrameDecoder::new()? };
            let (received, send) = (Arc::clone(&received), send.clone());
            let thread = std::thread::Builder::new().name(format!("clips-{number}"));
            let handle = thread.spawn(move || worker.run(&received, &send)).map_err(ClipError::Thread)?;
            batches.threads.push(handle);
        }
        batches.request(batch_size.saturating_mul(BATCHES_AHEAD));
        Ok(batches)
    }

    fn check(&self, row: &SampleRow, size: ClipSize) -> Result<(), ClipError> {
        let index = self.shards.find(&row.video_id).ok_or(ClipError::UnknownVideo)?;
        if row.frame_indices.len() != size.frames {
            return Err(ClipError::NumFrames { found: row.frame_indices.len(), expected: size.frames });
        }
        if let Some(frame_index) = row.frame_indices.iter().find(|frame_index| **frame_index >= index.num_frames) {
            return Err(ClipError::FrameIndex { frame_index: *frame_index, num_frames: index.num_frames });
        }
        pixel_ops::parse(&row.pixel_ops, size.width as u32, size.height as u32)?;
        check_crop(row, index)
    }
}

impl Plan {
    /// Returns how the clip at `position` is blended, if it is.
    fn mix(&self, position: usize) -> Result<Option<Mix>, ClipError> {
        Mix::of(&self.rows[position], &self.rows, self.size)
    }

    /// Returns the targets of the batch that begins at `first`.
    fn targets(&self, first: usize, mixes: &[Option<Mix>], num_classes: usize) -> Vec<f32> {
        let mut targets = vec![0.0; mixes.len() * num_classes];
        for ((place, mix), target) in (first..).zip(mixes).zip(targets.chunks_exact_mut(num_classes)) {
            let mut add = |row: &SampleRow, share: f32| {
                row.class_indices().for_each(|class_index| target[class_index as usize] += share);
            };
            let share = mix.as_ref().map_or(0.0, |mix| mix.share);
            add(&self.rows[place], 1.0 - share);
            if let Some(mix) = mix {
                add(&self.rows[mix.other], share);
            }
        }
        targets
    }

    /// Checks the rows of which clips are made, and those that these are blended with.
    fn check_rows(&self, check: impl Fn(&SampleRow) -> Result<(), ClipError>) -> Result<(), ClipError> {
        for position in self.range.clone() {
            let row = &self.rows[position];
            let mix = check(row).and_then(|()| self.mix(position)).map_err(|error| error.of_video(&row.video_id))?;
            if let Some(other) = mix.map(|mix| &self.rows[mix.other]) {
                check(other).map_err(|error| error.of_video(&other.video_id))?;
            }
        }
        Ok(())
    }

    /// Returns for each batch whether all its clips are blended with clips of its own.
    fn closed(&self) -> Result<Vec<bool>, ClipError> {
        let mut closed = vec![true; self.range.len().div_ceil(self.batch_size)];
        for position in self.range.clone() {
            if let Some(mix) = self.mix(position)? {
                let together = self.range.contains(&mix.other) && self.batch(mix.other) == self.batch(position);
                closed[self.batch(position)] &= together;
            }
        }
        Ok(closed)
    }

    /// Returns the number of the batch that a row is in.
    fn batch(&self, position: usize) -> usize {
        (position - self.range.start) / self.batch_size
    }

    /// Returns whether the clips of a row's batch are blended where it is put together; else each is made with its partner. A
    /// batch does the one or the other: what a clip is blended with is the partner as it was before it was blended itself.
    fn blends_together(&self, position: usize) -> bool {
        self.closed[self.batch(position)]
    }
}

fn check_size(size: ClipSize, batch_size: usize) -> Result<(), ClipError> {
    let sides = [size.frames, size.height, size.width, 3];
    let bytes = sides.into_iter().try_fold(batch_size, usize::checked_mul);
    if bytes.is_some_and(|bytes| (1..=MAX_BATCH_BYTES).contains(&bytes)) {
        return Ok(());
    }
    Err(ClipError::BatchSize { batch_size, frames: size.frames, height: size.height, width: size.width })
}

/// The box may reach out of the frame by what f32 can't hold.
fn check_crop(row: &SampleRow, index: &FrameIndexRow) -> Result<(), ClipError> {
    const SLACK_PX: f64 = 0.01;
    let right = f64::from(row.crop_x) + f64::from(row.crop_width);
    let bottom = f64::from(row.crop_y) + f64::from(row.crop_height);
    let inside = row.crop_x >= 0.0
        && row.crop_y >= 0.0
        && row.crop_width > 0.0
        && row.crop_height > 0.0
        && right <= f64::from(index.width_px) + SLACK_PX
        && bottom <= f64::from(index.height_px) + SLACK_PX;
    if inside {
        return Ok(());
    }
    Err(ClipError::CropOutside {
        x: row.crop_x,
        y: row.crop_y,
        width: row.crop_width,
        height: row.crop_height,
        width_px: index.width_px,
        height_px: index.height_px,
    })
}

/// What a thread needs to make clips.
struct Worker {
    plan: Arc<Plan>,
    decoder: FrameDecoder,
}

impl Worker {
    fn run(mut self, requests: &Mutex<Receiver<usize>>, clips: &SyncSender<(usize, Clip)>) {
        let plan = Arc::clone(&self.plan);
        loop {
            let request = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(position) = request else { return };
            let video_id = &plan.rows[position].video_id;
            let clip = catch_unwind(AssertUnwindSafe(|| self.clip(position))).unwrap_or(Err(ClipError::Panicked));
            if clips.send((position, clip.map_err(|error| error.of_video(video_id)))).is_err() {
                return;
            }
        }
    }

    /// Returns the clip of a row, blended unless that is done where its batch is put together.
    fn clip(&mut self, position: usize) -> Clip {
        let plan = Arc::clone(&self.plan);
        let mut clip = self.unmixed(&plan.rows[position])?;
        if let Some(mix) = plan.mix(position)?.filter(|_| !plan.blends_together(position)) {
            let other = self.unmixed(&plan.rows[mix.other])?;
            mix.apply(&mut clip, &other, plan.size);
        }
        Ok(clip)
    }

    /// Returns the pixels of a row before they are blended, `[T, H, W, 3]`.
    fn unmixed(&mut self, row: &SampleRow) -> Clip {
        let Plan { size, shards, .. } = &*self.plan;
        let index = shards.find(&row.video_id).ok_or(ClipError::UnknownVideo)?;
        let shown = Shown {
            frame_px: (index.width_px as usize, index.height_px as usize),
            crop: [row.crop_x, row.crop_y, row.crop_width, row.crop_height].map(f64::from),
            out_px: (size.width, size.height),
            flip: row.flip,
        };
        let jpegs = shards.read(index, &row.frame_indices)?;
        let frame_bytes = 3 * size.height * size.width;
        let mut pixels = vec![0; size.frames * frame_bytes];
        for (at, (frame_index, jpeg)) in row.frame_indices.iter().zip(&jpegs).enumerate() {
            let start = at * frame_bytes;
            // A frame that a short video shows again is decoded once.
            if let Some(before) = row.frame_indices[..at].iter().position(|earlier| earlier == frame_index) {
                pixels.copy_within(before * frame_bytes..(before + 1) * frame_bytes, start);
                continue;
            }
            self.decoder.decode(jpeg, *frame_index, &shown, &mut pixels[start..start + frame_bytes])?;
        }
        for op in pixel_ops::parse(&row.pixel_ops, size.width as u32, size.height as u32)? {
            let frames = pixels.chunks_exact_mut(frame_bytes).enumerate();
            frames.for_each(|(number, frame)| op.apply(frame, size.width, number));
        }
        Ok(pixels)
    }
}

impl Batches {
    /// Adds [`Batch::targets`]: 1 for each label of a clip and 0 for other classes, blended as the clips are.
    ///
    /// # Errors
    /// [`ClipError::ClassIndex`] if a row has a label that is none of `num_classes`.
    pub fn with_targets(mut self, num_classes: usize) -> Result<Self, ClipError> {
        self.plan.check_rows(|row| match row.class_indices().find(|class| *class as usize >= num_classes) {
            Some(class_index) => Err(ClipError::ClassIndex { class_index, num_classes }),
            None => Ok(()),
        })?;
        self.num_classes = Some(num_classes);
        Ok(self)
    }

    /// Asks for the clips of the next `count` rows.
    fn request(&mut self, count: usize) {
        let Some(requests) = &self.requests else { return };
        let until = self.requested.saturating_add(count).min(self.plan.range.end);
        for position in self.requested..until {
            // There is a thread to receive it for as long as `self` holds the sender.
            let _ = requests.send(position);
        }
        self.requested = until;
    }

    /// Waits for the clips of the next batch and puts them together.
    fn assemble(&mut self) -> Result<Batch, ClipError> {
        let plan = Arc::clone(&self.plan);
        let rows = self.next..(self.next + plan.batch_size).min(plan.range.end);
        let mixes: Vec<Option<Mix>> = rows.clone().map(|position| plan.mix(position)).collect::<Result<_, _>>()?;
        let clip_bytes = plan.size.frames * plan.size.height * plan.size.width * 3;
        let mut pixels = Vec::with_capacity(rows.len() * clip_bytes);
        for position in rows.clone() {
            pixels.extend_from_slice(&self.take(position)?);
        }
        if plan.blends_together(rows.start) && mixes.iter().any(Option::is_some) {
            let unmixed = pixels.clone();
            for (clip, mix) in pixels.chunks_exact_mut(clip_bytes).zip(&mixes) {
                if let Some(mix) = mix {
                    let other = (mix.other - rows.start) * clip_bytes;
                    mix.apply(clip, &unmixed[other..other + clip_bytes], plan.size);
                }
            }
        }
        let class_index = |place: usize| i64::from(plan.rows[place].class_index);
        let other = |(place, mix): (usize, &Option<Mix>)| class_index(mix.as_ref().map_or(place, |mix| mix.other));
        Ok(Batch {
            pixels,
            targets: self
                .num_classes
                .map_or_else(Vec::new, |num_classes| plan.targets(rows.start, &mixes, num_classes)),
            class_indices: rows.clone().map(class_index).collect(),
            mix_class_indices: rows.clone().zip(&mixes).map(other).collect(),
            mix_shares: mixes.iter().map(|mix| mix.as_ref().map_or(0.0, |mix| mix.share)).collect(),
            num_clips: rows.len(),
            rows,
        })
    }

    /// Waits for the clip at `position`, which is `next`, and moves `next` on.
    fn take(&mut self, position: usize) -> Clip {
        loop {
            if let Some(Some(_)) = self.ahead.front() {
                self.next += 1;
                return self.ahead.pop_front().flatten().unwrap_or(Err(ClipError::Panicked));
            }
            let Ok((found, clip)) = self.clips.recv() else { return Err(ClipError::Panicked) };
            let place = found - position;
            if self.ahead.len() <= place {
                self.ahead.resize_with(place + 1, || None);
            }
            self.ahead[place] = Some(clip);
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, ClipError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.requests.is_none() || self.next >= self.plan.range.end {
            return None;
        }
        let batch = self.assemble();
        if batch.is_ok() {
            self.request(self.plan.batch_size);
        } else {
            self.requests = None;
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.plan.range.end - self.next).div_ceil(self.plan.batch_size);
        (usize::from(left > 0), Some(left))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.requests = None;
        // What was asked for is still being made; each thread ends with its clip because nobody takes the others.
        drop(std::mem::replace(&mut self.clips, sync_channel(0).1));
        for thread in self.threads.drain(..) {
            // A thread catches its panics and has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
