//! Writing NIfTI-1 files.

use std::io::Write;

use flate2::write::GzEncoder;
use hilum_volume::{Geometry, LabelMap, Volume};

use super::header::{Header, Intent, Number};
use crate::Error;

/// Whether the file is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// `.nii.gz`.
    #[default]
    Gzip,
    /// `.nii`.
    None,
}

/// Writes a label map as unsigned 8-bit numbers with the label intent.
///
/// The bytes depend on the labels and the grid alone: the same labels give the same file.
///
/// # Errors
/// [`Error::Write`] if the writer fails, [`Error::Unwritable`] if a side exceeds 32 767 voxels.
pub fn write_labels(labels: &LabelMap, writer: impl Write, compression: Compression) -> Result<(), Error> {
    let lines = labels.labels().data().chunks(1 << 16).map(<[u8]>::to_vec);
    write(labels.geometry(), Number::U8, Intent::Labels, lines, writer, compression)
}

/// Writes HU (or any 16-bit numbers) as signed 16-bit numbers without scaling.
///
/// # Errors
/// As [`write_labels`].
pub fn write_volume(volume: &Volume<i16>, writer: impl Write, compression: Compression) -> Result<(), Error> {
    let lines = volume.data().chunks(1 << 16).map(|line| line.iter().flat_map(|v| v.to_le_bytes()).collect());
    write(volume.geometry(), Number::I16, Intent::Values, lines, writer, compression)
}

fn write(
    geometry: &Geometry,
    number: Number,
    intent: Intent,
    lines: impl Iterator<Item = Vec<u8>>,
    writer: impl Write,
    compression: Compression,
) -> Result<(), Error> {
    let header = Header::bytes_for(geometry, number, intent).map_err(Error::Unwritable)?;
    let all = |mut out: &mut dyn Write| -> std::io::Result<()> {
        out.write_all(&header)?;
        lines.into_iter().try_for_each(|line| out.write_all(&line))?;
        (&mut out).flush()
    };
    match compression {
        Compression::None => all(&mut { writer }),
        Compression::Gzip => {
            // No name and no time in the gzip header, so that equal labels make equal files.
            let mut packed = GzEncoder::new(writer, flate2::Compression::new(4));
            all(&mut packed).and_then(|()| packed.finish()?.flush())
        }
    }
    .map_err(Error::Write)
}
