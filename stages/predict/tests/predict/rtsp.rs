//! [`serve`]: an RTSP server for one client at a time, which sends the frames of an AVI file by RTP over the same TCP connection.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// Largest part of a frame in a packet.
const MAX_PAYLOAD: usize = 1_400;

/// As in the description of the session.
const PAYLOAD_TYPE: u8 = 96;

/// Clock of RTP for video, in ticks per second.
const CLOCK: u32 = 90_000;

/// Answers `sessions.len()` clients one after the other. Each gets the frames of its range, at `fps` by their timestamps and as fast as it
/// reads them, and then the end of the connection. Returns the URL.
pub(crate) fn serve(avi: &[u8], fps: u32, sessions: Vec<std::ops::Range<usize>>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("rtsp://camera:secret@{}/live", listener.local_addr().expect("an address"));
    let frames = frames_of(avi);
    let server = std::thread::spawn(move || {
        for range in sessions {
            let (client, _) = listener.accept().expect("a client");
            session(client, &frames[range], fps);
        }
    });
    (url, server)
}

/// Returns the video chunks of an AVI file. The first frame has the header of MPEG-4.
fn frames_of(avi: &[u8]) -> Vec<Vec<u8>> {
    let mut at = avi.windows(4).position(|name| name == b"movi").expect("a list of frames") + 4;
    let mut frames = Vec::new();
    while avi.get(at..at + 4) == Some(b"00dc") {
        let len = u32::from_le_bytes(avi[at + 4..at + 8].try_into().expect("four bytes")) as usize;
        frames.push(avi[at + 8..at + 8 + len].to_vec());
        at += 8 + len + len % 2;
    }
    frames
}

fn session(client: TcpStream, frames: &[Vec<u8>], fps: u32) {
    let mut replies = client.try_clone().expect("a connection");
    let mut requests = BufReader::new(client);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let method = lines[0].split(' ').next().unwrap_or_default().to_owned();
        let sequence = lines.iter().find(|line| line.to_lowercase().starts_with("cseq")).expect("a number");
        let (headers, body) = match method.as_str() {
            "OPTIONS" => ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n".to_owned(), ""),
            "DESCRIBE" => (
                "Content-Type: application/sdp\r\n".to_owned(),
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
                 a=rtpmap:96 MP4V-ES/90000\r\na=control:track1\r\n",
            ),
            "SETUP" => ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7\r\n".to_owned(), ""),
            "PLAY" => ("Session: 7\r\n".to_owned(), ""),
            _ => return,
        };
        let reply = format!("RTSP/1.0 200 OK\r\n{sequence}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        replies.write_all(reply.as_bytes()).expect("a client");
        if method == "PLAY" {
            // The client may leave before the last frame.
            let _ = send(&mut replies, frames, fps);
            return;
        }
    }
}

fn send(client: &mut TcpStream, frames: &[Vec<u8>], fps: u32) -> std::io::Result<()> {
    let mut number = 0_u16;
    for (position, frame) in frames.iter().enumerate() {
        let ticks = position as u32 * CLOCK / fps;
        let num_parts = frame.len().div_ceil(MAX_PAYLOAD);
        for (at, part) in frame.chunks(MAX_PAYLOAD).enumerate() {
            let is_last = at + 1 == num_parts;
            let mut packet = vec![0x80, if is_last { PAYLOAD_TYPE + 0x80 } else { PAYLOAD_TYPE }];
            packet.extend(number.to_be_bytes());
            packet.extend(ticks.to_be_bytes());
            packet.extend(1_u32.to_be_bytes());
            packet.extend(part);
            number = number.wrapping_add(1);
            client.write_all(&[b'$', 0])?;
            client.write_all(&(packet.len() as u16).to_be_bytes())?;
            client.write_all(&packet)?;
        }
    }
    client.flush()
}
