//! What can be asked for: person, disease, and how it is scanned.

use crate::lesion::Disease;
use crate::scanner::ScannerOptions;
use hilum_volume::{Geometry, PatientPoint, PatientVector};

/// Everything that decides a phantom.
#[derive(Clone, Debug, PartialEq)]
pub struct PhantomOptions {
    /// The person and the noise.
    pub seed: u64,
    /// How the body is scanned, or which unfit input is made.
    pub variant: Variant,
    /// Which lesions the lungs hold.
    pub disease: Disease,
    /// Rows and columns of an image; `None`: what the variant has. Fewer make larger pixels, not a smaller field.
    pub matrix: Option<usize>,
    /// Distance of the slices, mm; `None`: what the variant has.
    pub slice_spacing_mm: Option<f64>,
}

impl Default for PhantomOptions {
    /// The standard chest CT of person 1 with a viral pneumonia.
    fn default() -> Self {
        Self { seed: 1, variant: Variant::Standard, disease: Disease::Covid, matrix: None, slice_spacing_mm: None }
    }
}

/// How the body is scanned, or which unfit input is made to try refusals with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// 512², 252 slices of 1.25 mm.
    Standard,
    /// 128², 3 mm: quick, for trials.
    Small,
    /// Slices turned about all three axes.
    Oblique,
    /// Columns that run to the patient's right: the three axes are left-handed.
    LeftHanded,
    /// Slices that lean by 15° against the way of the couch.
    TiltedGantry,
    /// One slice in the middle of the chest is missing.
    MissingSlice,
    /// Slices 5 mm thick.
    ThickSlices,
    /// 1000 slices, 0.315 mm apart.
    ThousandSlices,
    /// Unfit: a head.
    Head,
    /// Unfit: a knee.
    Knee,
    /// Unfit: a single slice.
    OneSlice,
    /// Unfit: the scout view alone.
    Localiser,
    /// Unfit: magnetic resonance.
    Mr,
    /// Unfit: 8-bit pictures of a CT in a lung window.
    SecondaryCapture,
    /// Unfit: a third of the slices is gone.
    ThirdMissing,
    /// Unfit as a whole: two patients in one folder, each usable alone.
    TwoPatients,
}

impl Variant {
    /// All of them, the fit ones first.
    #[must_use]
    pub fn all() -> &'static [Self] {
        use Variant::*;
        &[
            Standard,
            Small,
            Oblique,
            LeftHanded,
            TiltedGantry,
            MissingSlice,
            ThickSlices,
            ThousandSlices,
            Head,
            Knee,
            OneSlice,
            Localiser,
            Mr,
            SecondaryCapture,
            ThirdMissing,
            TwoPatients,
        ]
    }

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Small => "small",
            Self::Oblique => "oblique",
            Self::LeftHanded => "left-handed",
            Self::TiltedGantry => "tilted-gantry",
            Self::MissingSlice => "missing-slice",
            Self::ThickSlices => "thick-slices",
            Self::ThousandSlices => "thousand-slices",
            Self::Head => "head",
            Self::Knee => "knee",
            Self::OneSlice => "one-slice",
            Self::Localiser => "localiser",
            Self::Mr => "mr",
            Self::SecondaryCapture => "secondary-capture",
            Self::ThirdMissing => "third-missing",
            Self::TwoPatients => "two-patients",
        }
    }

    /// One line that says what it is.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Standard => "512 x 512, 252 slices of 1.25 mm",
            Self::Small => "the same chest at 128 x 128, 3 mm: quick, for trials",
            Self::Oblique => "slices turned about all three axes",
            Self::LeftHanded => "columns that run to the patient's right: left-handed axes",
            Self::TiltedGantry => "slices that lean by 15 degrees against the way of the couch",
            Self::MissingSlice => "one slice in the middle of the chest is missing",
            Self::ThickSlices => "slices 5 mm thick",
            Self::ThousandSlices => "1000 slices, 0.315 mm apart",
            Self::Head => "unfit: a head",
            Self::Knee => "unfit: a knee",
            Self::OneSlice => "unfit: a single slice",
            Self::Localiser => "unfit: the scout view alone",
            Self::Mr => "unfit: an MR series",
            Self::SecondaryCapture => "unfit: 8-bit pictures of a CT in a lung window",
            Self::ThirdMissing => "unfit: a third of the slices is gone",
            Self::TwoPatients => "unfit as a whole: two patients in one folder, each usable alone",
        }
    }

    /// The variant of this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().iter().copied().find(|v| v.name() == name)
    }

    /// Whether the input is one that can be analysed as it is.
    #[must_use]
    pub fn is_fit(self) -> bool {
        use Variant::*;
        matches!(
            self,
            Standard | Small | Oblique | LeftHanded | TiltedGantry | MissingSlice | ThickSlices | ThousandSlices
        )
    }

    /// Pixels along a side, distance of the slices.
    fn resolution(self) -> (usize, f64) {
        match self {
            Self::Standard | Self::LeftHanded | Self::MissingSlice => (512, 1.25),
            Self::Oblique | Self::TiltedGantry => (512, 1.5),
            Self::ThickSlices => (512, 5.0),
            Self::ThousandSlices => (512, 0.315),
            Self::Small | Self::TwoPatients => (128, 3.0),
            _ => (256, 2.5),
        }
    }
}

impl Disease {
    /// All presets.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &[Self::Healthy, Self::Covid, Self::LobarPneumonia]
    }

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Covid => "covid",
            Self::LobarPneumonia => "lobar-pneumonia",
        }
    }

    /// One line that says what it is.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Healthy => "no lesion",
            Self::Covid => "ground-glass in both lungs, peripheral and basal, with two cores of consolidation",
            Self::LobarPneumonia => "consolidation of much of the right lower lobe, a small one in the left",
        }
    }

    /// The preset of this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().iter().copied().find(|d| d.name() == name)
    }
}

/// Field of view, mm, centred in the body.
const FIELD_MM: f64 = 380.0;
/// Lowest and highest point scanned.
const RANGE_MM: [f64; 2] = [-165.0, 150.0];
/// How far slices of [`Variant::TiltedGantry`] lean.
const TILT_DEGREES: f64 = 15.0;

impl PhantomOptions {
    /// The grid that the variant is scanned on; of [`Variant::MissingSlice`] and [`Variant::ThirdMissing`] the whole grid.
    ///
    /// # Panics
    /// If `matrix` is 0 or `slice_spacing_mm` is not positive.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        let (matrix, spacing) = self.variant.resolution();
        let matrix = self.matrix.unwrap_or(matrix);
        let spacing = self.slice_spacing_mm.unwrap_or(spacing);
        let axial = [PatientVector([0.0, 0.0, 1.0]), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
        // A leaning or turned stack must be longer, and its field wider, to hold the same chest.
        let (axes, field, longer) = match self.variant {
            Variant::Oblique => (axial.map(|a| turned(a, [12.0, -9.0, 6.0])), 430.0, 90.0),
            Variant::LeftHanded => ([axial[0], axial[1], axial[2].times(-1.0)], FIELD_MM, 0.0),
            Variant::TiltedGantry => {
                let (sin, cos) = TILT_DEGREES.to_radians().sin_cos();
                ([axial[0], PatientVector([0.0, cos, sin]), axial[2]], FIELD_MM, 60.0)
            }
            _ => (axial, FIELD_MM, 0.0),
        };
        let length = RANGE_MM[1] - RANGE_MM[0] + longer;
        let slices = match self.variant {
            Variant::OneSlice => 1,
            _ => (length / spacing).round().max(1.0) as usize,
        };
        let pixel = field / matrix as f64;
        let spacing_mm = [spacing, pixel, pixel];
        let shape = [slices, matrix, matrix];
        let middle = PatientPoint([0.0, 8.0, 0.5 * (RANGE_MM[0] + RANGE_MM[1])]);
        let origin = (0..3).fold(middle, |p, a| p.plus(axes[a].times(-0.5 * (shape[a] - 1) as f64 * spacing_mm[a])));
        Geometry::new(shape, origin, axes, spacing_mm).expect("a matrix and a distance of slices that are positive")
    }

    /// How the scanner sees in this variant.
    #[must_use]
    pub fn scanner(&self) -> ScannerOptions {
        let thousand = self.variant == Variant::ThousandSlices;
        ScannerOptions {
            seed: self.seed,
            // Thin slices overlap, as a scanner reconstructs them.
            slice_thickness_mm: (thousand && self.slice_spacing_mm.is_none()).then_some(0.6),
            ..ScannerOptions::default()
        }
    }

    /// The slices that are written, of those of [`PhantomOptions::geometry`].
    #[must_use]
    pub fn written_slices(&self) -> Vec<usize> {
        let slices = self.geometry().shape()[0];
        match self.variant {
            Variant::MissingSlice => (0..slices).filter(|s| *s != slices / 2).collect(),
            // Without a rule to it, as a broken transfer leaves a series.
            Variant::ThirdMissing => (0..slices).filter(|s| s * 7919 % 31 % 3 != 0).collect(),
            _ => (0..slices).collect(),
        }
    }
}

/// A vector turned about x, y and z in turn, by degrees.
fn turned(v: PatientVector, degrees: [f64; 3]) -> PatientVector {
    let mut v = v.0;
    for (axis, angle) in degrees.iter().enumerate() {
        let (sin, cos) = angle.to_radians().sin_cos();
        let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
        (v[a], v[b]) = (cos * v[a] - sin * v[b], sin * v[a] + cos * v[b]);
    }
    PatientVector(v)
}
