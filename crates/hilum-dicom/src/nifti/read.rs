//! Reading NIfTI-1 files, packed or not, within limits.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use hilum_volume::{LabelMap, Volume};

use super::affine::from_nifti_ras;
use super::header::{HEADER_BYTES, Header, Number};
use crate::{Limits, Refusal};

/// Reads a volume in HU. Voxels stay in the order of the file (`i` is the column, `j` the row, `k` the slice), so that
/// label maps written for it overlay it voxel by voxel; bring it to the axial orientation for analysis. Values beyond
/// 16 bits are clamped, fractions rounded.
///
/// # Errors
/// [`Refusal::Nifti`] for a damaged or unsupported file, one without a place in the patient, or a truncated one;
/// [`Refusal::NotHounsfield`] if no voxel is below −200 HU, for there is air around and inside every chest;
/// [`Refusal::TooLarge`] beyond `limits.max_voxels`.
pub fn read_hu(reader: impl Read, limits: &Limits) -> Result<Volume<i16>, Refusal> {
    let volume = read(reader, limits, |value| value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16)?;
    if volume.data().iter().all(|hu| *hu >= -200) {
        return Err(Refusal::NotHounsfield("no voxel is as dark as air, so the grey values have been changed"));
    }
    Ok(volume)
}

/// Reads a volume of any numbers (grey values of training sets, for instance), scaled as the header says.
///
/// # Errors
/// As [`read_hu`], without the check for HU.
pub fn read_values(reader: impl Read, limits: &Limits) -> Result<Volume<f32>, Refusal> {
    read(reader, limits, |value| value as f32)
}

/// Reads a label map, whatever its number type.
///
/// # Errors
/// As [`read_hu`], and [`Refusal::Nifti`] if a value is not a whole number from 0 to 255.
pub fn read_labels(reader: impl Read, limits: &Limits) -> Result<LabelMap, Refusal> {
    let mut whole = true;
    let labels = read(reader, limits, |value| {
        whole &= value.fract() == 0.0 && (0.0..=255.0).contains(&value);
        value as u8
    })?;
    if whole { Ok(LabelMap::new(labels)) } else { Err(Refusal::Nifti("its values are not labels from 0 to 255")) }
}

fn read<T>(reader: impl Read, limits: &Limits, convert: impl FnMut(f64) -> T) -> Result<Volume<T>, Refusal> {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let packed = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    if packed { unpacked(MultiGzDecoder::new(reader), limits, convert) } else { unpacked(reader, limits, convert) }
}

fn unpacked<T>(
    mut reader: impl Read,
    limits: &Limits,
    mut convert: impl FnMut(f64) -> T,
) -> Result<Volume<T>, Refusal> {
    let mut bytes = [0; HEADER_BYTES];
    fill(&mut reader, &mut bytes, "it does not start with a NIfTI-1 header")?;
    let header = Header::parse(&bytes)?;
    // Sides are at most 32 767, so the product fits.
    let voxels: usize = header.shape.iter().product();
    if voxels > limits.max_voxels {
        return Err(Refusal::TooLarge { what: "the number of voxels", limit: limits.max_voxels as u64 });
    }
    let geometry = from_nifti_ras(&header.affine, header.shape)
        .map_err(|_| Refusal::Nifti("its affine does not place the voxels in space"))?;
    let gap = (header.voxel_offset - HEADER_BYTES) as u64;
    if io::copy(&mut reader.by_ref().take(gap), &mut io::sink())? != gap {
        return Err(Refusal::Nifti("it is cut short"));
    }
    // Grown as the bytes arrive: a header may promise more than the file holds.
    let mut data = Vec::with_capacity(voxels.min(1 << 20));
    let mut buffer = vec![0; (1 << 16) * header.number.bytes()];
    let plain = header.slope == 1.0 && header.intercept == 0.0;
    while data.len() < voxels {
        let count = (voxels - data.len()).min(1 << 16);
        let buffer = &mut buffer[..count * header.number.bytes()];
        fill(&mut reader, buffer, "it is cut short")?;
        decode(buffer, header.number, header.big_endian, |stored| {
            data.push(convert(if plain { stored } else { header.slope * stored + header.intercept }));
        });
    }
    Ok(Volume::new(geometry, data).expect("as many voxels were read as the grid has"))
}

/// Fills the buffer or says in `short` why it cannot be filled; a damaged gzip stream counts as short.
fn fill(reader: &mut impl Read, buffer: &mut [u8], short: &'static str) -> Result<(), Refusal> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Refusal::Nifti(short),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Refusal::Nifti("its gzip packing is damaged"),
        kind => Refusal::Unreadable(kind),
    })
}

/// Every number of `bytes`, as f64, which holds all the types exactly.
fn decode(bytes: &[u8], number: Number, big_endian: bool, mut each: impl FnMut(f64)) {
    macro_rules! numbers {
        ($type:ty) => {
            for field in bytes.chunks_exact(size_of::<$type>()) {
                let field = field.try_into().expect("the chunk has the size of the type");
                let value = if big_endian { <$type>::from_be_bytes(field) } else { <$type>::from_le_bytes(field) };
                each(f64::from(value));
            }
        };
    }
    match number {
        Number::U8 => numbers!(u8),
        Number::I8 => numbers!(i8),
        Number::I16 => numbers!(i16),
        Number::U16 => numbers!(u16),
        Number::I32 => numbers!(i32),
        Number::U32 => numbers!(u32),
        Number::F32 => numbers!(f32),
        Number::F64 => numbers!(f64),
    }
}
