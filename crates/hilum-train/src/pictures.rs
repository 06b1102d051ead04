//! 8-bit pictures: PNG and JPEG.

use std::fs::File;
use std::path::Path;

use hilum_dicom::Limits;

use crate::TrainError;

/// An 8-bit picture.
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<u8>,
}

impl Plane {
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Turned a quarter clockwise: these pictures have the front of the chest at their left edge.
    pub(crate) fn upright(&self) -> Self {
        let (width, height) = (self.height, self.width);
        let values = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        let values = values.map(|(row, column)| self.values[(self.height - 1 - column) * self.width + row]).collect();
        Self { width, height, values }
    }
}

/// Refuses a picture that is larger than an image may be, before memory is taken for it.
fn check_size(path: &Path, sides: [usize; 2], limits: &Limits) -> Result<(), TrainError> {
    match sides.into_iter().max() {
        Some(side) if side <= limits.max_side => Ok(()),
        _ => Err(TrainError::data(path, format!("the picture has more than {} rows or columns", limits.max_side))),
    }
}

/// The grey values of an 8-bit picture; of a palette picture, its indices.
pub(crate) fn read_png(path: &Path, limits: &Limits) -> Result<Plane, TrainError> {
    let file = File::open(path).map_err(TrainError::file(path))?;
    let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(|e| TrainError::data(path, e))?;
    let info = reader.info();
    let (width, height, color, depth) = (info.width as usize, info.height as usize, info.color_type, info.bit_depth);
    check_size(path, [width, height], limits)?;
    let samples = color.samples();
    let size = reader.output_buffer_size().ok_or_else(|| TrainError::data(path, "the picture is too large"))?;
    let mut buffer = vec![0; size];
    let frame = reader.next_frame(&mut buffer).map_err(|e| TrainError::data(path, e))?;
    let line = frame.line_size;
    let per_byte = match depth {
        png::BitDepth::Eight => 1,
        png::BitDepth::Four if samples == 1 => 2,
        png::BitDepth::Two if samples == 1 => 4,
        png::BitDepth::One if samples == 1 => 8,
        _ => return Err(TrainError::data(path, "only pictures of up to 8 bits are read")),
    };
    // A one-bit mask means black and white; smaller palettes are indices and stay what they are.
    let scale = if color == png::ColorType::Grayscale { 255 / ((1u16 << (8 / per_byte)) - 1) } else { 1 };
    let values = (0..height).flat_map(|row| (0..width).map(move |column| (row, column))).map(|(row, column)| {
        if per_byte == 1 {
            return buffer[row * line + column * samples];
        }
        let bits = 8 / per_byte;
        let byte = buffer[row * line + column / per_byte];
        let shift = 8 - bits * (column % per_byte + 1);
        ((u16::from(byte >> shift) & ((1 << bits) - 1)) * scale) as u8
    });
    Ok(Plane { width, height, values: values.collect() })
}

pub(crate) fn read_jpeg(path: &Path, limits: &Limits) -> Result<Plane, TrainError> {
    let file = File::open(path).map_err(TrainError::file(path))?;
    let mut decoder = jpeg_decoder::Decoder::new(std::io::BufReader::new(file));
    decoder.read_info().map_err(|e| TrainError::data(path, e))?;
    let info = decoder.info().ok_or_else(|| TrainError::data(path, "no picture in the file"))?;
    check_size(path, [info.width.into(), info.height.into()], limits)?;
    let pixels = decoder.decode().map_err(|e| TrainError::data(path, e))?;
    let values = match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 => pixels,
        jpeg_decoder::PixelFormat::RGB24 => pixels.chunks_exact(3).map(|rgb| rgb[1]).collect(),
        _ => return Err(TrainError::data(path, "only grey and RGB pictures are read")),
    };
    Ok(Plane { width: info.width.into(), height: info.height.into(), values })
}
