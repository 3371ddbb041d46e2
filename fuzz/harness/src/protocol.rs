//! Any bytes as a line of the worker protocol: an error, or a message that is the same after writing and reading it again.

use pipe_stage::protocol::{Info, Message, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) fn run(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        round_trip::<Message>(line);
        round_trip::<Reply>(line);
        round_trip::<Info>(line);
    }
}

fn round_trip<T: Serialize + DeserializeOwned>(line: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(line) else { return };
    let written = serde_json::to_value(&message).expect("a message can be written");
    let read: T = serde_json::from_value(written.clone()).expect("a written message can be read");
    assert_eq!(serde_json::to_value(&read).expect("written"), written);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let lines: [Value; 3] = [
        json!({"message": "cancel"}),
        json!({"protocol": 1, "kinds": {"ingest": 1}, "tools": {"ffmpeg": "8"}, "libraries": ["/usr/lib/a.so"]}),
        json!({"reply": "warning", "text": "a \u{1f600} warning"}),
    ];
    lines.iter().map(|line| line.to_string().into_bytes()).collect()
}
