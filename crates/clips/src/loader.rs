//! [`Loader`]: makes batches of pixels from rows of a `samples` table, in background threads.

use crate::ClipError;
use crate::clip_decoder::{ClipDecoder, check_crop};
use crate::mix::Mix;
use crate::pixel_ops;
use pipe_schemas::tables::SampleRow;
use pipe_tables::frames::FrameShards;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Batches that are prepared while the caller works on one.
const BATCHES_AHEAD: usize = 2;

/// Largest size of the pixels of a batch.
const MAX_BATCH_BYTES: usize = 1 << 32;

/// Makes clips from a folder of frame shards.
#[derive(Clone)]
pub struct Loader {
    shards: Arc<FrameShards>,
}

/// Size of the clips of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipSize {
    /// `T`.
    pub frames: usize,
    /// `H`.
    pub height: usize,
    /// `W`.
    pub width: usize,
}

/// Consecutive clips, in the order of their rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// `[N, T, H, W, 3]`, RGB.
    pub pixels: Vec<u8>,
    /// `[N]`: first label of each clip.
    pub class_indices: Vec<i64>,
    /// `[N]`: first label of the clip that each is blended with, or its own label if it is not blended.
    pub mix_class_indices: Vec<i64>,
    /// `[N]`: share of that other label, from 0 to 1.
    pub mix_shares: Vec<f32>,
    /// `[N, K]`: share of each class, see [`Batches::with_targets`]; empty without it.
    pub targets: Vec<f32>,
    /// `N`: the requested number, or fewer in the last batch.
    pub num_clips: usize,
    /// Positions of the rows in the table.
    pub rows: Range<usize>,
}

impl Batch {
    /// Returns whether a clip is blended with another one.
    pub fn has_blended_clips(&self) -> bool {
        self.mix_shares.iter().any(|share| *share != 0.0)
    }
}

/// An iterator over all batches. It ends after the first error, and its threads end when it is dropped.
///
/// The batches do not depend on the number of threads. Up to three batches are in memory at a time, or four if clips are blended.
pub struct Batches {
    table: Arc<Table>,
    /// The next batch.
    next_batch: usize,
    /// Number of clips of the batches before it, and of those of it that have been taken.
    taken: usize,
    /// First batch that was not yet requested from the threads.
    requested: usize,
    /// Number of clips of the batches before that one.
    num_requested: usize,
    /// Clips that arrived before their batch was complete; the first is that of number `taken`.
    ready: VecDeque<Option<Clip>>,
    /// `None` after the end; the threads end when this sender is dropped.
    requests: Option<SyncSender<Wanted>>,
    clips: Receiver<(usize, Clip)>,
    threads: Vec<JoinHandle<()>>,
    /// `K`, if targets are requested.
    num_classes: Option<usize>,
}

type Clip = Result<Vec<u8>, ClipError>;

/// A clip that a thread is asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// Its number, counted from 0 over all batches.
    number: usize,
    row: usize,
    batch: usize,
}

/// The rows and their source, shared by all threads.
struct Table {
    rows: Arc<[SampleRow]>,
    /// The rows of each batch.
    batches: Vec<Range<usize>>,
    size: ClipSize,
    /// See [`Table::closed`].
    closed: Vec<bool>,
    shards: Arc<FrameShards>,
}

impl Loader {
    /// Opens the shards in `frames_dir`.
    pub fn open(frames_dir: &Path) -> Result<Self, ClipError> {
        Ok(Self { shards: Arc::new(FrameShards::open(frames_dir)?) })
    }

    /// Returns the frame shards.
    pub fn shards(&self) -> &FrameShards {
        &self.shards
    }

    /// Starts `threads` threads that make the clips of `rows`, `batch_size` per batch.
    ///
    /// # Errors
    /// [`ClipError`] if a row does not match the shards or `size`. All rows are checked before the first is loaded.
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

    /// Does the same for the rows in `range`; the other rows are only blended with them.
    pub fn clips_of(
        &self,
        rows: Arc<[SampleRow]>,
        range: Range<usize>,
        size: ClipSize,
        batch_size: usize,
        threads: usize,
    ) -> Result<Batches, ClipError> {
        check_size(size, batch_size)?;
        let batch = |start: usize| start..start.saturating_add(batch_size).min(range.end);
        self.batches(rows, range.clone().step_by(batch_size).map(batch).collect(), size, threads)
    }

    /// Does the same for batches of any rows. `batches` are the rows of each; other rows are only blended with them.
    pub fn batches(
        &self,
        rows: Arc<[SampleRow]>,
        batches: Vec<Range<usize>>,
        size: ClipSize,
        threads: usize,
    ) -> Result<Batches, ClipError> {
        let largest = batches.iter().map(ExactSizeIterator::len).max().unwrap_or(1);
        check_size(size, largest)?;
        let (closed, shards) = (Vec::new(), Arc::clone(&self.shards));
        let mut table = Table { rows, batches, size, closed, shards };
        table.check_rows(|row| self.check(row, size))?;
        table.closed = table.closed()?;
        // Every requested clip has a place in these channels, so that neither side ever waits to send.
        let places = largest.max(1) * BATCHES_AHEAD;
        let (requests, received) = sync_channel(places);
        let (send, clips) = sync_channel(places);
        let received = Arc::new(Mutex::new(received));
        let threads = threads.clamp(1, places);
        let mut batches = Batches {
            next_batch: 0,
            taken: 0,
            requested: 0,
            num_requested: 0,
            table: Arc::new(table),
            ready: VecDeque::new(),
            requests: Some(requests),
            clips,
            threads: Vec::with_capacity(threads),
            num_classes: None,
        };
        for number in 0..threads {
            let worker = Worker { table: Arc::clone(&batches.table), decoder: ClipDecoder::new()? };
            let (received, send) = (Arc::clone(&received), send.clone());
            let thread = std::thread::Builder::new().name(format!("clips-{number}"));
            let handle = thread.spawn(move || worker.run(&received, &send)).map_err(ClipError::Thread)?;
            batches.threads.push(handle);
        }
        (0..BATCHES_AHEAD).for_each(|_| batches.request());
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
        check_crop(row, (index.width_px, index.height_px))
    }
}

impl Table {
    /// Returns how the clip at `position` is blended, or `None`.
    fn mix(&self, position: usize) -> Result<Option<Mix>, ClipError> {
        Mix::of(&self.rows[position], &self.rows, self.size)
    }

    /// Returns the targets of the batch that begins at row `first`.
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

    /// Checks the rows of which clips are made, and the rows that they are blended with.
    fn check_rows(&self, check: impl Fn(&SampleRow) -> Result<(), ClipError>) -> Result<(), ClipError> {
        for position in self.batches.iter().flat_map(Clone::clone) {
            let row = &self.rows[position];
            let mix = check(row).and_then(|()| self.mix(position)).map_err(|error| error.of_video(&row.video_id))?;
            if let Some(other) = mix.map(|mix| &self.rows[mix.other]) {
                check(other).map_err(|error| error.of_video(&other.video_id))?;
            }
        }
        Ok(())
    }

    /// Returns for each batch whether its clips are blended only with clips of the same batch. Such a batch is blended when it is
    /// assembled; otherwise each thread loads the other clip too. All clips of a batch are blended in the same way, because the other
    /// clip must not be blended yet.
    fn closed(&self) -> Result<Vec<bool>, ClipError> {
        let closed = |batch: &Range<usize>| {
            let others = batch.clone().map(|position| Ok(self.mix(position)?.map(|mix| mix.other)));
            let others = others.collect::<Result<Vec<Option<usize>>, ClipError>>()?;
            Ok(others.iter().flatten().all(|other| batch.contains(other)))
        };
        self.batches.iter().map(closed).collect()
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

/// A thread that makes clips.
struct Worker {
    table: Arc<Table>,
    decoder: ClipDecoder,
}

impl Worker {
    fn run(mut self, requests: &Mutex<Receiver<Wanted>>, clips: &SyncSender<(usize, Clip)>) {
        let table = Arc::clone(&self.table);
        loop {
            let request = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(wanted) = request else { return };
            let video_id = &table.rows[wanted.row].video_id;
            let clip = catch_unwind(AssertUnwindSafe(|| self.clip(wanted))).unwrap_or(Err(ClipError::Panicked));
            if clips.send((wanted.number, clip.map_err(|error| error.of_video(video_id)))).is_err() {
                return;
            }
        }
    }

    /// Returns the clip of a row, blended unless its batch is blended when it is assembled.
    fn clip(&mut self, Wanted { row, batch, .. }: Wanted) -> Clip {
        let table = Arc::clone(&self.table);
        let mut clip = self.unmixed(&table.rows[row])?;
        if let Some(mix) = table.mix(row)?.filter(|_| !table.closed[batch]) {
            let other = self.unmixed(&table.rows[mix.other])?;
            mix.apply(&mut clip, &other, table.size);
        }
        Ok(clip)
    }

    /// Returns the pixels of a row before blending, `[T, H, W, 3]`.
    fn unmixed(&mut self, row: &SampleRow) -> Clip {
        let Table { size, shards, .. } = &*self.table;
        let index = shards.find(&row.video_id).ok_or(ClipError::UnknownVideo)?;
        let images = shards.read(index, &row.frame_indices)?;
        self.decoder.clip(row, (index.width_px, index.height_px), *size, &images)
    }
}

impl Batches {
    /// Adds [`Batch::targets`]: 1 for the labels of a clip and 0 for other classes, blended like the clips.
    ///
    /// # Errors
    /// [`ClipError::ClassIndex`] if a row has a label of `num_classes` or above.
    pub fn with_targets(mut self, num_classes: usize) -> Result<Self, ClipError> {
        self.table.check_rows(|row| match row.class_indices().find(|class| *class as usize >= num_classes) {
            Some(class_index) => Err(ClipError::ClassIndex { class_index, num_classes }),
            None => Ok(()),
        })?;
        self.num_classes = Some(num_classes);
        Ok(self)
    }

    /// Requests the clips of the next batch that was not requested yet.
    fn request(&mut self) {
        let (Some(requests), Some(rows)) = (&self.requests, self.table.batches.get(self.requested)) else { return };
        for row in rows.clone() {
            // A thread receives it as long as `self` holds the sender.
            let _ = requests.send(Wanted { number: self.num_requested, row, batch: self.requested });
            self.num_requested += 1;
        }
        self.requested += 1;
    }

    /// Waits for the clips of the next batch and assembles it.
    fn assemble(&mut self) -> Result<Batch, ClipError> {
        let table = Arc::clone(&self.table);
        let rows = table.batches[self.next_batch].clone();
        let mixes: Vec<Option<Mix>> = rows.clone().map(|position| table.mix(position)).collect::<Result<_, _>>()?;
        let clip_bytes = table.size.frames * table.size.height * table.size.width * 3;
        let mut pixels = Vec::with_capacity(rows.len() * clip_bytes);
        for _ in rows.clone() {
            pixels.extend_from_slice(&self.take()?);
        }
        if table.closed[self.next_batch] && mixes.iter().any(Option::is_some) {
            let unmixed = pixels.clone();
            for (clip, mix) in pixels.chunks_exact_mut(clip_bytes).zip(&mixes) {
                if let Some(mix) = mix {
                    let other = (mix.other - rows.start) * clip_bytes;
                    mix.apply(clip, &unmixed[other..other + clip_bytes], table.size);
                }
            }
        }
        let class_index = |place: usize| i64::from(table.rows[place].class_index);
        let other = |(place, mix): (usize, &Option<Mix>)| class_index(mix.as_ref().map_or(place, |mix| mix.other));
        Ok(Batch {
            pixels,
            targets: self
                .num_classes
                .map_or_else(Vec::new, |num_classes| table.targets(rows.start, &mixes, num_classes)),
            class_indices: rows.clone().map(class_index).collect(),
            mix_class_indices: rows.clone().zip(&mixes).map(other).collect(),
            mix_shares: mixes.iter().map(|mix| mix.as_ref().map_or(0.0, |mix| mix.share)).collect(),
            num_clips: rows.len(),
            rows,
        })
    }

    /// Waits for the clip of number `taken`, and increments `taken`.
    fn take(&mut self) -> Clip {
        loop {
            if let Some(Some(_)) = self.ready.front() {
                self.taken += 1;
                return self.ready.pop_front().flatten().unwrap_or(Err(ClipError::Panicked));
            }
            let Ok((found, clip)) = self.clips.recv() else { return Err(ClipError::Panicked) };
            let place = found - self.taken;
            if self.ready.len() <= place {
                self.ready.resize_with(place + 1, || None);
            }
            self.ready[place] = Some(clip);
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, ClipError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.requests.is_none() || self.next_batch >= self.table.batches.len() {
            return None;
        }
        let batch = self.assemble();
        self.next_batch += 1;
        if batch.is_ok() {
            self.request();
        } else {
            self.requests = None;
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.table.batches.len() - self.next_batch;
        (usize::from(left > 0), Some(left))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.requests = None;
        // Requested clips are still being made; each thread ends after its clip because the receiver is gone.
        drop(std::mem::replace(&mut self.clips, sync_channel(0).1));
        for thread in self.threads.drain(..) {
            // A thread catches its own panics and returns nothing.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
