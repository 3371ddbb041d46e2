//! What `pipe serve` prints.

use crate::render;

pub(super) fn listening(address: &str, engine: &str) {
    render::message(&format!("listening on http://{address} with {engine}; Ctrl-C stops"));
}

pub(super) fn stopping(timeout_secs: u64) {
    render::message(&format!("stopping; requests that have begun have up to {timeout_secs} s"));
}

pub(super) fn stopped(num_requests: u64) {
    let plural = if num_requests == 1 { "" } else { "s" };
    render::message(&format!("stopped after {num_requests} request{plural}"));
}
