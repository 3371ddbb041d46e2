//! Stored frames in PNG and PPM format. PPM is uncompressed RGB after a header of three lines.

use std::io::Cursor;

const PPM: &[u8] = b"P6";
const PNG: &[u8] = b"\x89PNG";

/// Why a frame in PNG or PPM format can't be decoded.
#[derive(Debug, thiserror::Error)]
pub enum LosslessError {
    /// The header of a PPM file is not valid, or the file has another length than the header states.
    #[error("the PPM file is damaged")]
    Ppm,
    /// The PNG file is damaged.
    #[error("the PNG file is damaged")]
    Png(#[from] png::DecodingError),
    /// The PNG file has other pixels than RGB with 8 bits per channel.
    #[error("the PNG file is not RGB with 8 bits per channel")]
    Pixels,
}

/// Returns whether a frame is in PNG or PPM format.
pub(crate) fn is_lossless(image: &[u8]) -> bool {
    image.starts_with(PPM) || image.starts_with(PNG)
}

/// Decodes a frame of at most `max_pixels` into `pixels`, `[H, W, 3]`, and returns its width and height.
pub(crate) fn decode(image: &[u8], max_pixels: usize, pixels: &mut Vec<u8>) -> Result<(usize, usize), LosslessError> {
    if image.starts_with(PPM) {
        let (size, rgb) = ppm(image).ok_or(LosslessError::Ppm)?;
        pixels.clear();
        pixels.extend_from_slice(rgb);
        return Ok(size);
    }
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(image), png::Limits { bytes: 4 * max_pixels });
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info()?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let rgb = reader.output_color_type() == (png::ColorType::Rgb, png::BitDepth::Eight);
    if !rgb || width.saturating_mul(height) > max_pixels {
        return Err(LosslessError::Pixels);
    }
    pixels.resize(3 * width * height, 0);
    reader.next_frame(pixels)?;
    Ok((width, height))
}

/// Parses the header `P6\n341 256\n255\n` and returns width and height with the pixels.
fn ppm(image: &[u8]) -> Option<((usize, usize), &[u8])> {
    let mut rest = image;
    let mut line = || {
        let end = rest.iter().take(32).position(|byte| *byte == b'\n')?;
        let (line, after) = rest.split_at(end);
        rest = &after[1..];
        str::from_utf8(line).ok()
    };
    let (magic, size, depth) = (line()?, line()?, line()?);
    let (width, height) = size.split_once(' ')?;
    let (width, height): (usize, usize) = (width.parse().ok()?, height.parse().ok()?);
    let whole = magic == "P6" && depth == "255" && Some(rest.len()) == width.checked_mul(height)?.checked_mul(3);
    whole.then_some(((width, height), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(color: png::ColorType, bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 2, 1);
        encoder.set_color(color);
        encoder.write_header().expect("written").write_image_data(bytes).expect("written");
        file
    }

    #[test]
    fn complete_images_are_read_and_others_refused() {
        let check = |image: &[u8], expect: Result<&[u8], &str>| {
            let mut pixels = vec![9; 100];
            let size = decode(image, 100, &mut pixels).map_err(|error| error.to_string());
            match expect {
                Ok(expect) => assert_eq!((size, pixels.as_slice()), (Ok((2, 1)), expect)),
                Err(expect) => assert_eq!(size, Err(expect.to_owned())),
            }
        };
        let pixels = [1, 2, 3, 4, 5, 6];
        let rgb = png(png::ColorType::Rgb, &pixels);
        check(&rgb, Ok(&pixels));
        check(&rgb[..rgb.len() - 20], Err("the PNG file is damaged"));
        check(&png(png::ColorType::Grayscale, &[1, 2]), Err("the PNG file is not RGB with 8 bits per channel"));
        check(b"P6\n2 1\n255\n\x01\x02\x03\x04\x05\x06", Ok(&pixels));
        check(b"P6\n2 1\n255\n\x01\x02\x03\x04\x05", Err("the PPM file is damaged"));
        check(b"P6\n18446744073709551615 2\n255\n", Err("the PPM file is damaged"));
        check(b"P6\n2 1\n", Err("the PPM file is damaged"));
        assert!(!is_lossless(b"GIF89a"));
    }
}
