//! A chest of ellipsoids, small enough to be read and to run in a second.

use super::*;
use hilum_volume::{PatientPoint, PatientVector};

/// Millimetres from the middle of the chest: to the head, to the back, to the left.
type Place = [f64; 3];

const SHAPE: [usize; 3] = [110, 100, 146];
const SPACING_MM: [f64; 3] = [2.0, 2.0, 2.0];
const RADII_MM: Place = [92.0, 70.0, 46.0];

/// A chest and what to change in it.
struct Chest {
    /// Distance of each lung's middle from the midline.
    lungs_apart_mm: f64,
    /// Sphere of this density in the lungs: middle, radius, HU.
    dense: Option<(Place, f64, i16)>,
    /// Sphere of gas outside the lungs: middle, radius.
    gas: Option<(Place, f64)>,
    left_lung: bool,
    trachea: bool,
}

impl Default for Chest {
    fn default() -> Self {
        Self { lungs_apart_mm: 62.0, dense: None, gas: None, left_lung: true, trachea: true }
    }
}

fn within(at: Place, middle: Place, radii: Place) -> bool {
    (0..3).map(|a| ((at[a] - middle[a]) / radii[a]).powi(2)).sum::<f64>() < 1.0
}

impl Chest {
    fn lung_at(&self, at: Place) -> Option<u8> {
        let side = |sign: f64| within(at, [0.0, 0.0, sign * self.lungs_apart_mm], RADII_MM);
        match (side(-1.0), side(1.0) && self.left_lung) {
            (true, true) => Some(if at[2] < 0.0 { RIGHT } else { LEFT }),
            (true, false) => Some(RIGHT),
            (false, true) => Some(LEFT),
            _ => None,
        }
    }

    fn hu_at(&self, at: Place) -> i16 {
        let [_, back, left] = at;
        let in_body = (back / 92.0).powi(2) + (left / 132.0).powi(2) < 1.0;
        let couch = (99.0..103.0).contains(&back);
        if couch {
            return 150;
        }
        if !in_body {
            return -1000;
        }
        if let Some((middle, radius, hu)) = self.dense
            && self.lung_at(at).is_some()
            && within(at, middle, [radius; 3])
        {
            return hu;
        }
        if self.lung_at(at).is_some() {
            return -860;
        }
        if self.gas.is_some_and(|(middle, radius)| within(at, middle, [radius; 3])) {
            return -1000;
        }
        if self.trachea && at[0] > 0.0 && (back + 5.0).powi(2) + left.powi(2) < 8.0 * 8.0 {
            return -1000;
        }
        // Ribs: a shell 4 to 9 mm outside the lungs, to the side and behind.
        let grown = |by: f64| {
            let radii = RADII_MM.map(|r| r + by);
            let side = |sign: f64| within(at, [0.0, 0.0, sign * self.lungs_apart_mm], radii);
            side(-1.0) || side(1.0)
        };
        let wall = left.abs() > self.lungs_apart_mm || back > 40.0;
        if wall && grown(9.0) && !grown(4.0) { 400 } else { 40 }
    }

    fn sample<T>(&self, shape: [usize; 3], spacing_mm: [f64; 3], value: impl Fn(Place, usize) -> T) -> Volume<T> {
        let geometry = Geometry::axial(shape, PatientPoint([0.0; 3]), spacing_mm).unwrap();
        let mut data = Vec::with_capacity(geometry.len());
        for s in 0..shape[0] {
            for r in 0..shape[1] {
                for c in 0..shape[2] {
                    let index = [s, r, c];
                    let at = std::array::from_fn(|a| (index[a] as f64 + 0.5 - 0.5 * shape[a] as f64) * spacing_mm[a]);
                    data.push(value(at, geometry.offset(index)));
                }
            }
        }
        Volume::new(geometry, data).unwrap()
    }

    fn ct(&self) -> Volume<i16> {
        // Noise of ±20 HU that is the same in every run.
        let noise = |i: usize| ((i.wrapping_mul(2_654_435_761) >> 7) % 41) as i16 - 20;
        self.sample(SHAPE, SPACING_MM, |at, i| self.hu_at(at) + noise(i))
    }

    fn truth(&self) -> Volume<u8> {
        self.sample(SHAPE, SPACING_MM, |at, _| self.lung_at(at).unwrap_or(0))
    }
}

fn dice(found: &Volume<u8>, truth: &Volume<u8>, label: u8) -> f64 {
    let count = |f: &dyn Fn(u8, u8) -> bool| found.data().iter().zip(truth.data()).filter(|(a, b)| f(**a, **b)).count();
    let both = count(&|a, b| a == label && b == label);
    2.0 * both as f64 / (count(&|a, _| a == label) + count(&|_, b| b == label)) as f64
}

fn find(chest: &Chest) -> Lungs {
    segment(&chest.ct(), None, &LungOptions::default()).unwrap()
}

/// Why a scan is refused.
fn refusal(ct: &Volume<i16>) -> LungError {
    let Err(error) = segment(ct, None, &LungOptions::default()) else { panic!("lungs were found") };
    error
}

fn has(lungs: &Lungs, code: &str) -> bool {
    lungs.notes().iter().any(|n| n.code() == code)
}

#[test]
fn both_lungs_without_trachea_and_couch() {
    let chest = Chest::default();
    let lungs = find(&chest);
    for side in [RIGHT, LEFT] {
        let dice = dice(lungs.labels().labels(), &chest.truth(), side);
        assert!(dice > 0.985, "side {side}: {dice}");
    }
    let trachea_ml = std::f64::consts::PI * 0.8 * 0.8 * 11.0;
    assert!((lungs.airways().volume_ml() / trachea_ml - 1.0).abs() < 0.25, "{}", lungs.airways().volume_ml());
    assert!(lungs.notes().is_empty(), "{:?}", lungs.notes());
    assert_eq!(lungs.labels(), find(&chest).labels(), "the same input twice");
}

#[test]
fn touching_lungs_are_parted() {
    let chest = Chest { lungs_apart_mm: 44.0, trachea: false, ..Chest::default() };
    let lungs = find(&chest);
    assert!(has(&lungs, "lungs-touching") || has(&lungs, "lungs-cut-at-midline"));
    for side in [RIGHT, LEFT] {
        let dice = dice(lungs.labels().labels(), &chest.truth(), side);
        assert!(dice > 0.97, "side {side}: {dice}");
    }
}

#[test]
fn consolidation_at_the_chest_wall_is_lung_and_fluid_is_not() {
    let back_of_right_lung = [0.0, 66.0, -62.0];
    let share_found = |hu: i16| {
        let chest = Chest { dense: Some((back_of_right_lung, 34.0, hu)), ..Chest::default() };
        let lungs = find(&chest);
        let dense = chest.sample(SHAPE, SPACING_MM, |at, _| {
            chest.lung_at(at).is_some() && within(at, back_of_right_lung, [34.0; 3])
        });
        let right = lungs.right();
        let both = dense.data().iter().zip(right.data()).filter(|(d, r)| **d && **r).count();
        (both as f64 / dense.count() as f64, lungs)
    };
    let (consolidation, lungs) = share_found(45);
    assert!(consolidation > 0.8, "{consolidation}");
    assert!(has(&lungs, "dense-lung-added"), "{:?}", lungs.notes());
    let (fluid, lungs) = share_found(6);
    assert!(fluid < 0.5, "{fluid}");
    assert!(has(&lungs, "pleural-fluid"), "{:?}", lungs.notes());
}

#[test]
fn a_network_finds_what_density_cannot_place() {
    // In front, where the ribs do not help.
    let middle = [0.0, -70.0, -62.0];
    let chest = Chest { dense: Some((middle, 36.0, 45)), ..Chest::default() };
    let ct = chest.ct();
    let dense = chest.sample(SHAPE, SPACING_MM, |at, _| chest.lung_at(at).is_some() && within(at, middle, [36.0; 3]));
    // The network sees every second slice, row and column.
    let coarse = ct.geometry().with_shape([SHAPE[0] / 2, SHAPE[1] / 2, SHAPE[2] / 2]).unwrap();
    let opinion = chest.sample(coarse.shape(), [4.0; 3], |at, _| if chest.lung_at(at).is_some() { 0.95 } else { 0.02 });
    let opinion = Volume::new(coarse, opinion.into_data()).unwrap();
    let share = |lungs: &Lungs| {
        let right = lungs.right();
        dense.data().iter().zip(right.data()).filter(|(d, r)| **d && **r).count() as f64 / dense.count() as f64
    };
    let without = share(&segment(&ct, None, &LungOptions::default()).unwrap());
    let with = share(&segment(&ct, Some(&opinion), &LungOptions::default()).unwrap());
    assert!(with > 0.9 && with > without, "with {with}, without {without}");
}

#[test]
fn a_missing_lung_and_bowel_gas_are_noticed() {
    let lungs = find(&Chest { left_lung: false, ..Chest::default() });
    assert!(lungs.notes().contains(&LungNote::Missing { side: Side::Left }), "{:?}", lungs.notes());
    let gas = Chest { gas: Some(([-70.0, -40.0, 0.0], 22.0)), left_lung: true, ..Chest::default() };
    let truth_ml = gas.truth().map(|l| *l > 0).volume_ml();
    let found_ml = find(&gas).both().volume_ml();
    assert!((found_ml / truth_ml - 1.0).abs() < 0.02, "{found_ml} of {truth_ml} ml");
}

/// Its slices from 50 on.
fn upper_part(chest: &Chest) -> Volume<i16> {
    let ct = chest.ct();
    let upper = ct.geometry().crop([50, 0, 0], [60, SHAPE[1], SHAPE[2]]).unwrap();
    Volume::new(upper, ct.data()[50 * SHAPE[1] * SHAPE[2]..].to_vec()).unwrap()
}

#[test]
fn one_side_without_trachea_that_is_cut_off_is_no_chest() {
    let one_lung = Chest { left_lung: false, ..Chest::default() };
    assert!(segment(&upper_part(&one_lung), None, &LungOptions::default()).is_ok());
    let colon = Chest { trachea: false, ..one_lung };
    let refusal = segment(&upper_part(&colon), None, &LungOptions::default()).unwrap_err();
    assert_eq!(refusal, LungError::NotLungs);
}

#[test]
fn a_cut_chest_is_noted() {
    let lungs = segment(&upper_part(&Chest::default()), None, &LungOptions::default()).unwrap();
    assert!(has(&lungs, "lungs-cut-at-foot") && !has(&lungs, "lungs-cut-at-head"), "{:?}", lungs.notes());
}

#[test]
fn what_is_no_chest_is_refused() {
    let nothing = Chest { left_lung: false, lungs_apart_mm: 1000.0, trachea: false, ..Chest::default() };
    let air_cells = Chest { gas: Some(([20.0, -40.0, 0.0], 18.0)), ..nothing };
    let no_lungs = refusal(&air_cells.ct());
    assert!(matches!(no_lungs, LungError::NoLungs { .. }), "{no_lungs}");

    let air = Chest::default().sample(SHAPE, SPACING_MM, |_, _| -1000i16);
    assert_eq!(refusal(&air), LungError::NoBody);

    // The lung bases at the top of an abdomen.
    let abdomen = Chest::default().sample([90, SHAPE[1], SHAPE[2]], SPACING_MM, |at, _| {
        Chest { trachea: false, ..Chest::default() }.hu_at([at[0] - 152.0, at[1], at[2]])
    });
    let only_bases = refusal(&abdomen);
    assert!(matches!(only_bases, LungError::OnlyAPart { .. } | LungError::NoLungs { .. }), "{only_bases}");

    let tilted = [PatientVector([0.0, 0.26, 0.9656]), PatientVector([0.0, 1.0, 0.0]), PatientVector([1.0, 0.0, 0.0])];
    let sheared = Geometry::new([40, 8, 8], PatientPoint([0.0; 3]), tilted, [2.0; 3]).unwrap();
    let sheared = Volume::filled(sheared, 0i16);
    assert_eq!(refusal(&sheared), LungError::Sheared);

    let slice = Geometry::axial([1, 64, 64], PatientPoint([0.0; 3]), [5.0, 2.0, 2.0]).unwrap();
    let error = refusal(&Volume::filled(slice, 0i16));
    assert!(matches!(error, LungError::TooShort { .. }), "{error}");
}

#[test]
fn a_note_weighs_as_much_as_it_moves() {
    let severity = |note: LungNote| note.severity();
    assert_eq!(severity(LungNote::CutAtFoot { area_cm2: 19.0 }), Severity::Warning);
    assert_eq!(severity(LungNote::CutAtHead { area_cm2: 250.0 }), Severity::Severe);
    assert!(LungNote::CutAtHead { area_cm2: 250.0 }.is_a_large_cut());
    assert!(!LungNote::CutAtFoot { area_cm2: 19.0 }.is_a_large_cut());
    assert_eq!(severity(LungNote::DenseAdded { volume_ml: 20.0 }), Severity::Warning);
    assert_eq!(severity(LungNote::DenseAdded { volume_ml: 120.0 }), Severity::Severe);
    assert_eq!(severity(LungNote::Touching), Severity::Info);
}
