//! JPEG files over libjpeg-turbo: [`JpegEncoder`] writes them from planes, [`JpegDecoder`] reads parts of them at a fraction of
//! their size.

mod decode;
mod encode;

pub use decode::{JpegDecoder, OpenJpeg, Part};
pub use encode::JpegEncoder;

/// The error of libjpeg-turbo, in its words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JpegError(String);

/// The version of libjpeg-turbo in `turbojpeg-sys`, which does not report it. A test ties it to the lock file.
const LIBJPEG_TURBO: &str = "3.1.0";

/// Returns the version of libjpeg-turbo, such as `3.1.0`.
pub fn libjpeg_turbo_version() -> &'static str {
    LIBJPEG_TURBO
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_that_of_the_locked_crate() {
        let lock = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).expect("read");
        let package = "name = \"turbojpeg-sys\"\nversion = \"1.2.0\"\n";
        assert!(lock.contains(package), "look up VERSION in the CMakeLists.txt of the new turbojpeg-sys");
    }
}
