//! [`View`]: what `pipe predict` prints and writes.

use crate::args::Format;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render;
use crate::render::text::{count, printable};
use fs_err as fs;
use pipe_engine::grouped;
use pipe_schemas::data_files::left_out_line;
use pipe_schemas::tables::{Verdict, VideoPredictionRow};
use pipe_stage::protocol::predict::{PredictReply, StreamReport};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Prints predictions as they arrive, and writes them to a file.
pub(super) struct View {
    output: Format,
    top_k: usize,
    num_videos: usize,
    target: Option<Target>,
    sink: Sink,
    labels: Vec<String>,
    engine: String,
    started: Instant,
    num_done: usize,
    num_predicted: usize,
    /// Whether rows are of windows.
    has_windows: bool,
    num_views: u64,
    num_events: usize,
    stream: Option<StreamReport>,
    without: BTreeMap<Verdict, usize>,
}

/// A file for the rows.
struct Target {
    path: PathBuf,
    format: FileFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileFormat {
    Parquet,
    Csv,
    JsonLines,
}

/// Where this process writes rows besides stdout. Each line is written at once, so that none is lost when the command is stopped.
enum Sink {
    /// Nowhere yet, or the worker writes the table.
    Nowhere,
    Csv(fs::File),
    JsonLines(fs::File),
}

/// A prediction as JSON.
#[derive(Serialize)]
struct JsonRow<'a> {
    video: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_secs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_secs: Option<f64>,
    verdict: Verdict,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    num_views: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_secs: Option<f64>,
    top: Vec<JsonClass<'a>>,
}

#[derive(Serialize)]
struct JsonClass<'a> {
    class_index: u32,
    class: &'a str,
    probability: f32,
}

impl View {
    pub(super) fn new(output: Format, top_k: usize, to: Option<&Path>) -> Result<Self, CommandError> {
        Ok(Self {
            output,
            top_k,
            num_videos: 0,
            target: to.map(Target::new).transpose()?,
            sink: Sink::Nowhere,
            labels: Vec::new(),
            engine: String::new(),
            started: Instant::now(),
            num_done: 0,
            num_predicted: 0,
            has_windows: false,
            num_views: 0,
            num_events: 0,
            stream: None,
            without: BTreeMap::new(),
        })
    }

    /// Shows which files of folders are not predicted, and keeps the number of those that are.
    pub(super) fn expect_videos(&mut self, num_videos: usize, left_out: &BTreeMap<String, u64>) {
        self.num_videos = num_videos;
        if let Some(line) = left_out_line(left_out) {
            render::message(&printable(&line));
        }
    }

    /// Returns the table that the worker writes.
    pub(super) fn table(&self) -> Option<PathBuf> {
        let table = self.target.as_ref().filter(|target| target.format == FileFormat::Parquet);
        table.map(|target| target.path.clone())
    }

    /// Shows a reply.
    pub(super) fn take(&mut self, reply: PredictReply) -> Result<(), CommandError> {
        match reply {
            PredictReply::Ready { engine, labels } => {
                // A column for each class is the most that a file needs.
                self.top_k = self.top_k.min(labels.len());
                (self.engine, self.labels, self.started) = (engine, labels, Instant::now());
                // Not before the arguments are checked: the file may be one that exists.
                if let Some(target) = &self.target {
                    self.sink = Sink::open(target, self.top_k)?;
                }
            }
            PredictReply::Row { row, latency_secs } => self.row(&row, latency_secs)?,
            PredictReply::Event { .. } => self.event(&reply)?,
            PredictReply::Annotated { video_id, path, reason } => annotated(&video_id, path.as_deref(), &reason),
            PredictReply::Reconnecting { reason, pause_secs, attempt } => render::message(&format!(
                "the stream was interrupted ({}); attempt {attempt} to connect again in {pause_secs} s",
                printable(&reason)
            )),
            PredictReply::StreamDone(report) => self.stream = Some(report),
            PredictReply::VideoDone => self.video_done(),
            PredictReply::Finished | PredictReply::Failed { .. } => {}
        }
        Ok(())
    }

    fn row(&mut self, row: &VideoPredictionRow, latency_secs: Option<f64>) -> Result<(), CommandError> {
        self.has_windows |= row.start_secs.is_some();
        if row.predicted_index.is_some() {
            self.num_predicted += 1;
            self.num_views += u64::from(row.num_views);
        } else {
            *self.without.entry(row.verdict).or_default() += 1;
        }
        let json = self.json(row, latency_secs);
        match self.output {
            Format::Json => render::print_json(&json),
            Format::Text => render::print(&printable(&text(&json))),
        }
        let line = match &self.sink {
            Sink::Nowhere => return Ok(()),
            Sink::JsonLines(_) => serde_json::to_string(&json)?,
            Sink::Csv(_) => csv(&json, self.top_k)?,
        };
        self.sink.write(&line)
    }

    fn event(&mut self, event: &PredictReply) -> Result<(), CommandError> {
        let PredictReply::Event { video_id, class, start_secs, end_secs, max_probability, num_windows } = event else {
            return Ok(());
        };
        self.num_events += 1;
        let value = serde_json::json!({
            "event": class, "video": video_id, "start_secs": start_secs, "end_secs": end_secs,
            "max_probability": max_probability, "num_windows": num_windows,
        });
        match self.output {
            Format::Json => render::print_json(&value),
            Format::Text => render::print(&printable(&format!(
                "{video_id}: event {class} from {start_secs:.2} s to {end_secs:.2} s, probability up to {max_probability:.4}"
            ))),
        }
        if let Sink::JsonLines(_) = &self.sink { self.sink.write(&value.to_string()) } else { Ok(()) }
    }

    fn video_done(&mut self) {
        self.num_done += 1;
        // One line for every hundredth of the work is enough.
        let step = self.num_videos.div_ceil(100).max(10);
        if self.num_done.is_multiple_of(step) && self.num_done < self.num_videos {
            let (done, all) = (grouped(self.num_done as u64), count(self.num_videos as u64, "video"));
            render::message(&format!("{done} of {all}, {}", self.rate()));
        }
    }

    pub(super) fn finish(self) -> Code {
        let mut line = if let Some(report) = &self.stream {
            stream_line(report, &self.engine)
        } else {
            let videos = count(self.num_done as u64, "video");
            let predicted = self.num_predicted as u64;
            let predicted = if self.has_windows { count(predicted, "window") } else { grouped(predicted) };
            format!("{videos}, {predicted} predicted with {}", self.engine)
        };
        for (verdict, number) in &self.without {
            line += &format!(", {} {}", grouped(*number as u64), verdict.name());
        }
        if self.num_events > 0 {
            line += &format!(", {}", count(self.num_events as u64, "event"));
        }
        render::message(&format!("{line}; {}", self.rate()));
        if self.num_predicted > 0 { Code::Ok } else { Code::Failed }
    }

    /// Returns the throughput so far.
    fn rate(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-6);
        let clips = format!("{:.1} clips/s", self.num_views as f64 / seconds);
        if self.stream.is_some() { clips } else { format!("{:.1} videos/s, {clips}", self.num_done as f64 / seconds) }
    }

    fn json<'a>(&'a self, row: &'a VideoPredictionRow, latency_secs: Option<f64>) -> JsonRow<'a> {
        let name = |index: u32| self.labels.get(index as usize).map_or("", String::as_str);
        let top = row.top(self.top_k);
        let class = |(class_index, probability)| JsonClass { class_index, class: name(class_index), probability };
        JsonRow {
            video: &row.video_id,
            start_secs: row.start_secs,
            end_secs: row.end_secs,
            verdict: row.verdict,
            reason: &row.reason,
            num_views: row.num_views,
            latency_secs,
            top: top.into_iter().map(class).collect(),
        }
    }
}

impl Target {
    fn new(path: &Path) -> Result<Self, CommandError> {
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => FileFormat::Parquet,
            Some("jsonl") => FileFormat::JsonLines,
            Some("csv") => FileFormat::Csv,
            _ => {
                return Err(CommandError::bad_input(format!(
                    "the format of {} is unknown; its name must end with .parquet, .csv or .jsonl",
                    path.display()
                )));
            }
        };
        Ok(Self { path: std::path::absolute(path)?, format })
    }
}

impl Sink {
    /// Creates the file, or replaces one that exists.
    fn open(target: &Target, top_k: usize) -> Result<Self, CommandError> {
        let create = || fs::File::create(&target.path).map_err(|error| CommandError::BadInput(error.into()));
        match target.format {
            FileFormat::Parquet => Ok(Self::Nowhere),
            FileFormat::JsonLines => create().map(Self::JsonLines),
            FileFormat::Csv => {
                let mut sink = Self::Csv(create()?);
                let ranks = (1..=top_k).map(|rank| format!(",class_{rank},probability_{rank}"));
                let header = format!("video,start_secs,end_secs,verdict,reason,num_views{}", ranks.collect::<String>());
                sink.write(&header)?;
                Ok(sink)
            }
        }
    }

    fn write(&mut self, line: &str) -> Result<(), CommandError> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Csv(file) | Self::JsonLines(file) => Ok(file.write_all(format!("{line}\n").as_bytes())?),
        }
    }
}

/// Shows where the copy of a video is, or why there is none.
fn annotated(video_id: &str, path: Option<&Path>, reason: &str) {
    let line = match (path, reason) {
        (Some(path), "") => format!("{video_id}: annotated in {}", path.display()),
        (Some(path), reason) => format!("{video_id}: annotated in {}; {reason}", path.display()),
        (None, reason) => format!("{video_id}: not annotated: {reason}"),
    };
    render::message(&printable(&line));
}

/// Returns what was made of a stream.
fn stream_line(report: &StreamReport, engine: &str) -> String {
    let StreamReport { num_frames, num_dropped_frames, num_windows, num_dropped_windows, .. } = report;
    let mut line = format!(
        "{} of {} with {engine}; {} and {} dropped, {}",
        count(*num_windows, "window"),
        count(*num_frames, "frame"),
        count(*num_dropped_windows, "window"),
        count(*num_dropped_frames, "frame"),
        count(report.num_connections.saturating_sub(1), "reconnection"),
    );
    if report.mean_latency_secs > 0.0 {
        let (mean, max) = (report.mean_latency_secs, report.max_latency_secs);
        line += &format!("; latency {mean:.3} s on average, at most {max:.3} s");
    }
    for damage in &report.damage {
        line += &format!("; damage: {}", printable(damage));
    }
    line
}

/// Returns the line for people, such as `a.avi: Biking 0.9731, Diving 0.0201`.
fn text(row: &JsonRow<'_>) -> String {
    let times = row.start_secs.zip(row.end_secs);
    let window = times.map_or(String::new(), |(start, end)| format!(" {start:.2} to {end:.2} s"));
    let classes: Vec<String> =
        row.top.iter().map(|class| format!("{} {:.4}", class.class, class.probability)).collect();
    let reason = match (row.reason, classes.is_empty()) {
        ("", _) => String::new(),
        (reason, true) => format!("{} ({reason})", row.verdict.name()),
        (reason, false) => format!(" ({}: {reason})", row.verdict.name()),
    };
    format!("{}{window}: {}{reason}", row.video, classes.join(", "))
}

/// Returns a line of CSV with `top_k` classes; places without a class are empty. Verdicts have their names of JSON and Parquet.
fn csv(row: &JsonRow<'_>, top_k: usize) -> Result<String, serde_json::Error> {
    let verdict = serde_json::to_value(row.verdict)?;
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let mut cells = vec![
        cell(row.video),
        number(row.start_secs),
        number(row.end_secs),
        cell(verdict.as_str().unwrap_or_default()),
        cell(row.reason),
        row.num_views.to_string(),
    ];
    for rank in 0..top_k {
        let class = row.top.get(rank);
        cells.push(class.map_or(String::new(), |class| cell(class.class)));
        cells.push(class.map_or(String::new(), |class| class.probability.to_string()));
    }
    Ok(cells.join(","))
}

/// Quotes a text if RFC 4180 requires it.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_text_and_csv() {
        let class = |class, probability| JsonClass { class_index: 0, class, probability };
        let mut row = JsonRow {
            video: "a, b.avi",
            start_secs: None,
            end_secs: None,
            verdict: Verdict::Ok,
            reason: "",
            num_views: 3,
            latency_secs: None,
            top: vec![class("run", 0.75), class("say \"hi\"", 0.25)],
        };
        assert_eq!(text(&row), "a, b.avi: run 0.7500, say \"hi\" 0.2500");
        let line = csv(&row, 3).expect("a line");
        assert_eq!(line, "\"a, b.avi\",,,ok,,3,run,0.75,\"say \"\"hi\"\"\",0.25,,");
        (row.start_secs, row.end_secs, row.verdict, row.reason) = (Some(0.5), Some(2.0), Verdict::Damaged, "one frame");
        assert_eq!(text(&row), "a, b.avi 0.50 to 2.00 s: run 0.7500, say \"hi\" 0.2500 (damaged: one frame)");
        (row.top, row.verdict) = (Vec::new(), Verdict::Truncated);
        assert_eq!(text(&row), "a, b.avi 0.50 to 2.00 s: truncated (one frame)");
        (row.video, row.verdict) = ("a", Verdict::NoVideoStream);
        assert_eq!(csv(&row, 0).expect("a line"), "a,0.5,2,no_video_stream,one frame,3");
    }
}
