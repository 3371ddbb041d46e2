//! [`Service`]: answers requests.

use super::counters::Counters;
use crate::predict::window_plan;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use pipe_predict::alerts::AlertEvent;
use pipe_predict::{Classifier, ExportedModel};
use pipe_schemas::stages::ingest::DecodeLimits;
use pipe_schemas::tables::VideoPredictionRow;
use pipe_stage::protocol::predict::{ServeJob, WindowJob};
use pipe_stage::{Context, StageError};
use pipe_stage_predict::{VideoFile, VideoReader, WindowPlan, predict_one, predict_windows};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Number of classes in a response, unless the request names another.
const TOP_K: usize = 5;

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
        let _in_flight = InFlight(Arc::clone(&self));
        let route = (request.method().clone(), request.uri().path().to_owned());
        let (status, content_type, body) = match (&route.0, route.1.as_str()) {
            (&Method::GET, "/healthz") => (StatusCode::OK, "application/json", self.health().to_string()),
            (&Method::GET, "/metrics") => (StatusCode::OK, "text/plain; version=0.0.4", self.counters.text()),
            (&Method::POST, "/predict") => {
                let (status, value) = match tokio::time::timeout(self.timeout, self.clone().predict(request)).await {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(refusal)) => refusal.answer(),
                    Err(_) => Refusal::new(StatusCode::GATEWAY_TIMEOUT, "the request exceeded the time limit").answer(),
                };
                (status, "application/json", value.to_string())
            }
            (_, path) => {
                let is_route = ["/healthz", "/metrics", "/predict"].contains(&path);
                let status = if is_route { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
                let (status, value) = Refusal::new(status, "use GET /healthz, GET /metrics or POST /predict").answer();
                (status, "application/json", value.to_string())
            }
        };
        self.counters.add(status.as_u16(), started.elapsed());
        let mut response = Response::new(Full::new(Bytes::from(body + "\n")));
        *response.status_mut() = status;
        let content_type = hyper::header::HeaderValue::from_static(content_type);
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, content_type);
        response
    }

    fn health(&self) -> Value {
        let metadata = &self.model.metadata;
        json!({ "status": "ok", "network": metadata.network, "num_classes": metadata.labels.len(), "engine": self.engine })
    }

    async fn predict(self: Arc<Self>, request: Request<Incoming>) -> Result<(StatusCode, Value), Refusal> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let top_k = match value(&query, "top_k") {
            None => TOP_K,
            Some(text) => text.parse().ok().filter(|top_k| *top_k > 0).ok_or_else(|| {
                Refusal::new(StatusCode::BAD_REQUEST, &format!("`top_k` is `{text}`, expected a number above 0"))
            })?,
        };
        let plan = self.window_plan(&query).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, &error))?;
        let video = match value(&query, "path") {
            Some(path) => self.below_root(&path)?,
            None => self.upload(request, value(&query, "name").as_deref()).await?,
        };
        let permit = Arc::clone(&self.decoders).acquire_owned().await;
        let service = Arc::clone(&self);
        let task = tokio::task::spawn_blocking(move || {
            let answer = match plan {
                None => service.predict_video(&video).map(|row| (has_prediction(&row), service.answer(&row, top_k))),
                Some(plan) => service.predict_windows(&video, &plan, top_k),
            };
            drop(permit);
            answer
        });
        let failed = |message: &str| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message);
        let answer = task.await.map_err(|_| failed("the prediction panicked"))?;
        let (has_prediction, answer) = answer.map_err(|error| failed(&error.chain().join(": ")))?;
        Ok((if has_prediction { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }, answer))
    }

    /// Returns the windows that a query asks for.
    fn window_plan(&self, query: &str) -> Result<Option<WindowPlan>, String> {
        let plan = window_plan_of(query)?;
        let labels = &self.model.metadata.labels;
        let unknown = plan.iter().flat_map(|plan| &plan.rules).find(|rule| !labels.contains(&rule.class));
        unknown.map_or(Ok(plan.clone()), |rule| Err(format!("the network has no class `{}`", rule.class)))
    }

    /// Predicts windows. Other requests wait until it returns, because they need the same network.
    fn predict_windows(&self, video: &Video, plan: &WindowPlan, top_k: usize) -> Result<(bool, Value), StageError> {
        let mut classifier = self.classifier.lock().unwrap_or_else(PoisonError::into_inner);
        let (rows, events) = predict_windows(&self.reader, &mut classifier, &video.file, plan, self.batch_size)?;
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
        Ok((rows.iter().any(has_prediction), json!({ "windows": windows, "events": events })))
    }

    fn predict_video(&self, video: &Video) -> Result<VideoPredictionRow, StageError> {
        predict_one(&self.reader, &self.model, &video.file, |rows, clips| {
            let mut classifier = self.classifier.lock().unwrap_or_else(PoisonError::into_inner);
            classifier.predict(rows, clips, self.batch_size)
        })
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
        let declared = request.headers().get(hyper::header::CONTENT_LENGTH);
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

/// Returns the shortest decimal number that is read as the same 32-bit number.
fn short(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

fn has_prediction(row: &VideoPredictionRow) -> bool {
    row.predicted_index.is_some()
}

/// Returns the windows that a query asks for, as the options of `pipe predict`.
fn window_plan_of(query: &str) -> Result<Option<WindowPlan>, String> {
    let number =
        |key| value(query, key).map(|text| text.parse().map_err(|_| format!("`{key}` is `{text}`, expected a number")));
    let Some(length_secs) = number("window").transpose()? else { return Ok(None) };
    let job = WindowJob {
        length_secs,
        stride_secs: number("stride").transpose()?.unwrap_or(length_secs),
        smoothing: number("smooth").transpose()?.map_or(1, |smooth: f64| smooth.clamp(1.0, 10_000.0) as usize),
        alerts: value(query, "alert").into_iter().collect(),
    };
    window_plan(&job).map(Some).map_err(|error| error.chain().join(": "))
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

/// Counts a request until it is answered or given up.
struct InFlight(Arc<Service>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.counters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Refusal {
    fn new(status: StatusCode, message: &str) -> Self {
        Self { status, message: message.to_owned() }
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

/// Returns the value of a key in a query, without percent-encoding.
fn value(query: &str, key: &str) -> Option<String> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))?;
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_suffixes() {
        let query = "top_k=3&path=a%2Fb+c%25.avi&name=x.mp4";
        let check = |key, expect: Option<&str>| assert_eq!(value(query, key).as_deref(), expect);
        check("top_k", Some("3"));
        check("path", Some("a/b c%.avi"));
        check("pat", None);
        assert_eq!(value("path=%zz%4", "path").as_deref(), Some("%zz%4"));
        assert_eq!(value("path=%ff", "path"), None);
        assert_eq!(
            [suffix(Some("a.MP4")), suffix(Some("a.b/c")), suffix(Some("a.x;y")), suffix(None)],
            [".MP4", "", "", ""]
        );
    }
}
