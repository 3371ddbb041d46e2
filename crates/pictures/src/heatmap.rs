//! [`Heatmap`]: a square matrix of shares, with a name for each row and column.

use crate::canvas::{Canvas, Ink};
use crate::font;
use std::io;

/// Side of a cell with a text, with names only, and with neither.
const TEXT_CELL_PX: usize = 44;
const NAMED_CELL_PX: usize = font::HEIGHT_PX + 1;
const PLAIN_CELL_PX: usize = 4;

/// Up to this number of classes, cells have texts; up to this number, rows and columns have names.
const MAX_WITH_TEXTS: usize = 30;
const MAX_WITH_NAMES: usize = 200;

/// Names longer than this are cut.
const MAX_NAME_LETTERS: usize = 28;

const MARGIN_PX: usize = 8;
const BACKGROUND: Ink = [24; 3];
const INK: Ink = [224; 3];
const GRID: Ink = [56; 3];
/// A cell of share 0. It is no grey, unlike all that is written.
const EMPTY: Ink = [34, 37, 44];
/// Cells of share 1 on the diagonal and beside it: correct, and confused.
const CORRECT: Ink = [70, 170, 255];
const CONFUSED: Ink = [255, 120, 60];

/// A square matrix of shares from 0 to 1, as a picture. The rows are from top to bottom, the columns from left to right. Cells on the diagonal
/// have another color than the others. With more than 200 rows, names are left out, which the title then says.
#[derive(Debug)]
pub struct Heatmap {
    /// The text above the matrix.
    pub title: String,
    /// `K` names, of rows and of columns.
    pub names: Vec<String>,
    /// `[K, K]`, row by row.
    pub shares: Vec<f64>,
    /// `[K, K]`: what is written into cells, if there are at most 30 rows. Longer texts than 4 letters are left out.
    pub texts: Vec<String>,
}

impl Heatmap {
    /// Returns the picture as a PNG file.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        self.draw().to_png()
    }

    fn draw(&self) -> Canvas {
        let count = self.names.len();
        let cell = if count <= MAX_WITH_TEXTS {
            TEXT_CELL_PX
        } else if count <= MAX_WITH_NAMES {
            NAMED_CELL_PX
        } else {
            PLAIN_CELL_PX
        };
        let named = count <= MAX_WITH_NAMES;
        let names: Vec<String> = self.names.iter().map(|name| shortened(name)).collect();
        let letters = names.iter().map(|name| name.chars().count()).max().filter(|_| named).unwrap_or(0);
        let title = if named { self.title.clone() } else { format!("{}; {count} classes, names left out", self.title) };
        let room = letters * font::ADVANCE_PX + 2 * MARGIN_PX;
        let (left, top) = (room, room + font::HEIGHT_PX + MARGIN_PX);
        let width = (left + count * cell).max(MARGIN_PX + title.chars().count() * font::ADVANCE_PX) + MARGIN_PX;
        let mut canvas = Canvas::new(width, top + count * cell + MARGIN_PX, BACKGROUND);
        canvas.text(&title, MARGIN_PX, MARGIN_PX, INK);
        self.cells(&mut canvas, (left, top), cell);
        if named {
            for (at, name) in names.iter().enumerate() {
                let middle = at * cell + cell.saturating_sub(font::HEIGHT_PX) / 2;
                let len = name.chars().count() * font::ADVANCE_PX;
                canvas.text(name, left - MARGIN_PX - len, top + middle, INK);
                canvas.text_upward(name, left + middle, top - MARGIN_PX, INK);
            }
        }
        canvas
    }

    fn cells(&self, canvas: &mut Canvas, (left, top): (usize, usize), cell: usize) {
        let count = self.names.len();
        // Small cells have no lines between them.
        let gap = usize::from(cell >= NAMED_CELL_PX);
        canvas.fill(left, top, count * cell, count * cell, GRID);
        for row in 0..count {
            for column in 0..count {
                let share = self.shares.get(row * count + column).copied().unwrap_or(0.0).clamp(0.0, 1.0);
                let (x, y) = (left + column * cell, top + row * cell);
                let full = if row == column { CORRECT } else { CONFUSED };
                canvas.fill(x, y, cell - gap, cell - gap, shade(full, share));
                let text = self.texts.get(row * count + column).map_or("", String::as_str);
                let len = text.chars().count();
                if cell == TEXT_CELL_PX && (1..=4).contains(&len) {
                    let inset = |size: usize| (cell - size) / 2;
                    let ink = if share > 0.55 { BACKGROUND } else { INK };
                    canvas.text(text, x + inset(len * font::ADVANCE_PX), y + inset(font::HEIGHT_PX), ink);
                }
            }
        }
    }
}

/// Returns the color of a share. The root makes small shares visible.
fn shade(full: Ink, share: f64) -> Ink {
    let weight = share.sqrt();
    std::array::from_fn(|channel| {
        (f64::from(EMPTY[channel]) * (1.0 - weight) + f64::from(full[channel]) * weight).round() as u8
    })
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= MAX_NAME_LETTERS {
        return name.to_owned();
    }
    name.chars().take(MAX_NAME_LETTERS - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heatmap(count: usize) -> Heatmap {
        let share = |at: usize| if at / count == at % count { 1.0 } else { 0.0 };
        Heatmap {
            title: "t".into(),
            names: (0..count).map(|at| format!("n{at}")).collect(),
            shares: (0..count * count).map(share).collect(),
            texts: vec![String::new(); count * count],
        }
    }

    fn num_pixels(canvas: &Canvas, ink: Ink) -> usize {
        canvas.pixels.as_chunks::<3>().0.iter().filter(|pixel| **pixel == ink).count()
    }

    #[test]
    fn the_diagonal_has_its_own_color() {
        for (count, side) in [(3, TEXT_CELL_PX - 1), (40, NAMED_CELL_PX - 1), (250, PLAIN_CELL_PX)] {
            let canvas = heatmap(count).draw();
            assert_eq!(num_pixels(&canvas, CORRECT), count * side * side, "{count}");
            assert_eq!(num_pixels(&canvas, EMPTY), count * (count - 1) * side * side, "{count}");
        }
    }

    #[test]
    fn matrices_of_any_size_are_drawn() {
        for count in [0, 1, 2, 101] {
            assert!(heatmap(count).to_png().expect("a file").starts_with(b"\x89PNG"));
        }
        let odd =
            Heatmap { title: "\u{4e2d}".repeat(300), names: vec!["x".repeat(500)], shares: vec![], texts: vec![] };
        assert!(odd.to_png().expect("a file").starts_with(b"\x89PNG"));
    }

    #[test]
    fn small_shares_are_visible_and_shades_rise() {
        let level = |share| shade(CONFUSED, share)[0];
        assert!(level(0.01) > level(0.0) + 15 && level(0.5) > level(0.1) && level(1.0) == CONFUSED[0]);
    }
}
