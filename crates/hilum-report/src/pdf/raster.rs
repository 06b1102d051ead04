//! A page as a picture, for viewers that show pictures but no documents.

use hilum_imaging::contour::Polyline;

use super::paper::{Op, PAGE, Page};
use crate::canvas::{Canvas, Rgb};
use crate::picture::Picture;

/// Pixels per point: 144 per inch, at which small print is legible.
const SCALE: f32 = 2.0;

/// Lines per pixel row on which the edge of a shape is sampled.
const SAMPLES: usize = 4;

/// The page at 144 pixels per inch. `pictures` are those of the document, in order.
pub(super) fn drawn(page: &Page, pictures: &[&Picture]) -> Canvas {
    let [width, height] = PAGE.map(|points| (SCALE * points).round() as usize);
    let mut canvas = Canvas::filled(width, height, [255; 3]);
    let scaled = |[x, y]: [f32; 2]| [SCALE * x, SCALE * y];
    for op in page.pieces.iter().flat_map(|piece| &piece.ops) {
        match op {
            Op::Text { at, size, face, ink, text } => {
                let [x, y] = scaled(*at);
                face.draw(text, x, y, SCALE * size, |px, py, cover| {
                    canvas.blend(px as isize, py as isize, *ink, cover)
                });
            }
            Op::Box { area: [x, y, width, height], ink } => {
                let corners = [[*x, *y], [x + width, *y], [x + width, y + height], [*x, y + height]];
                fill(&mut canvas, &corners.map(scaled), *ink, 1.0);
            }
            Op::Shape { points, ink, opacity } => {
                let points: Vec<_> = points.iter().map(|p| scaled(*p)).collect();
                fill(&mut canvas, &points, *ink, *opacity);
            }
            Op::Line { points, ink, width } => {
                // Pixel centres lie at whole numbers there.
                let points = points.iter().map(|p| scaled(*p).map(|v| v - 0.5)).collect();
                canvas.draw(&Polyline { points, closed: false }, *ink, SCALE * width);
            }
            Op::Image { area: [x, y, width, height], index } => {
                if let Some(picture) = pictures.get(*index) {
                    place(&mut canvas, &picture.image, [*x, *y, *width, *height].map(|v| SCALE * v));
                }
            }
        }
    }
    canvas
}

/// Fills a polygon (even-odd rule) with soft edges.
fn fill(canvas: &mut Canvas, points: &[[f32; 2]], ink: Rgb, opacity: f32) {
    let low = points.iter().map(|p| p[1]).fold(f32::INFINITY, f32::min).max(0.0) as usize;
    let high = points.iter().map(|p| p[1]).fold(0.0, f32::max).ceil() as usize;
    let mut cover = vec![0.0_f32; canvas.width()];
    for y in low..high.min(canvas.height()) {
        cover.fill(0.0);
        for sample in 0..SAMPLES {
            let line = y as f32 + (sample as f32 + 0.5) / SAMPLES as f32;
            let edges = points.iter().zip(points.iter().cycle().skip(1));
            let mut crossings: Vec<f32> = edges
                .filter(|(a, b)| (a[1] <= line) != (b[1] <= line))
                .map(|(a, b)| a[0] + (line - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
                .collect();
            crossings.sort_by(f32::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let [from, to] = [pair[0], pair[1]].map(|x| x.clamp(0.0, cover.len() as f32));
                for (x, value) in cover.iter_mut().enumerate().take(to.ceil() as usize).skip(from as usize) {
                    let inside = (to.min(x as f32 + 1.0) - from.max(x as f32)).max(0.0);
                    *value += inside / SAMPLES as f32;
                }
            }
        }
        for (x, cover) in cover.iter().enumerate().filter(|(_, cover)| **cover > 0.0) {
            canvas.blend(x as isize, y as isize, ink, opacity * cover.min(1.0));
        }
    }
}

/// Draws a picture into a rectangle: every pixel of the page is the mean of what it covers.
fn place(canvas: &mut Canvas, picture: &Canvas, [left, top, width, height]: [f32; 4]) {
    let step = [picture.width() as f32 / width, picture.height() as f32 / height];
    let covered = |from: f32, step: f32, size: usize| {
        let first = (from.max(0.0) as usize).min(size - 1);
        first..((from + step).ceil() as usize).clamp(first + 1, size)
    };
    for y in top.round() as usize..((top + height).round() as usize).min(canvas.height()) {
        for x in left.round() as usize..((left + width).round() as usize).min(canvas.width()) {
            let rows = covered((y as f32 - top) * step[1], step[1], picture.height());
            let columns = covered((x as f32 - left) * step[0], step[0], picture.width());
            let mut sum = [0_u32; 3];
            for row in rows.clone() {
                for column in columns.clone() {
                    let pixel = picture.pixel(column, row);
                    (0..3).for_each(|c| sum[c] += u32::from(pixel[c]));
                }
            }
            let count = (rows.len() * columns.len()) as u32;
            let width = canvas.width();
            canvas.pixels_mut()[y * width + x] = sum.map(|s| ((s + count / 2) / count) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pixel_is_half_covered() {
        let mut canvas = Canvas::filled(4, 3, [255; 3]);
        fill(&mut canvas, &[[1.0, 1.0], [2.5, 1.0], [2.5, 2.0], [1.0, 2.0]], [0; 3], 1.0);
        let row: Vec<u8> = (0..4).map(|x| canvas.pixel(x, 1)[0]).collect();
        assert_eq!(row, [255, 0, 128, 255]);
        assert!((0..4).all(|x| canvas.pixel(x, 0) == [255; 3] && canvas.pixel(x, 2) == [255; 3]));
    }

    #[test]
    fn a_picture_keeps_its_mean() {
        let mut picture = Canvas::filled(4, 4, [0; 3]);
        (0..8).for_each(|i| picture.pixels_mut()[2 * i] = [200; 3]);
        let mut canvas = Canvas::filled(6, 6, [255; 3]);
        place(&mut canvas, &picture, [2.0, 2.0, 2.0, 2.0]);
        assert_eq!(canvas.pixel(2, 2), [100; 3]);
        assert_eq!((canvas.pixel(1, 2), canvas.pixel(4, 3)), ([255; 3], [255; 3]));
    }
}
