//! Colour pictures: from grey planes, with labels and lines on top, to PNG.

use crate::contour::Polyline;
use crate::projection::Plane;

/// An 8-bit RGB picture, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<[u8; 3]>,
}

/// How values become grey: `center - width/2` and below are black, `center + width/2` and above white (the linear
/// function of PS3.3 C.11.2.1.3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// The value shown as middle grey.
    pub center: f32,
    /// From black to white; positive.
    pub width: f32,
}

impl Window {
    /// The grey level of a value, 0 to 255; black for NaN.
    #[must_use]
    pub fn grey(&self, value: f32) -> u8 {
        (255.0 * (value - self.center + 0.5 * self.width) / self.width).round().clamp(0.0, 255.0) as u8
    }
}

impl Picture {
    /// A picture of one colour.
    #[must_use]
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, rgb: vec![colour; width * height] }
    }

    /// A plane seen through a window.
    #[must_use]
    pub fn from_grey(plane: &Plane<f32>, window: Window) -> Self {
        let rgb = plane.data.iter().map(|v| [window.grey(*v); 3]).collect();
        Self { width: plane.width(), height: plane.height(), rgb }
    }

    /// Pixels from left to right.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels from top to bottom.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// All pixels, row by row from the top.
    #[must_use]
    pub fn pixels(&self) -> &[[u8; 3]] {
        &self.rgb
    }

    /// All pixels, to change.
    #[must_use]
    pub fn pixels_mut(&mut self) -> &mut [[u8; 3]] {
        &mut self.rgb
    }

    /// The pixel at `x`, `y`.
    ///
    /// # Panics
    /// If it lies outside.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        assert!(x < self.width, "the picture is {} pixels wide", self.width);
        self.rgb[y * self.width + x]
    }

    /// Mixes `colour` into the pixel at `x`, `y` with `opacity` from 0 to 1; nothing outside the picture.
    pub fn blend(&mut self, x: isize, y: isize, colour: [u8; 3], opacity: f32) {
        if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y))
            && x < self.width
            && y < self.height
        {
            let pixel = &mut self.rgb[y * self.width + x];
            for (p, c) in pixel.iter_mut().zip(colour) {
                *p = (f32::from(*p) + (f32::from(c) - f32::from(*p)) * opacity.clamp(0.0, 1.0)).round() as u8;
            }
        }
    }

    /// Mixes `colour` into every pixel where `mask` is true.
    ///
    /// # Panics
    /// If plane and picture differ in size.
    pub fn blend_mask(&mut self, mask: &Plane<bool>, colour: [u8; 3], opacity: f32) {
        assert_eq!([mask.width(), mask.height()], [self.width, self.height], "the plane covers the picture");
        let width = self.width;
        for (at, _) in mask.data.iter().enumerate().filter(|(_, m)| **m) {
            self.blend((at % width) as isize, (at / width) as isize, colour, opacity);
        }
    }

    /// Mixes each label's colour into its pixels: `colours` gives colour and opacity, `None` leaves them.
    ///
    /// # Panics
    /// If plane and picture differ in size.
    pub fn blend_labels(&mut self, labels: &Plane<u8>, colours: impl Fn(u8) -> Option<([u8; 3], f32)>) {
        assert_eq!([labels.width(), labels.height()], [self.width, self.height], "the plane covers the picture");
        let width = self.width;
        for (at, label) in labels.data.iter().enumerate() {
            if let Some((colour, opacity)) = colours(*label) {
                self.blend((at % width) as isize, (at / width) as isize, colour, opacity);
            }
        }
    }

    /// Draws a line `thickness` pixels wide with soft edges.
    pub fn draw(&mut self, line: &Polyline, colour: [u8; 3], thickness: f32) {
        let Some((first, last)) = line.points.first().zip(line.points.last()) else { return };
        let half = 0.5 * thickness;
        let reach = half + 1.0;
        // Coverage of the whole line first, so that joints are not painted twice.
        let low = |a: usize| line.points.iter().map(|p| p[a]).fold(f32::INFINITY, f32::min) - reach;
        let high = |a: usize| line.points.iter().map(|p| p[a]).fold(f32::NEG_INFINITY, f32::max) + reach;
        let (x0, y0) = (low(0).floor().max(0.0) as usize, low(1).floor().max(0.0) as usize);
        let (x1, y1) =
            ((high(0).ceil().max(0.0) as usize).min(self.width), (high(1).ceil().max(0.0) as usize).min(self.height));
        if x0 >= x1 || y0 >= y1 {
            return;
        }
        let columns = x1 - x0;
        let mut cover = vec![0.0_f32; columns * (y1 - y0)];
        let pairs = line.points.windows(2).map(|p| (p[0], p[1]));
        let closing = (line.closed || line.points.len() == 1).then_some((*last, *first));
        for (a, b) in pairs.chain(closing) {
            let clip = |v: f32, from: usize, to: usize| (v.max(from as f32) as usize).clamp(from, to);
            let columns_near = clip(a[0].min(b[0]) - reach, x0, x1)..clip(a[0].max(b[0]) + reach + 1.0, x0, x1);
            let rows_near = clip(a[1].min(b[1]) - reach, y0, y1)..clip(a[1].max(b[1]) + reach + 1.0, y0, y1);
            for y in rows_near {
                for x in columns_near.clone() {
                    let here = (half + 0.5 - distance_to_segment([x as f32, y as f32], a, b)).clamp(0.0, 1.0);
                    let covered = &mut cover[(y - y0) * columns + x - x0];
                    *covered = covered.max(here);
                }
            }
        }
        for (at, opacity) in cover.into_iter().enumerate().filter(|(_, c)| *c > 0.0) {
            self.blend((x0 + at % columns) as isize, (y0 + at / columns) as isize, colour, opacity);
        }
    }

    /// Copies another picture with its upper left corner at `x`, `y`; what reaches outside is cut off.
    pub fn place(&mut self, other: &Self, x: usize, y: usize) {
        let width = other.width.min(self.width.saturating_sub(x));
        for row in 0..other.height.min(self.height.saturating_sub(y)) {
            let to = (y + row) * self.width + x;
            self.rgb[to..to + width].copy_from_slice(&other.rgb[row * other.width..row * other.width + width]);
        }
    }

    /// The part of the picture from `x`, `y`, `width` by `height` pixels; clipped to the picture.
    #[must_use]
    pub fn cropped(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        let (x, y) = (x.min(self.width), y.min(self.height));
        let (width, height) = (width.min(self.width - x), height.min(self.height - y));
        let rgb =
            (y..y + height).flat_map(|row| &self.rgb[row * self.width + x..row * self.width + x + width]).copied();
        Self { width, height, rgb: rgb.collect() }
    }

    /// The picture as a PNG file, 8-bit RGB; the same picture gives the same bytes. Carries no text and no time.
    ///
    /// # Panics
    /// If the picture has no pixels.
    #[must_use]
    pub fn png(&self) -> Vec<u8> {
        assert!(self.width > 0 && self.height > 0, "a PNG has at least one pixel");
        let side = |n: usize| u32::try_from(n).expect("a picture is smaller than 2^32 pixels a side");
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side(self.width), side(self.height));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header().expect("writing into memory does not fail");
        writer.write_image_data(self.rgb.as_flattened()).expect("the data has the picture's size");
        writer.finish().expect("writing into memory does not fail");
        bytes
    }
}

fn distance_to_segment(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length2 = dx * dx + dy * dy;
    let t = if length2 > 0.0 { (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length2).clamp(0.0, 1.0) } else { 0.0 };
    (p[0] - a[0] - t * dx).hypot(p[1] - a[1] - t * dy)
}
