//! [`JpegDecoder`]: a part of a JPEG image, at a fraction of its size.
//!
//! Rows below the part are not read, and blocks beside it are not transformed. The safe wrapper of libjpeg-turbo has no call
//! for that, so this module calls the library directly.
#![expect(unsafe_code, reason = "turbojpeg has no tj3SetCroppingRegion")]

use super::JpegError;
use std::ffi::CStr;
use turbojpeg::raw;

/// Maximum number of scans of a progressive JPEG: a few bytes could ask for thousands.
const MAX_SCANS: i32 = 100;

/// Decodes images, on one thread at a time.
pub struct JpegDecoder {
    /// Never null, and not shared.
    handle: raw::tjhandle,
}

// SAFETY: the library keeps everything that belongs to a handle in it, and every call takes `&mut` or owns the decoder.
unsafe impl Send for JpegDecoder {}

/// An image after its header is read.
pub struct OpenJpeg<'a> {
    decoder: &'a mut JpegDecoder,
    jpeg: &'a [u8],
    size: (usize, usize),
    block_width: Option<usize>,
}

/// A part of the scaled image, in pixels of the scaled image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Left edge; a multiple of the scaled block width.
    pub left: usize,
    /// Top edge.
    pub top: usize,
    /// Width, above 0.
    pub width: usize,
    /// Height, above 0.
    pub height: usize,
}

impl JpegDecoder {
    /// Returns a decoder.
    pub fn new() -> Result<Self, JpegError> {
        // SAFETY: the call has no precondition; a null handle is checked for below.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS as i32) };
        if handle.is_null() {
            return Err(JpegError("out of memory".to_owned()));
        }
        let decoder = Self { handle };
        // SAFETY: the handle is valid until `decoder` is dropped.
        let limited = unsafe { raw::tj3Set(handle, raw::TJPARAM_TJPARAM_SCANLIMIT as i32, MAX_SCANS) };
        decoder.check(limited).map(|()| decoder)
    }

    /// Reads the header of `jpeg`.
    pub fn open<'a>(&'a mut self, jpeg: &'a [u8]) -> Result<OpenJpeg<'a>, JpegError> {
        // SAFETY: the handle is valid, and the library reads at most the given number of bytes.
        self.check(unsafe { raw::tj3DecompressHeader(self.handle, jpeg.as_ptr(), jpeg.len() as _) })?;
        // SAFETY: the handle is valid; an unknown parameter gives -1.
        let get = |param: raw::TJPARAM| unsafe { raw::tj3Get(self.handle, param as i32) };
        let side = |param| usize::try_from(get(param)).unwrap_or(0);
        let lossless = get(raw::TJPARAM_TJPARAM_LOSSLESS) != 0;
        let size = (side(raw::TJPARAM_TJPARAM_JPEGWIDTH), side(raw::TJPARAM_TJPARAM_JPEGHEIGHT));
        let block_width = if lossless { None } else { block_width(get(raw::TJPARAM_TJPARAM_SUBSAMP)) };
        Ok(OpenJpeg { decoder: self, jpeg, size, block_width })
    }

    fn check(&self, code: i32) -> Result<(), JpegError> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the handle is valid, and its message is a string that ends in 0 and lives until the next call.
        let text = unsafe { CStr::from_ptr(raw::tj3GetErrorStr(self.handle)) };
        Err(JpegError(text.to_string_lossy().into_owned()))
    }
}

impl OpenJpeg<'_> {
    /// Returns the width and height of the image, in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Returns the width of the blocks at which a part may start, in pixels of the image; `None` if only the whole image can
    /// be decoded.
    pub fn block_width(&self) -> Option<usize> {
        self.block_width
    }

    /// Returns width and height at one `denominator`th of the size.
    pub fn scaled(&self, denominator: usize) -> (usize, usize) {
        (self.size.0.div_ceil(denominator), self.size.1.div_ceil(denominator))
    }

    /// Decodes a part at one `denominator`th of the size into `pixels`, in RGB.
    ///
    /// # Shapes
    /// - `pixels`: `[part.height, part.width, 3]`
    ///
    /// # Errors
    /// [`JpegError`] if the image is damaged, or `part` does not lie in it.
    pub fn decode(self, denominator: usize, part: Part, pixels: &mut Vec<u8>) -> Result<(), JpegError> {
        let whole = self.scaled(denominator);
        let within = |start: usize, length: usize, limit: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= limit)
        };
        if !within(part.left, part.width, whole.0) || !within(part.top, part.height, whole.1) {
            return Err(JpegError(format!("{part:?} is not within {whole:?}")));
        }
        let Self { decoder, jpeg, .. } = self;
        let scale = raw::tjscalingfactor { num: 1, denom: denominator as i32 };
        // SAFETY: the handle is valid; the library refuses a factor that it does not support.
        decoder.check(unsafe { raw::tj3SetScalingFactor(decoder.handle, scale) })?;
        let all = (part.width, part.height) == whole;
        // All zeros stand for the whole image, which can be decoded where parts can't.
        let [x, y, w, h] =
            if all { [0; 4] } else { [part.left, part.top, part.width, part.height] }.map(|edge| edge as i32);
        // SAFETY: the handle is valid; the library refuses a region that does not lie in the image of the header it has read.
        decoder.check(unsafe { raw::tj3SetCroppingRegion(decoder.handle, raw::tjregion { x, y, w, h }) })?;
        pixels.resize(3 * part.width * part.height, 0);
        let (start, pitch, format) = (pixels.as_mut_ptr(), 3 * part.width as i32, raw::TJPF_TJPF_RGB);
        // SAFETY: the library writes `part.height` rows of `part.width` pixels, because it has just accepted this region for
        // this image, and `pixels` has space for them.
        let decoded =
            unsafe { raw::tj3Decompress8(decoder.handle, jpeg.as_ptr(), jpeg.len() as _, start, pitch, format) };
        decoder.check(decoded)
    }
}

impl Drop for JpegDecoder {
    fn drop(&mut self) {
        // SAFETY: the handle is valid, and not used again.
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
