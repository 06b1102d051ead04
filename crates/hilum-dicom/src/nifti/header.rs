//! The 348 bytes at the start of a NIfTI-1 file: what we read of them and what we write.

use hilum_volume::Geometry;

use super::affine::to_nifti_ras;
use crate::Refusal;

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 348;
/// Where our voxels start: the header and four bytes that say that no extension follows.
pub(super) const VOXEL_OFFSET: usize = 352;

/// Numbers as they stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
}

impl Number {
    /// Bytes of one number.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn from_code(code: i16) -> Option<Self> {
        Some(match code {
            2 => Self::U8,
            4 => Self::I16,
            8 => Self::I32,
            16 => Self::F32,
            64 => Self::F64,
            256 => Self::I8,
            512 => Self::U16,
            768 => Self::U32,
            _ => return None,
        })
    }

    pub(super) fn code(self) -> i16 {
        match self {
            Self::U8 => 2,
            Self::I16 => 4,
            Self::I32 => 8,
            Self::F32 => 16,
            Self::F64 => 64,
            Self::I8 => 256,
            Self::U16 => 512,
            Self::U32 => 768,
        }
    }
}

/// What the header says, in our terms.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) big_endian: bool,
    /// Slices, rows, columns.
    pub(super) shape: [usize; 3],
    pub(super) number: Number,
    pub(super) voxel_offset: usize,
    /// `value = slope × stored + intercept`.
    pub(super) slope: f64,
    pub(super) intercept: f64,
    /// Rows `[x, y, z]` in RAS mm.
    pub(super) affine: [[f64; 4]; 3],
}

/// Fields by offset, in the byte order of the file.
struct Fields<'a> {
    bytes: &'a [u8; HEADER_BYTES],
    big_endian: bool,
}

impl Fields<'_> {
    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.bytes[at..at + N]);
        if self.big_endian {
            field.reverse();
        }
        field
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.take(at))
    }

    fn f32(&self, at: usize) -> f64 {
        f64::from(f32::from_le_bytes(self.take(at)))
    }
}

impl Header {
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Refusal> {
        let size = [bytes[0], bytes[1], bytes[2], bytes[3]];
        let big_endian = match (i32::from_le_bytes(size), i32::from_be_bytes(size)) {
            (348, _) => false,
            (_, 348) => true,
            (540, _) | (_, 540) => return Err(Refusal::Nifti("it is NIfTI-2, only NIfTI-1 is read")),
            _ => return Err(Refusal::Nifti("it does not start with a NIfTI-1 header")),
        };
        let f = Fields { bytes, big_endian };
        match &bytes[344..348] {
            b"n+1\0" => {}
            b"ni1\0" => return Err(Refusal::Nifti("header and image are two files, only single files are read")),
            _ => return Err(Refusal::Nifti("it does not start with a NIfTI-1 header")),
        }
        let dimensions = f.i16(40);
        if !(3..=7).contains(&dimensions) {
            return Err(Refusal::Nifti("it is not a volume of three dimensions"));
        }
        if (3..dimensions as usize).any(|d| f.i16(42 + 2 * d) > 1) {
            return Err(Refusal::Nifti("it holds several volumes, only one is read"));
        }
        let side = |d: usize| usize::try_from(f.i16(42 + 2 * d)).unwrap_or(0);
        let shape = [side(2), side(1), side(0)];
        if shape.contains(&0) {
            return Err(Refusal::Nifti("it has no voxels"));
        }
        let number = Number::from_code(f.i16(70)).ok_or(Refusal::Nifti("its number type is not read"))?;
        if f.i16(72) as usize != 8 * number.bytes() {
            return Err(Refusal::Nifti("its number type and bit depth disagree"));
        }
        let offset = f.f32(108);
        if !(offset.fract() == 0.0 && (VOXEL_OFFSET as f64..1e9).contains(&offset)) {
            return Err(Refusal::Nifti("its voxel offset is impossible"));
        }
        // A slope of 0, or one that is not a number, means "do not scale" (nifti1.h; nibabel writes NaN).
        let (slope, intercept) = match (f.f32(112), f.f32(116)) {
            (slope, intercept) if slope != 0.0 && slope.is_finite() && intercept.is_finite() => (slope, intercept),
            _ => (1.0, 0.0),
        };
        let affine = Self::affine(&f)?;
        Ok(Self { big_endian, shape, number, voxel_offset: offset as usize, slope, intercept, affine })
    }

    /// The sform where there is one, else the qform, in millimetres. A file with neither has no place in the patient.
    fn affine(f: &Fields) -> Result<[[f64; 4]; 3], Refusal> {
        // xyzt_units: 1 metre, 2 millimetre, 3 micrometre; 0 (unstated) is taken as millimetre as every reader does.
        let to_mm = match f.bytes[123] & 7 {
            0 | 2 => 1.0,
            1 => 1000.0,
            3 => 0.001,
            _ => return Err(Refusal::Nifti("its unit of length is unknown")),
        };
        let (qform, sform) = (f.i16(252), f.i16(254));
        let mut affine = if sform > 0 {
            std::array::from_fn(|row| std::array::from_fn(|c| f.f32(280 + 16 * row + 4 * c)))
        } else if qform > 0 {
            Self::affine_of_quaternion(f)
        } else {
            return Err(Refusal::Nifti("it does not say where its voxels lie in the patient (no sform, no qform)"));
        };
        for value in affine.iter_mut().flatten() {
            *value *= to_mm;
        }
        Ok(affine)
    }

    /// Method 2 of nifti1.h: a unit quaternion of which b, c, d are stored, pixdim and the handedness in `pixdim[0]`.
    fn affine_of_quaternion(f: &Fields) -> [[f64; 4]; 3] {
        let [b, c, d] = [256, 260, 264].map(|at| f.f32(at));
        let squares = b * b + c * c + d * d;
        let (a, b, c, d) = if squares > 1.0 {
            let n = squares.sqrt();
            (0.0, b / n, c / n, d / n)
        } else {
            ((1.0 - squares).sqrt(), b, c, d)
        };
        let rotation = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ];
        let handed = if f.f32(76) < 0.0 { -1.0 } else { 1.0 };
        let step = [f.f32(80), f.f32(84), handed * f.f32(88)];
        std::array::from_fn(|row| {
            let [x, y, z] = std::array::from_fn(|c| rotation[row][c] * step[c]);
            [x, y, z, f.f32(268 + 4 * row)]
        })
    }

    /// Header of a file of `number`s on `geometry`: sform always, qform too where the axes stand at right angles (a
    /// quaternion cannot shear).
    pub(super) fn bytes_for(geometry: &Geometry, number: Number, intent: Intent) -> Result<[u8; VOXEL_OFFSET], String> {
        let mut out = [0u8; VOXEL_OFFSET];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        let [slices, rows, columns] = geometry.shape();
        let [ds, dr, dc] = geometry.spacing_mm();
        put(0, &348i32.to_le_bytes());
        put(38, b"r");
        for (d, side) in [3, columns, rows, slices, 1, 1, 1, 1].into_iter().enumerate() {
            let side = i16::try_from(side).map_err(|_| "NIfTI-1 holds at most 32 767 voxels per side".to_owned())?;
            put(40 + 2 * d, &side.to_le_bytes());
        }
        if intent == Intent::Labels {
            put(68, &1002i16.to_le_bytes()); // NIFTI_INTENT_LABEL
        }
        put(70, &number.code().to_le_bytes());
        put(72, &(8 * number.bytes() as i16).to_le_bytes());
        let affine = to_nifti_ras(geometry);
        let quaternion = geometry.is_orthogonal().then(|| quaternion(geometry, &affine));
        let handed = quaternion.map_or(1.0, |(_, handed)| handed);
        for (d, size) in [handed, dc, dr, ds, 0.0, 0.0, 0.0, 0.0].into_iter().enumerate() {
            put(76 + 4 * d, &(size as f32).to_le_bytes());
        }
        put(108, &(VOXEL_OFFSET as f32).to_le_bytes());
        put(112, &1f32.to_le_bytes());
        put(123, &[2]); // millimetres
        if let Some(([b, c, d], _)) = quaternion {
            put(252, &1i16.to_le_bytes()); // NIFTI_XFORM_SCANNER_ANAT
            for (n, value) in [b, c, d, affine[0][3], affine[1][3], affine[2][3]].into_iter().enumerate() {
                put(256 + 4 * n, &(value as f32).to_le_bytes());
            }
        }
        put(254, &1i16.to_le_bytes());
        for (n, value) in affine.iter().flatten().enumerate() {
            put(280 + 4 * n, &(*value as f32).to_le_bytes());
        }
        put(344, b"n+1\0");
        Ok(out)
    }
}

/// What the numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    Values,
    Labels,
}

/// `([b, c, d], handedness)` of an orthogonal affine: nifti_mat44_to_quatern of nifti1_io.c without its orthogonalising
/// step, which is not needed here.
fn quaternion(geometry: &Geometry, affine: &[[f64; 4]; 3]) -> ([f64; 3], f64) {
    // Columns (i, j, k) of a right-handed affine; LPS to RAS turns two axes, so the sense of rotation stays.
    let handed = if geometry.handedness() < 0.0 { -1.0 } else { 1.0 };
    let [ds, dr, dc] = geometry.spacing_mm();
    let scale = [dc, dr, ds * handed];
    let r: [[f64; 3]; 3] = std::array::from_fn(|row| std::array::from_fn(|c| affine[row][c] / scale[c]));
    let trace = r[0][0] + r[1][1] + r[2][2] + 1.0;
    let (a, bcd) = if trace > 0.5 {
        let a = 0.5 * trace.sqrt();
        (a, [r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]].map(|v| 0.25 * v / a))
    } else {
        let x = 1.0 + r[0][0] - (r[1][1] + r[2][2]);
        let y = 1.0 + r[1][1] - (r[0][0] + r[2][2]);
        let z = 1.0 + r[2][2] - (r[0][0] + r[1][1]);
        if x > 1.0 {
            let b = 0.5 * x.sqrt();
            (0.25 * (r[2][1] - r[1][2]) / b, [b, 0.25 * (r[0][1] + r[1][0]) / b, 0.25 * (r[0][2] + r[2][0]) / b])
        } else if y > 1.0 {
            let c = 0.5 * y.sqrt();
            (0.25 * (r[0][2] - r[2][0]) / c, [0.25 * (r[0][1] + r[1][0]) / c, c, 0.25 * (r[1][2] + r[2][1]) / c])
        } else {
            let d = 0.5 * z.sqrt();
            (0.25 * (r[1][0] - r[0][1]) / d, [0.25 * (r[0][2] + r[2][0]) / d, 0.25 * (r[1][2] + r[2][1]) / d, d])
        }
    };
    // The stored quaternion has a >= 0, which the reader takes for granted.
    (if a < 0.0 { bcd.map(|v| -v) } else { bcd }, handed)
}
