//! [`Affine`]: moves the pixels of a frame along straight lines, as torchvision does.

/// Level of pixels that come from outside the frame, as in pytorchvideo.
const FILL: f32 = 128.0;

/// Where each pixel comes from: `x' = xx x + xy y + x0`, `y' = yx x + yy y + y0`, relative to the center of the frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Affine {
    pub(super) xx: f32,
    pub(super) xy: f32,
    pub(super) x0: f32,
    pub(super) yx: f32,
    pub(super) yy: f32,
    pub(super) y0: f32,
}

impl Affine {
    const IDENTITY: Self = Self { xx: 1.0, xy: 0.0, x0: 0.0, yx: 0.0, yy: 1.0, y0: 0.0 };

    pub(super) fn rotate(degrees: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self { xx: cos, xy: -sin, yx: sin, yy: cos, ..Self::IDENTITY }
    }

    pub(super) fn shear_x(share: f32, height: usize) -> Self {
        Self { xy: share, x0: height as f32 * share / 2.0, ..Self::IDENTITY }
    }

    pub(super) fn shear_y(share: f32, width: usize) -> Self {
        Self { yx: share, y0: width as f32 * share / 2.0, ..Self::IDENTITY }
    }

    pub(super) fn translate(x0: f32, y0: f32) -> Self {
        Self { x0, y0, ..Self::IDENTITY }
    }

    /// Moves the pixels of `frame`, with bilinear interpolation.
    pub(super) fn apply(&self, frame: &mut [u8], width: usize) {
        let height = frame.len() / (3 * width);
        let (middle_x, middle_y) = (width as f32 / 2.0, height as f32 / 2.0);
        let mut moved = Vec::with_capacity(frame.len());
        for row in 0..height {
            let y = row as f32 + 0.5 - middle_y;
            for column in 0..width {
                let x = column as f32 + 0.5 - middle_x;
                let from_x = self.xx * x + self.xy * y + self.x0 + middle_x - 0.5;
                let from_y = self.yx * x + self.yy * y + self.y0 + middle_y - 0.5;
                moved.extend(between(frame, width, height, from_x, from_y));
            }
        }
        frame.copy_from_slice(&moved);
    }
}

fn between(frame: &[u8], width: usize, height: usize, x: f32, y: f32) -> [u8; 3] {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, lower_share) = (x - left, y - top);
    let level = |column: f32, row: f32, channel: usize| {
        let inside = column >= 0.0 && row >= 0.0 && column < width as f32 && row < height as f32;
        if inside { f32::from(frame[3 * (row as usize * width + column as usize) + channel]) } else { FILL }
    };
    [0, 1, 2].map(|channel| {
        let mix =
            |row: f32| level(left, row, channel) * (1.0 - right_share) + level(left + 1.0, row, channel) * right_share;
        (mix(top) * (1.0 - lower_share) + mix(top + 1.0) * lower_share).round() as u8
    })
}
