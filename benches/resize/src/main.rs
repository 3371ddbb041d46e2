//! Compares `pipe_pixels::Resizer` with `fast_image_resize`: microseconds per image, and the distance to the exact result.
//!
//! The two take turns; each time is the smallest of many, which other load on the machine disturbs least.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions};
use pipe_pixels::{Filter, LevelMap, Resize, Resizer};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 2000;

fn main() {
    println!("{:44} {:>9} {:>9} {:>9} {:>17} {:>17}", "", "pipe", "fir", "fir SSE", "pipe: error", "fir: error");
    let whole = |source: (usize, usize)| [0.0, 0.0, source.0 as f64, source.1 as f64];
    for (source, target) in [
        ((320, 240), (341, 256)), // UCF101, luma
        ((160, 120), (171, 128)), // UCF101, chroma
        ((640, 360), (455, 256)),
        ((1280, 720), (455, 256)),
        ((1920, 1080), (455, 256)),
    ] {
        compare::<1>("plane, shrinking averages", source, whole(source), target, Filter::Triangle);
    }
    compare::<3>("RGB, two taps", (341, 256), [17.25, 0.0, 256.0, 256.0], (224, 224), Filter::Linear);
    compare::<3>("RGB, two taps", (341, 256), [50.0, 20.0, 150.0, 120.0], (224, 224), Filter::Linear);
    compare::<3>("RGB, two taps", (171, 128), [20.0, 3.5, 120.0, 115.0], (112, 112), Filter::Linear);
}

fn compare<const C: usize>(
    what: &str,
    source: (usize, usize),
    region: [f64; 4],
    target: (usize, usize),
    filter: Filter,
) {
    // A photograph has smooth areas and edges; so have these waves and bars.
    let level = |x: usize, y: usize, channel: usize| {
        let wave = (x as f64 * 0.11 + channel as f64).sin() * (y as f64 * 0.07).cos() * 90.0;
        let bar = if (x / 23 + y / 17) % 3 == 0 { 35.0 } else { 0.0 };
        (110.0 + wave + bar + ((x * 7 + y * 13) % 5) as f64) as u8
    };
    let pixels: Vec<u8> = (0..C * source.0 * source.1)
        .map(|at| level(at / C % source.0, at / C / source.0, at % C))
        .collect();
    let resize = Resize { source, region, target, mirrored: false, filter, level_map: LevelMap::IDENTITY };
    let mut ours = vec![0; C * target.0 * target.1];
    let mut resizer = Resizer::<C>::default();
    let mut run = || resizer.resize((&pixels, C * source.0), &resize, (&mut ours, C * target.0));

    let pixel_type = if C == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let image = ImageRef::new(source.0 as u32, source.1 as u32, &pixels, pixel_type).expect("an image");
    let mut theirs = Image::new(target.0 as u32, target.1 as u32, pixel_type);
    let mut sse = Image::new(target.0 as u32, target.1 as u32, pixel_type);
    let [left, top, width, height] = region;
    let algorithm = match filter {
        Filter::Triangle => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::Linear => ResizeAlg::Interpolation(FilterType::Bilinear),
    };
    let options = ResizeOptions::new().resize_alg(algorithm).crop(left, top, width, height);
    let mut their_resizer = fast_image_resize::Resizer::new();
    let mut sse_resizer = fast_image_resize::Resizer::new();
    #[cfg(target_arch = "x86_64")]
    if fast_image_resize::CpuExtensions::Sse4_1.is_supported() {
        // SAFETY: the processor has SSE4.1.
        unsafe { sse_resizer.set_cpu_extensions(fast_image_resize::CpuExtensions::Sse4_1) };
    }

    let mut best = [f64::MAX; 3];
    for _ in 0..ROUNDS {
        let mut time = |number: usize, work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            best[number] = best[number].min(start.elapsed().as_secs_f64() * 1e6);
        };
        time(0, &mut run);
        time(1, &mut || their_resizer.resize(&image, &mut theirs, &options).expect("resized"));
        time(2, &mut || sse_resizer.resize(&image, &mut sse, &options).expect("resized"));
    }
    black_box((&ours, &theirs));
    let exact = exact::<C>(&pixels, &resize);
    let [our_error, their_error] = [&ours[..], theirs.buffer()].map(|found| error(found, &exact));
    let same = if theirs.buffer() == sse.buffer() { "" } else { " (SSE4.1 gives other bytes)" };
    let title = format!("{what}: {}x{} to {}x{}", source.0, source.1, target.0, target.1);
    println!("{title:44} {:9.1} {:9.1} {:9.1} {our_error:>17} {their_error:>17}{same}", best[0], best[1], best[2]);
}

/// Returns the largest distance to the exact result, and the share of bytes that are not the nearest ones.
fn error(found: &[u8], exact: &[f64]) -> String {
    let distances = found.iter().zip(exact).map(|(&found, exact)| (f64::from(found) - exact).abs());
    let largest = distances.clone().fold(0.0, f64::max);
    let not_nearest = distances.filter(|&distance| distance > 0.5 + 1e-9).count() as f64 / exact.len() as f64;
    format!("{largest:.2}, {:.2} % off", 100.0 * not_nearest)
}

/// Returns the definition in floats.
fn exact<const C: usize>(pixels: &[u8], resize: &Resize) -> Vec<f64> {
    let [left, top, width, height] = resize.region;
    let columns = axis(resize.source.0, left, width, resize.target.0, resize.filter);
    let rows = axis(resize.source.1, top, height, resize.target.1, resize.filter);
    let mut exact = Vec::new();
    for row in &rows {
        for column in &columns {
            for channel in 0..C {
                let level = |y: usize, x: usize| f64::from(pixels[C * (y * resize.source.0 + x) + channel]);
                let along = |y: usize| column.iter().map(|&(x, weight)| weight * level(y, x)).sum::<f64>();
                exact.push(row.iter().map(|&(y, weight)| weight * along(y)).sum());
            }
        }
    }
    exact
}

fn axis(source: usize, start: f64, length: f64, target: usize, filter: Filter) -> Vec<Vec<(usize, f64)>> {
    let scale = length / target as f64;
    let radius = if filter == Filter::Linear { 1.0 } else { scale.max(1.0) };
    let sample = |number: usize| {
        let center = start + (number as f64 + 0.5) * scale;
        let weight = |at: usize| (1.0 - (at as f64 + 0.5 - center).abs() / radius).max(0.0);
        let weights: Vec<_> = (0..source).map(|at| (at, weight(at))).filter(|&(_, weight)| weight > 0.0).collect();
        let sum: f64 = weights.iter().map(|&(_, weight)| weight).sum();
        weights.into_iter().map(|(at, weight)| (at, weight / sum)).collect()
    };
    (0..target).map(sample).collect()
}
