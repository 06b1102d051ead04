//! The learning curve as a picture: loss and soft Dice against steps, drawn plainly.

const WIDTH: usize = 900;
const PANEL: usize = 260;
const MARGIN: usize = 40;

/// Colours of the lines, told apart by colour-blind readers too (Okabe and Ito, https://jfly.uni-koeln.de/color/).
const COLORS: [[u8; 3]; 4] = [[0, 0, 0], [0, 114, 178], [213, 94, 0], [0, 158, 115]];

/// A PNG of a curve in the form of `curve.csv`. Above the loss (black), below the soft Dice of lung (blue), lesion
/// (vermilion) and consolidation (green); each line is a running mean of 50 values. Grid lines are at tenths of the
/// range: loss 0 to 2, Dice 0 to 1; the width is all steps so far.
pub(crate) fn learning_curve(csv: &str) -> Vec<u8> {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let rows: Vec<Vec<Option<f64>>> = lines.map(|l| l.split(',').map(|cell| cell.parse().ok()).collect()).collect();
    let column = |index: usize| -> Vec<(f64, f64)> {
        let cell = |row: &Vec<Option<f64>>, index: usize| row.get(index).copied().flatten();
        rows.iter().filter_map(|row| Some((cell(row, 0)?, cell(row, index)?))).collect()
    };
    let last = column(0).last().map_or(1.0, |(step, _)| *step);
    let height = 2 * PANEL + 3 * MARGIN;
    let mut canvas = Canvas { width: WIDTH, pixels: vec![255; WIDTH * height * 3] };
    for (panel, range) in [2.0, 1.0].into_iter().enumerate() {
        let top = MARGIN + panel * (PANEL + MARGIN);
        for tenth in 0..=10 {
            let y = top + tenth * PANEL / 10;
            let shade = if tenth == 10 { 60 } else { 225 };
            (MARGIN..WIDTH - MARGIN).for_each(|x| canvas.set(x, y, [shade; 3]));
        }
        for (index, name) in header.iter().enumerate() {
            let color = match (panel, *name) {
                (0, "loss") => COLORS[0],
                (1, "dice_lung") => COLORS[1],
                (1, "dice_lesion") => COLORS[2],
                (1, "dice_consolidation") => COLORS[3],
                _ => continue,
            };
            let values = column(index);
            let mut previous = None;
            for end in 1..=values.len() {
                let window = &values[end.saturating_sub(50)..end];
                let mean = window.iter().map(|(_, v)| v).sum::<f64>() / window.len() as f64;
                let x = MARGIN as f64 + values[end - 1].0 / last * (WIDTH - 2 * MARGIN) as f64;
                let y = top as f64 + (1.0 - (mean / range).clamp(0.0, 1.0)) * PANEL as f64;
                if let Some(from) = previous {
                    canvas.line(from, (x, y), color);
                }
                previous = Some((x, y));
            }
        }
    }
    canvas.png(height)
}

struct Canvas {
    width: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        let at = (y * self.width + x) * 3;
        if x < self.width && at + 3 <= self.pixels.len() {
            self.pixels[at..at + 3].copy_from_slice(&color);
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), color: [u8; 3]) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let t = step as f64 / steps;
            let (x, y) = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
            self.set(x.round() as usize, y.round() as usize, color);
            self.set(x.round() as usize, y.round() as usize + 1, color);
        }
    }

    fn png(&self, height: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("memory can be written");
        writer.write_image_data(&self.pixels).expect("the picture has its size");
        writer.finish().expect("memory can be written");
        bytes
    }
}
