use super::*;

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Returns which samples make each target sample along one direction, and with what weight.
fn exact(source: usize, start: f64, length: f64, target: usize, filter: Filter) -> Vec<Vec<(usize, f64)>> {
    let scale = length / target as f64;
    let radius = if filter == Filter::Linear { 1.0 } else { scale.max(1.0) };
    let sample = |number: usize| {
        let center = start + (number as f64 + 0.5) * scale;
        let weight = |sample: usize| (1.0 - (sample as f64 + 0.5 - center).abs() / radius).max(0.0);
        let mut all: Vec<_> = (0..source).map(|at| (at, weight(at))).filter(|&(_, weight)| weight > 0.0).collect();
        if all.is_empty() {
            all.push((source - 1, 1.0));
        }
        let sum: f64 = all.iter().map(|&(_, weight)| weight).sum();
        all.into_iter().map(|(at, weight)| (at, weight / sum)).collect()
    };
    (0..target).map(sample).collect()
}

/// Checks a resize against the definition, in floats, and every available instruction set against portable code.
#[track_caller]
fn check<const C: usize>(resize: &Resize) {
    let (stride, target_stride) = (C * resize.source.0 + 3, C * resize.target.0 + 1);
    let source = noise(stride * resize.source.1);
    let run = |simd| {
        let mut target = vec![7; target_stride * resize.target.1];
        Resizer::<C>::with_simd(simd).resize((&source, stride), resize, (&mut target, target_stride));
        target
    };
    let found = run(SimdLevel::Portable);
    for &simd in SimdLevel::available() {
        assert_eq!(run(simd), found, "{simd:?}: {resize:?}");
    }
    let [left, top, width, height] = resize.region;
    let columns = exact(resize.source.0, left, width, resize.target.0, resize.filter);
    let rows = exact(resize.source.1, top, height, resize.target.1, resize.filter);
    for (y, line) in found.chunks(target_stride).enumerate() {
        for (x, pixel) in line[..C * resize.target.0].as_chunks::<C>().0.iter().enumerate() {
            let column = if resize.mirrored { resize.target.0 - 1 - x } else { x };
            for (channel, &found) in pixel.iter().enumerate() {
                let level = |row: usize, column: usize| f64::from(source[row * stride + C * column + channel]);
                let row_sum = |row: usize| -> f64 {
                    columns[column].iter().map(|&(column, weight)| weight * level(row, column)).sum()
                };
                let sum: f64 = rows[y].iter().map(|&(row, weight)| weight * row_sum(row)).sum();
                let expect = (sum * resize.level_map.gain + resize.level_map.offset).clamp(0.0, 255.0);
                let error = (f64::from(found) - expect).abs();
                assert!(error < 0.55, "{found} instead of {expect} at {x}, {y}, {channel}: {resize:?}");
            }
        }
        assert_eq!(line[C * resize.target.0], 7, "a byte beyond the line is changed: {resize:?}");
    }
}

fn whole(source: (usize, usize), target: (usize, usize)) -> Resize {
    Resize {
        source,
        region: [0.0, 0.0, source.0 as f64, source.1 as f64],
        target,
        mirrored: false,
        filter: Filter::Triangle,
        level_map: LevelMap::IDENTITY,
    }
}

#[test]
fn planes_match_the_definition_with_every_instruction_set() {
    let widened = LevelMap { gain: 255.0 / 219.0, offset: -16.0 * 255.0 / 219.0 };
    for level_map in [LevelMap::IDENTITY, widened] {
        for filter in [Filter::Triangle, Filter::Linear] {
            let check = |source, shown: (f64, f64), target| {
                let region = [0.0, 0.0, shown.0, shown.1];
                check::<1>(&Resize { region, filter, level_map, ..whole(source, target) });
            };
            check((320, 240), (320.0, 240.0), (341, 256));
            check((64, 36), (64.0, 36.0), (43, 24)); // 1.5 samples become one
            check((160, 120), (160.0, 120.0), (57, 43));
            check((127, 33), (126.5, 32.5), (16, 9));
            check((90, 70), (90.0, 70.0), (3, 2));
            check((40, 40), (40.0, 40.0), (40, 17));
            check((17, 5), (17.0, 5.0), (300, 90));
            check((1, 1), (1.0, 1.0), (20, 3));
            check((2, 3), (2.0, 3.0), (1, 1));
            check((3, 2), (1.0, 0.5), (19, 4));
        }
    }
}

#[test]
fn crops_of_rgb_match_the_definition_with_every_instruction_set() {
    for mirrored in [false, true] {
        let check = |source, region, target| {
            let resize = Resize { region, mirrored, filter: Filter::Linear, ..whole(source, target) };
            check::<3>(&resize);
            check::<1>(&resize);
        };
        check((64, 48), [3.25, 4.5, 50.5, 40.25], (31, 22));
        check((64, 48), [0.0, 0.0, 64.0, 48.0], (100, 91));
        check((341, 256), [17.3, 0.0, 200.1, 256.0], (224, 224));
        check((1, 1), [0.0, 0.0, 1.0, 1.0], (5, 3));
        check((2, 3), [0.0, 1.0, 2.0, 2.0], (1, 1));
        for width in 1..20 {
            check((width, 4), [0.0, 0.0, width as f64, 4.0], (width + 2, 5));
        }
    }
}

#[test]
fn an_unscaled_crop_of_whole_pixels_is_a_copy() {
    let pixels = noise(3 * 20 * 10);
    let region = [5.0, 3.0, 7.0, 4.0];
    let resize = Resize { region, filter: Filter::Linear, ..whole((20, 10), (7, 4)) };
    let mut target = vec![0; 3 * 7 * 4];
    Resizer::<3>::default().resize((&pixels, 3 * 20), &resize, (&mut target, 3 * 7));
    let expect: Vec<u8> = (3..7).flat_map(|row| pixels[3 * (20 * row + 5)..3 * (20 * row + 12)].to_vec()).collect();
    assert_eq!(target, expect);
}

#[test]
fn a_resizer_follows_another_resize() {
    let pixels = noise(40 * 30);
    let mut resizer = Resizer::<1>::default();
    for resize in [whole((40, 30), (50, 35)), whole((30, 20), (21, 16)), whole((40, 30), (50, 35))] {
        let target_len = resize.target.0 * resize.target.1;
        let (mut found, mut expect) = (vec![0; target_len], vec![0; target_len]);
        resizer.resize((&pixels, 40), &resize, (&mut found, resize.target.0));
        Resizer::<1>::default().resize((&pixels, 40), &resize, (&mut expect, resize.target.0));
        assert_eq!(found, expect);
    }
}
