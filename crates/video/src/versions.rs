//! Versions of the libraries that decide bytes.

use std::ffi::CStr;

/// libjpeg-turbo inside `turbojpeg-sys`, which does not tell its version. A test ties it to the lock file.
const LIBJPEG_TURBO: &str = "3.1.0";

/// Returns FFmpeg's release and the versions of the libraries in use, as `5.1.9 avcodec 59.37.100 …`.
#[expect(unsafe_code, reason = "ffmpeg-next does not give FFmpeg's release")]
pub fn ffmpeg_version() -> String {
    // SAFETY: the function returns a static string that ends in 0.
    let release = unsafe { CStr::from_ptr(ffmpeg_next::ffi::av_version_info()) }.to_string_lossy();
    let libraries = [
        ("avutil", ffmpeg_next::util::version()),
        ("avcodec", ffmpeg_next::codec::version()),
        ("avformat", ffmpeg_next::format::version()),
        ("swscale", ffmpeg_next::software::scaling::version()),
    ];
    let library = |(name, version): (&str, u32)| {
        format!(" {name} {}.{}.{}", version >> 16, (version >> 8) & 0xff, version & 0xff)
    };
    release.into_owned() + &libraries.map(library).concat()
}

/// Returns the version of libjpeg-turbo, as `3.1.0`.
pub fn libjpeg_turbo_version() -> &'static str {
    LIBJPEG_TURBO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpeg_tells_its_libraries() {
        let version = ffmpeg_version();
        let words: Vec<_> = version.split(' ').collect();
        assert_eq!(words.len(), 9, "{version}");
        assert!(words[0].starts_with(|first: char| first.is_ascii_digit() || first == 'n'), "{version}");
        assert!(words[4].split('.').count() == 3 && words[3] == "avcodec", "{version}");
    }

    #[test]
    fn libjpeg_turbo_is_the_one_in_the_lock_file() {
        let lock = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).expect("read");
        // turbojpeg-sys 1.2.0 holds libjpeg-turbo 3.1.0. Look into its CMakeLists.txt before changing this line.
        assert!(lock.contains("name = \"turbojpeg-sys\"\nversion = \"1.2.0\"\n"));
    }
}
