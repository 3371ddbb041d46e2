//! [`ffmpeg_version`]: the versions of FFmpeg's libraries, which determine the bytes that they produce.

use std::ffi::CStr;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_the_libraries() {
        let version = ffmpeg_version();
        let words: Vec<_> = version.split(' ').collect();
        assert_eq!(words.len(), 9, "{version}");
        assert!(words[0].starts_with(|first: char| first.is_ascii_digit() || first == 'n'), "{version}");
        assert!(words[4].split('.').count() == 3 && words[3] == "avcodec", "{version}");
    }
}
