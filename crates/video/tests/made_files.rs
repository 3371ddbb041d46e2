//! Files that FFmpeg's encoders and muxers make: whole, cut, damaged and mirrored.

#[path = "made_files/cut.rs"]
mod cut;
#[path = "made_files/damage.rs"]
mod damage;
#[path = "made_files/make.rs"]
mod make;
#[path = "made_files/orientation.rs"]
mod orientation;

#[expect(clippy::print_stderr, reason = "people read the figures")]
fn print(text: &str) {
    eprintln!("{text}");
}
