//! [`Service`]: answers requests.

use super::counters::Counters;
use super::query::Query;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use pipe_predict::alerts::AlertEvent;
use pipe_predict::{Classifier, ExportedModel, PredictError};
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::{PredictionRow, SampleRow, VideoPredictionRow};
use pipe_stage::protocol::predict::ServeJob;
use pipe_stage::{Context, StageError};
use pipe_stage_predict::{PredictStageError, VideoFile, VideoReader, WindowItem, predict_one, predict_windows};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Maximum number of windows of a request: those of an hour with a stride of two seconds. Their rows are in memory until the response.
const MAX_WINDOWS: usize = 2000;

const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4";

const MAX_DRAINED_BYTES: usize = 16 << 20;
const MAX_DRAIN_TIME: Duration = Duration::from_secs(2);

/// What all requests share.
pub(crate) struct Service {
    classifier: Mutex<Classifier>,
    model: Arc<ExportedModel>,
    engine: String,
    reader: VideoReader<'static>,
    /// One permit for each video that is decoded at a time.
    decoders: Arc<Semaphore>,
    root: Option<PathBuf>,
    max_upload_bytes: u64,
    timeout: Duration,
    batch_size: usize,
    counters: Counters,
}

/// A response that is not a prediction.
struct Refusal {
    status: StatusCode,
    message: String,
}

/// The video of a request. An uploaded one is deleted when this is dropped.
struct Video {
    file: VideoFile,
    _upload: Option<tempfile::TempPath>,
}

/// The prediction of a request, in a thread of its own. Others use the network in turn with it.
struct Task {
    service: Arc<Service>,
    video: Video,
    query: Query,
    /// Set when no one waits for the response any more.
    given_up: Arc<AtomicBool>,
}

/// Gives up a [`Task`] when this is dropped: when its request is answered, exceeds its time, or loses its client.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Service {
    pub(crate) fn new(
        job: &ServeJob,
        root: Option<PathBuf>,
        classifier: Classifier,
        engine: String,
    ) -> Result<Self, StageError> {
        // It lives as long as the process.
        let context: &'static Context = Box::leak(Box::new(
            Context::detached(job.model.threads, Arc::new(AtomicBool::new(false)))
                .with_helper_program(std::env::current_exe()?),
        ));
        let model = Arc::clone(classifier.model());
        let limits = DecodeLimits { cpu_secs: job.timeout_secs, ..DecodeLimits::default() };
        Ok(Self {
            reader: VideoReader::new(context, model.metadata.stored_frames, limits),
            classifier: Mutex::new(classifier),
            model,
            engine,
            decoders: Arc::new(Semaphore::new(job.model.threads)),
            root,
            max_upload_bytes: job.max_upload_bytes,
            timeout: Duration::from_secs(job.timeout_secs),
            batch_size: job.model.batch_size,
            counters: Counters::default(),
        })
    }

    pub(crate) fn num_requests(&self) -> u64 {
        self.counters.total()
    }

    /// Answers a request. There is always a response.
    pub(crate) async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let started = Instant::now();
        self.counters.in_flight.fetch_add(1, Ordering::Relaxed);
        // Also when the connection is closed, and this is never resumed.
        let mut in_flight = InFlight { service: Arc::clone(&self), is_answered: false };
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let allowed = match path.as_str() {
            "/healthz" | "/metrics" => Some("GET, HEAD"),
            "/predict" => Some("POST"),
            _ => None,
        };
        // `hyper` leaves out the body of a response to HEAD.
        let (status, content_type, body) = match (method, path.as_str()) {
            (Method::GET | Method::HEAD, "/healthz") => (StatusCode::OK, JSON, self.health().to_string()),
            (Method::GET | Method::HEAD, "/metrics") => (StatusCode::OK, PROMETHEUS, self.counters.text()),
            (Method::POST, "/predict") => {
                let (status, value) = match tokio::time::timeout(self.timeout, self.clone().predict(request)).await {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(refusal)) => refusal.answer(),
                    Err(_) => Refusal::new(StatusCode::GATEWAY_TIMEOUT, "the request exceeded the time limit").answer(),
                };
                (status, JSON, value.to_string())
            }
            _ => {
                let status = if allowed.is_some() { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
                let (status, value) = Refusal::new(status, "use GET /healthz, GET /metrics or POST /predict").answer();
                (status, JSON, value.to_string())
            }
        };
        in_flight.is_answered = true;
        self.counters.add(status.as_u16(), started.elapsed());
        let mut response = Response::new(Full::new(Bytes::from(body + "\n")));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(allowed) = allowed.filter(|_| status == StatusCode::METHOD_NOT_ALLOWED) {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        response
    }

    fn health(&self) -> Value {
        let metadata = &self.model.metadata;
        json!({ "status": "ok", "network": metadata.network, "num_classes": metadata.labels.len(), "engine": self.engine })
    }

    async fn predict(self: Arc<Self>, request: Request<Incoming>) -> Result<(StatusCode, Value), Refusal> {
        let refuse = |message: String| Refusal::new(StatusCode::BAD_REQUEST, &message);
        let query = Query::parse(request.uri().query().unwrap_or_default()).map_err(refuse)?;
        let checked = query.windows.iter().try_for_each(|plan| plan.check_classes(&self.model.metadata.labels));
        checked.map_err(|error| refuse(error.to_string()))?;
        let video = match &query.path {
            Some(path) => {
                check_empty(request).await?;
                self.below_root(path)?
            }
            None => self.upload(request, query.name.as_deref()).await?,
        };
        let permit = Arc::clone(&self.decoders).acquire_owned().await;
        let given_up = Arc::new(AtomicBool::new(false));
        let _give_up = GiveUp(Arc::clone(&given_up));
        let task = Task { service: Arc::clone(&self), video, query, given_up };
        let task = tokio::task::spawn_blocking(move || {
            let answer = task.run();
            drop(permit);
            answer
        });
        let panicked = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the prediction panicked");
        let (has_prediction, answer) = task.await.map_err(panicked)?.map_err(|error| Refusal::of(&error))?;
        Ok((if has_prediction { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }, answer))
    }

    fn windows_answer(&self, rows: &[VideoPredictionRow], events: Vec<AlertEvent>, top_k: usize) -> Value {
        let window = |row: &VideoPredictionRow| {
            let mut answer = self.answer(row, top_k);
            answer["start_secs"] = json!(row.start_secs);
            answer["end_secs"] = json!(row.end_secs);
            answer
        };
        let event = |event: AlertEvent| {
            let AlertEvent { class, start_secs, end_secs, max_probability, num_windows } = event;
            json!({ "event": class, "start_secs": start_secs, "end_secs": end_secs, "max_probability": short(max_probability), "num_windows": num_windows })
        };
        let windows: Vec<Value> = rows.iter().map(window).collect();
        let events: Vec<Value> = events.into_iter().map(event).collect();
        json!({ "windows": windows, "events": events })
    }

    fn answer(&self, row: &VideoPredictionRow, top_k: usize) -> Value {
        let class = |(class_index, probability): (u32, f32)| {
            let class = self.model.metadata.labels.get(class_index as usize);
            json!({ "class_index": class_index, "class": class, "probability": short(probability) })
        };
        let top: Vec<Value> = row.top(top_k).into_iter().map(class).collect();
        json!({ "verdict": row.verdict, "reason": row.reason, "num_views": row.num_views, "top": top })
    }

    /// Returns a video that a request names.
    fn below_root(&self, path: &str) -> Result<Video, Refusal> {
        let Some(root) = &self.root else {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "this server takes uploads only; start it with `--root DIR`",
            ));
        };
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "there is no such file below the root");
        // Links are followed first, so that none leads out of the root.
        let found = root.join(path).canonicalize().map_err(|_| missing())?;
        if !found.starts_with(root) || !found.is_file() {
            return Err(missing());
        }
        Ok(Video { file: VideoFile { id: path.to_owned(), path: found }, _upload: None })
    }

    /// Writes the body of a request to a temporary file.
    async fn upload(&self, request: Request<Incoming>, name: Option<&str>) -> Result<Video, Refusal> {
        let too_large = || {
            let message = format!("the video is larger than the limit of {} bytes", self.max_upload_bytes);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, &message)
        };
        let declared = request.headers().get(header::CONTENT_LENGTH);
        let declared: Option<u64> = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let mut body = request.into_body();
        if declared.is_some_and(|length| length > self.max_upload_bytes) {
            drain(&mut body).await;
            return Err(too_large());
        }
        let failed = |error: std::io::Error| {
            Refusal::new(StatusCode::INSUFFICIENT_STORAGE, &format!("the upload can't be stored: {error}"))
        };
        let mut file = tempfile::Builder::new().suffix(&suffix(name)).tempfile().map_err(failed)?;
        let mut length = 0_u64;
        while let Some(frame) = body.frame().await {
            let cut = |_| Refusal::new(StatusCode::BAD_REQUEST, "the upload ended early");
            let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
            length += data.len() as u64;
            if length > self.max_upload_bytes {
                drain(&mut body).await;
                return Err(too_large());
            }
            file.write_all(&data).map_err(failed)?;
        }
        if length == 0 {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "send a video as the body, or name one with `?path=`"));
        }
        self.counters.upload_bytes.fetch_add(length, Ordering::Relaxed);
        let upload = file.into_temp_path();
        let file = VideoFile { id: "upload".to_owned(), path: upload.to_path_buf() };
        Ok(Video { file, _upload: Some(upload) })
    }
}

impl Task {
    /// Returns whether there is a prediction, and the response.
    fn run(&self) -> Result<(bool, Value), StageError> {
        let Self { service, video, query, given_up } = self;
        let reader = service.reader.until(Arc::clone(given_up));
        let classify = |rows: &[SampleRow], clips: &[Vec<u8>]| self.classify(rows, clips);
        let Some(plan) = &query.windows else {
            let row = predict_one(&reader, &service.model, &video.file, classify)?;
            return Ok((has_prediction(&row), service.answer(&row, query.top_k)));
        };
        let (mut rows, mut events) = (Vec::new(), Vec::new());
        predict_windows(&reader, &service.model, &video.file, plan, MAX_WINDOWS, classify, |item| {
            match item {
                WindowItem::Row(row) => rows.push(row),
                WindowItem::Event(event) => events.push(event),
            }
            Ok(())
        })?;
        Ok((rows.iter().any(has_prediction), service.windows_answer(&rows, events, query.top_k)))
    }

    fn classify(&self, rows: &[SampleRow], clips: &[Vec<u8>]) -> Result<PredictionRow, StageError> {
        let mut classifier = self.service.classifier.lock().unwrap_or_else(PoisonError::into_inner);
        // The request may have been given up while others used the network.
        if self.given_up.load(Ordering::Relaxed) {
            return Err(StageError::cancelled());
        }
        let predicted = classifier.predict(rows, clips, self.service.batch_size);
        predicted.map_err(StageError::explained(PredictError::help))
    }
}

/// Returns the shortest decimal number that is read as the same 32-bit number.
fn short(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

fn has_prediction(row: &VideoPredictionRow) -> bool {
    row.predicted_index.is_some()
}

/// Reads what is left of a body that is refused, so that the client receives the response before the connection is closed: at most
/// [`MAX_DRAINED_BYTES`] and for [`MAX_DRAIN_TIME`].
async fn drain(body: &mut Incoming) {
    let read = async {
        let mut length = 0;
        while let Some(Ok(frame)) = body.frame().await {
            length += frame.data_ref().map_or(0, Bytes::len);
            if length > MAX_DRAINED_BYTES {
                return;
            }
        }
    };
    // Whether it ended in time makes no difference to the response.
    let _ = tokio::time::timeout(MAX_DRAIN_TIME, read).await;
}

/// Checks that a request that names a video has no body, which could be another video.
async fn check_empty(request: Request<Incoming>) -> Result<(), Refusal> {
    let mut body = request.into_body();
    if body.is_end_stream() {
        return Ok(());
    }
    drain(&mut body).await;
    Err(Refusal::new(
        StatusCode::BAD_REQUEST,
        "`path` names the video, so the request has no body; leave one of them out",
    ))
}

/// Counts a request until it is answered or given up.
struct InFlight {
    service: Arc<Service>,
    is_answered: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let counters = &self.service.counters;
        counters.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.is_answered {
            counters.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Refusal {
    fn new(status: StatusCode, message: &str) -> Self {
        Self { status, message: message.to_owned() }
    }

    /// Returns the response for a prediction that failed.
    fn of(error: &StageError) -> Self {
        if let Some(PredictStageError::TooManyWindows { max_windows }) = error.downcast_ref() {
            let message = format!(
                "the video has more than {max_windows} windows, the maximum of a request; use a longer `stride` or a shorter video"
            );
            return Self::new(StatusCode::BAD_REQUEST, &message);
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, &error.chain().join(": "))
    }

    fn answer(self) -> (StatusCode, Value) {
        (self.status, json!({ "error": self.message }))
    }
}

/// Returns the extension of a file name with its dot, because FFmpeg uses it; nothing if it is odd.
fn suffix(name: Option<&str>) -> String {
    let extension = name.and_then(|name| Path::new(name).extension()?.to_str());
    let is_plain = |text: &&str| text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    extension.filter(is_plain).map_or(String::new(), |extension| format!(".{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes() {
        assert_eq!(
            [suffix(Some("a.MP4")), suffix(Some("a.b/c")), suffix(Some("a.x;y")), suffix(None)],
            [".MP4", "", "", ""]
        );
    }
}
