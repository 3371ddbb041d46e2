//! Predictions of videos, of windows of long videos, and of streams, with real decoders and ONNX Runtime.

#![expect(clippy::disallowed_methods, reason = "tests may panic; their files, threads and times are their own")]

mod network;
mod rtsp;
mod streams;
mod windows;
