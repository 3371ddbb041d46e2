//! [`Counters`]: what `/metrics` reports, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram of times, in seconds.
const BOUNDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts requests and their times.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests that are not answered yet.
    pub(crate) in_flight: AtomicU64,
    /// Requests whose clients left before the response.
    pub(crate) abandoned: AtomicU64,
    /// Bytes of uploaded videos.
    pub(crate) upload_bytes: AtomicU64,
    finished: Mutex<Finished>,
}

#[derive(Debug, Default)]
struct Finished {
    by_status: BTreeMap<u16, u64>,
    /// Number of requests up to each bound, not cumulative; the last is for those beyond.
    by_time: [u64; BOUNDS.len() + 1],
    seconds: f64,
}

impl Counters {
    /// Adds a response.
    pub(crate) fn add(&self, status: u16, time: Duration) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        *finished.by_status.entry(status).or_default() += 1;
        let seconds = time.as_secs_f64();
        let place = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        finished.by_time[place] += 1;
        finished.seconds += seconds;
    }

    /// Returns the number of responses.
    pub(crate) fn total(&self) -> u64 {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).by_status.values().sum()
    }

    /// Returns all numbers as text.
    pub(crate) fn text(&self) -> String {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text =
            String::from("# HELP pipe_requests_total Responses by status.\n# TYPE pipe_requests_total counter\n");
        for (status, count) in &finished.by_status {
            let _ = writeln!(text, "pipe_requests_total{{status=\"{status}\"}} {count}");
        }
        text += "# HELP pipe_request_seconds Time from the head of a request to its response.\n";
        text += "# TYPE pipe_request_seconds histogram\n";
        let mut total = 0;
        for (count, bound) in finished.by_time.iter().zip(BOUNDS) {
            total += count;
            let _ = writeln!(text, "pipe_request_seconds_bucket{{le=\"{bound}\"}} {total}");
        }
        total += finished.by_time[BOUNDS.len()];
        let _ = writeln!(text, "pipe_request_seconds_bucket{{le=\"+Inf\"}} {total}");
        let _ = writeln!(text, "pipe_request_seconds_sum {}", finished.seconds);
        let _ = writeln!(text, "pipe_request_seconds_count {total}");
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let _ = write!(
            text,
            "# HELP pipe_requests_in_flight Requests that are not answered yet.\n# TYPE pipe_requests_in_flight gauge\n\
             pipe_requests_in_flight {in_flight}\n"
        );
        let abandoned = self.abandoned.load(Ordering::Relaxed);
        let _ = write!(
            text,
            "# HELP pipe_requests_abandoned_total Requests whose clients left before the response.\n\
             # TYPE pipe_requests_abandoned_total counter\npipe_requests_abandoned_total {abandoned}\n"
        );
        let bytes = self.upload_bytes.load(Ordering::Relaxed);
        let _ = write!(
            text,
            "# HELP pipe_upload_bytes_total Bytes of uploaded videos.\n# TYPE pipe_upload_bytes_total counter\n\
             pipe_upload_bytes_total {bytes}\n"
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_is_cumulative() {
        let counters = Counters::default();
        for (status, millis) in [(200, 10), (200, 11), (413, 600), (200, 60_000)] {
            counters.add(status, Duration::from_millis(millis));
        }
        let text = counters.text();
        for line in [
            "pipe_requests_total{status=\"200\"} 3",
            "pipe_requests_total{status=\"413\"} 1",
            "pipe_request_seconds_bucket{le=\"0.01\"} 1",
            "pipe_request_seconds_bucket{le=\"0.025\"} 2",
            "pipe_request_seconds_bucket{le=\"1\"} 3",
            "pipe_request_seconds_bucket{le=\"+Inf\"} 4",
            "pipe_request_seconds_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert_eq!(counters.total(), 4);
    }
}
