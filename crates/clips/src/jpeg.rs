//! [`JpegDecoder`]: a part of a JPEG image, at a fraction of its size, over libjpeg-turbo.
//!
//! What lies below the part is not even read, what lies beside it is not transformed. The safe wrapper of the library has
//! no call for that, so this module calls it itself.
#![expect(unsafe_code, reason = "turbojpeg has no tj3SetCroppingRegion")]

use std::ffi::CStr;
use turbojpeg::raw;

/// Scans of a progressive JPEG; a few bytes could ask for thousands.
const MAX_SCANS: i32 = 100;

/// Why an image can't be decoded, in the library's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JpegError(String);

/// Decodes images; one for each thread.
pub(crate) struct JpegDecoder {
    /// Never null, and used by nobody else.
    handle: raw::tjhandle,
}

// The library keeps all that belongs to a handle in it, and a decoder can only be used by one thread at a time.
unsafe impl Send for JpegDecoder {}

/// An image whose header is read.
pub(crate) struct OpenJpeg<'a> {
    decoder: &'a mut JpegDecoder,
    jpeg: &'a [u8],
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Width of the blocks at which a part may start; `None` where parts can't be cut.
    pub(crate) block_width: Option<usize>,
}

/// A part of the scaled image, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// A multiple of the scaled block width.
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl JpegDecoder {
    pub(crate) fn new() -> Result<Self, JpegError> {
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS as i32) };
        if handle.is_null() {
            return Err(JpegError("there is no memory for it".to_owned()));
        }
        let decoder = Self { handle };
        let limited = unsafe { raw::tj3Set(handle, raw::TJPARAM_TJPARAM_SCANLIMIT as i32, MAX_SCANS) };
        decoder.check(limited).map(|()| decoder)
    }

    /// Reads the header of `jpeg`.
    pub(crate) fn open<'a>(&'a mut self, jpeg: &'a [u8]) -> Result<OpenJpeg<'a>, JpegError> {
        self.check(unsafe { raw::tj3DecompressHeader(self.handle, jpeg.as_ptr(), jpeg.len() as _) })?;
        let get = |param: raw::TJPARAM| unsafe { raw::tj3Get(self.handle, param as i32) };
        let side = |param| usize::try_from(get(param)).unwrap_or(0);
        let lossless = get(raw::TJPARAM_TJPARAM_LOSSLESS) != 0;
        let (width, height) = (side(raw::TJPARAM_TJPARAM_JPEGWIDTH), side(raw::TJPARAM_TJPARAM_JPEGHEIGHT));
        let block_width = if lossless { None } else { block_width(get(raw::TJPARAM_TJPARAM_SUBSAMP)) };
        Ok(OpenJpeg { decoder: self, jpeg, width, height, block_width })
    }

    fn check(&self, code: i32) -> Result<(), JpegError> {
        if code == 0 {
            return Ok(());
        }
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.handle)) };
        Err(JpegError(text.to_string_lossy().into_owned()))
    }
}

impl OpenJpeg<'_> {
    /// Returns width and height at one `denominator`th.
    pub(crate) fn scaled(&self, denominator: usize) -> (usize, usize) {
        (self.width.div_ceil(denominator), self.height.div_ceil(denominator))
    }

    /// Decodes a part at one `denominator`th of the size into `pixels`, `[H, W, 3]` in RGB.
    ///
    /// # Errors
    /// [`JpegError`] if the image is broken, or `part` is no part of it.
    pub(crate) fn decode(self, denominator: usize, part: Part, pixels: &mut Vec<u8>) -> Result<(), JpegError> {
        let whole = self.scaled(denominator);
        let within = |start: usize, length: usize, limit: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= limit)
        };
        if !within(part.left, part.width, whole.0) || !within(part.top, part.height, whole.1) {
            return Err(JpegError(format!("{part:?} is not within {whole:?}")));
        }
        let Self { decoder, jpeg, .. } = self;
        let scale = raw::tjscalingfactor { num: 1, denom: denominator as i32 };
        decoder.check(unsafe { raw::tj3SetScalingFactor(decoder.handle, scale) })?;
        let all = (part.width, part.height) == whole;
        // All zeros stand for all of it, which can be decoded where parts can't.
        let [x, y, w, h] =
            if all { [0; 4] } else { [part.left, part.top, part.width, part.height] }.map(|edge| edge as i32);
        decoder.check(unsafe { raw::tj3SetCroppingRegion(decoder.handle, raw::tjregion { x, y, w, h }) })?;
        pixels.resize(3 * part.width * part.height, 0);
        let (start, pitch, format) = (pixels.as_mut_ptr(), 3 * part.width as i32, raw::TJPF_TJPF_RGB);
        // It writes `part.height` rows of `part.width` pixels, for the region was just accepted for this very image.
        let decoded =
            unsafe { raw::tj3Decompress8(decoder.handle, jpeg.as_ptr(), jpeg.len() as _, start, pitch, format) };
        decoder.check(decoded)
    }
}

impl Drop for JpegDecoder {
    fn drop(&mut self) {
        unsafe { raw::tj3Destroy(self.handle) }
    }
}

fn block_width(subsampling: i32) -> Option<usize> {
    match subsampling {
        raw::TJSAMP_TJSAMP_444 | raw::TJSAMP_TJSAMP_GRAY | raw::TJSAMP_TJSAMP_440 | raw::TJSAMP_TJSAMP_441 => Some(8),
        raw::TJSAMP_TJSAMP_422 | raw::TJSAMP_TJSAMP_420 => Some(16),
        raw::TJSAMP_TJSAMP_411 => Some(32),
        _ => None,
    }
}
