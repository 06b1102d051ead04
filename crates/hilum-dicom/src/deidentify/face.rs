//! Where the face of a head lies: the tip of the nose found, and the space before and below the skull told from it.
//!
//! Everything is in LPS: the front is −y, the vertex is +z. Lengths are shares of the length of the head, forehead to occiput, so
//! that they hold for small heads too. **The shares are assumptions**: they were thought out on proportions of adults (the
//! temporal pole lies some 75 mm behind the tip of the nose, the floor of the frontal lobe 50 mm above it, of a head of
//! 195 mm), tried on phantoms and one mean head, and come from no publication.

use hilum_volume::PatientPoint;

use super::deface::Undefaceable;
use super::head_grid::{CELL_MM, HeadGrid, Towards};

/// Length of a head in mm, forehead to occiput: an infant of half a year to more than any adult.
const LENGTHS_MM: (f64, f64) = (130.0, 240.0);
/// Breadth over length (cephalic index) of any head, with room for a scalp and coarse cells.
const BREADTH_OF_LENGTH: (f64, f64) = (0.6, 1.1);
/// The vertex is the highest level with as many cells: hair and noise have fewer.
const VERTEX_CELLS: usize = 8;
/// Cells at the end of the field of view that are let pass: less than 1 cm².
const CUT_CELLS: usize = 10;
/// The upper head, which has to be whole, reaches from the vertex as far down; there the length is measured.
const UPPER: f64 = 0.5;
/// The nose is looked for below the vertex between these depths, and so far beside the middle.
const NOSE_LEVELS: (f64, f64) = (0.45, 1.0);
const NOSE_BESIDE: f64 = 0.2;
/// Where the tip of a nose is believed: a head bent or stretched by more than some 12° has its most anterior point elsewhere.
const TIP_DEPTH: (f64, f64) = (0.62, 0.88);
/// Farther beside the middle, the head is turned by more than some 14°.
const TIP_BESIDE: f64 = 0.15;
/// A nose is not broader than this 9 mm behind its tip; foreheads are.
const NOSE_BREADTH: f64 = 0.27;
/// Cells behind the tip at which the breadth is measured, and above and below it at which the profile has to recede.
const BEHIND_TIP: usize = 3;
const BESIDE_TIP: usize = 6;
/// So far below the tip of a nose are mouth and chin, and they lie no farther behind; below the tip of a chin is the throat, which
/// does. The chin counts if it is in view.
const MOUTH: (f64, f64) = (0.2, 0.17);
const CHIN: (f64, f64) = (0.32, 0.25);
/// The middle of the brow, so far above the tip, is not farther to the side of that of the mouth: a head leant by 8.6°.
const BROW_ABOVE: f64 = 0.2;
const LEANT: f64 = 0.06;

/// What is blanked: from and to which height over the tip of the nose, and how far behind it. Mouth and chin, nose and cheeks.
const TIERS: [(f64, f64, f64); 2] = [(-0.45, -0.05, 0.45), (-0.05, 0.17, 0.25)];
/// Above them the eyes with their lids, where the brain is near: no deeper than this below the skin, half of what lies before a
/// brain (scalp and skull, 13 mm or more). The skin is known to a cell.
const EYES: (f64, f64, f64) = (0.17, 0.25, 0.22);
const BELOW_SKIN_MM: f64 = 8.0;

/// The space that is blanked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FaceRegion {
    tip: PatientPoint,
    head_length_mm: f64,
    skin: Skin,
}

/// Where the head begins, seen from the front: y of the foremost cell by level and column.
#[derive(Clone, Debug, PartialEq)]
struct Skin {
    first: PatientPoint,
    levels: usize,
    columns: usize,
    y_mm: Vec<Option<f64>>,
}

impl Skin {
    fn of(grid: &HeadGrid) -> Self {
        let [levels, rows, columns] = grid.shape();
        let first = grid.point([0.0; 3]);
        let front = |z: usize, x: usize| (0..rows).find(|y| grid.is_head([z, *y, x]));
        let places = (0..levels).flat_map(|z| (0..columns).map(move |x| (z, x)));
        let y_mm = places.map(|(z, x)| Some(first.0[1] + CELL_MM * front(z, x)? as f64)).collect();
        Self { first, levels, columns, y_mm }
    }

    /// How far a point lies behind the skin; `None` where nothing of the head is.
    fn behind_mm(&self, point: PatientPoint) -> Option<f64> {
        let [x, _, z] = point.minus(self.first).0.map(|mm| (mm / CELL_MM).round());
        let inside = (0.0..self.columns as f64).contains(&x) && (0.0..self.levels as f64).contains(&z);
        let y_mm = inside.then(|| self.y_mm[z as usize * self.columns + x as usize]).flatten()?;
        Some(point.0[1] - y_mm)
    }
}

/// First and last cell of a level along one axis.
type Extent = (usize, usize);

/// The head by levels: how many cells, from front to back, from right to left.
struct Level {
    cells: usize,
    rows: Extent,
    columns: Extent,
}

/// What is known of the upper head.
struct UpperHead {
    /// Level of the vertex.
    top: usize,
    length_mm: f64,
    /// Column of the middle.
    middle: f64,
}

impl FaceRegion {
    /// Finds the face, or says why it is not safely found.
    pub(super) fn find(grid: &HeadGrid) -> Result<Self, Undefaceable> {
        let upper = upper_head(grid)?;
        let tip = nose_tip(grid, &upper)?;
        Ok(Self { tip: grid.point(tip), head_length_mm: upper.length_mm, skin: Skin::of(grid) })
    }

    /// Whether a point is blanked. All that lies before the face is, too: masks and tubes show its form.
    pub(super) fn contains(&self, point: PatientPoint) -> bool {
        let [_, back, up] = point.minus(self.tip).0.map(|mm| mm / self.head_length_mm);
        let within = |(from, to, behind): (f64, f64, f64)| (from..to).contains(&up) && back <= behind;
        TIERS.into_iter().any(within)
            || (within(EYES) && self.skin.behind_mm(point).is_none_or(|mm| mm <= BELOW_SKIN_MM))
    }
}

fn upper_head(grid: &HeadGrid) -> Result<UpperHead, Undefaceable> {
    let levels: Vec<Option<Level>> = (0..grid.shape()[0]).map(|level| level_of(grid, level)).collect();
    let cells = |level: &Option<Level>| level.as_ref().map_or(0, |level| level.cells);
    let top = levels.iter().rposition(|level| cells(level) >= VERTEX_CELLS).ok_or(Undefaceable::HeadCut)?;
    let (mut length_mm, mut breadth_mm) = (0f64, 0f64);
    let mut bottom = None;
    for (z, level) in levels[..=top].iter().enumerate().rev() {
        let Some(level) = level else { continue };
        let across = |(first, last): Extent| (last + 1 - first) as f64 * CELL_MM;
        length_mm = length_mm.max(across(level.rows));
        breadth_mm = breadth_mm.max(across(level.columns));
        if length_mm >= LENGTHS_MM.0 && (top - z) as f64 * CELL_MM >= UPPER * length_mm {
            bottom = Some(z);
            break;
        }
    }
    let bottom = bottom.ok_or(Undefaceable::HeadCut)?;
    let ratio = breadth_mm / length_mm;
    if length_mm > LENGTHS_MM.1 || !(BREADTH_OF_LENGTH.0..=BREADTH_OF_LENGTH.1).contains(&ratio) {
        return Err(Undefaceable::NoHead);
    }
    let [_, rows, columns] = grid.shape();
    let upper = (bottom..=top).flat_map(|z| (0..rows).flat_map(move |y| (0..columns).map(move |x| [z, y, x])));
    let sides = [Towards::Head, Towards::Front, Towards::Back, Towards::Right, Towards::Left];
    let cut = upper.filter(|at| grid.is_head(*at) && sides.iter().any(|side| grid.ends(*at, *side))).count();
    if cut > CUT_CELLS {
        return Err(Undefaceable::HeadCut);
    }
    // The cap around the vertex says little of where the middle is.
    let cap = top - ((top - bottom) as f64 * 0.4) as usize;
    let middles: Vec<f64> =
        levels[bottom..=cap].iter().flatten().map(|l| (l.columns.0 + l.columns.1) as f64 / 2.0).collect();
    let middle = middles.iter().sum::<f64>() / middles.len().max(1) as f64;
    Ok(UpperHead { top, length_mm, middle })
}

fn level_of(grid: &HeadGrid, z: usize) -> Option<Level> {
    let [_, rows, columns] = grid.shape();
    let mut level: Option<Level> = None;
    for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))).filter(|(y, x)| grid.is_head([z, *y, *x])) {
        let level = level.get_or_insert(Level { cells: 0, rows: (y, y), columns: (x, x) });
        level.cells += 1;
        level.rows.1 = y;
        level.columns = (level.columns.0.min(x), level.columns.1.max(x));
    }
    level
}

/// The tip of the nose in cells.
fn nose_tip(grid: &HeadGrid, upper: &UpperHead) -> Result<[f64; 3], Undefaceable> {
    let UpperHead { top, length_mm, middle } = *upper;
    let [_, rows, columns] = grid.shape();
    let cells = length_mm / CELL_MM;
    let depth = |z: usize| (top - z) as f64 / cells;
    let central: Vec<usize> = (0..columns).filter(|x| (*x as f64 - middle).abs() <= NOSE_BESIDE * cells).collect();
    // The foremost cell of the head in the middle of a level.
    let front = |z: usize| (0..rows).find(|y| central.iter().any(|x| grid.is_head([z, *y, *x])));
    let levels = (0..=top).filter(|z| (NOSE_LEVELS.0..=NOSE_LEVELS.1).contains(&depth(*z)));
    let profile: Vec<(usize, usize)> = levels.filter_map(|z| Some((z, front(z)?))).collect();
    let foremost = profile.iter().map(|(_, y)| *y).min().ok_or(Undefaceable::FaceCut)?;
    let tip: Vec<[usize; 3]> = profile
        .iter()
        .filter(|(_, y)| *y == foremost)
        .flat_map(|(z, y)| central.iter().map(|x| [*z, *y, *x]))
        .filter(|at| grid.is_head(*at))
        .collect();
    let mean = |axis: usize| tip.iter().map(|at| at[axis] as f64).sum::<f64>() / tip.len() as f64;
    let (tip_z, tip_x) = (mean(0), mean(2));
    let level = tip_z.round() as usize;
    // The nose, and below it enough to know that it was the nose, are in view, and nothing of the face lies before the images.
    let mouth = level.checked_sub((MOUTH.0 * cells).round() as usize).ok_or(Undefaceable::FaceCut)?;
    let cut_before = profile
        .iter()
        .filter(|(z, _)| *z + 1 >= level)
        .any(|(z, y)| central.iter().any(|x| grid.is_head([*z, *y, *x]) && grid.ends([*z, *y, *x], Towards::Front)));
    if cut_before || !grid.is_seen([mouth, foremost, tip_x.round() as usize]) {
        return Err(Undefaceable::FaceCut);
    }
    let recedes = |z: usize| front(z).is_some_and(|y| y > foremost);
    let reaches = |z: usize, behind: f64| front(z).is_some_and(|y| y as f64 <= foremost as f64 + behind * cells);
    // The middle of what is foremost on a level and its neighbours.
    let middle_at = |level: usize| {
        let at: Vec<f64> = (level.saturating_sub(1)..=level + 1)
            .filter_map(|z| Some((z, front(z)?)))
            .flat_map(|(z, y)| central.iter().filter(move |x| grid.is_head([z, y, **x])).map(|x| *x as f64))
            .collect();
        at.iter().sum::<f64>() / at.len().max(1) as f64
    };
    let chin = level.checked_sub((CHIN.0 * cells).round() as usize);
    let chin = chin.filter(|z| grid.is_seen([*z, foremost, tip_x.round() as usize]));
    let brow = level + (BROW_ABOVE * cells).round() as usize;
    let is_tip = (TIP_DEPTH.0..=TIP_DEPTH.1).contains(&depth(level))
        && (tip_x - middle).abs() <= TIP_BESIDE * cells
        && recedes(level - BESIDE_TIP)
        && recedes(level + BESIDE_TIP)
        && reaches(mouth, MOUTH.1)
        && chin.is_none_or(|z| reaches(z, CHIN.1))
        && (middle_at(brow) - middle_at(mouth)).abs() <= LEANT * cells;
    let near = (level.saturating_sub(2)..=level + 2)
        .flat_map(|z| (foremost..=foremost + BEHIND_TIP).flat_map(move |y| (0..columns).map(move |x| [z, y, x])));
    let (first, last) = near
        .filter(|[z, y, x]| *z <= top && *y < rows && grid.is_head([*z, *y, *x]))
        .fold((columns, 0), |(first, last), [_, _, x]| (first.min(x), last.max(x)));
    let breadth = (last + 1).saturating_sub(first) as f64;
    if is_tip && breadth <= NOSE_BREADTH * cells {
        return Ok([tip_z, foremost as f64, tip_x]);
    }
    let lowest = profile.iter().map(|(z, _)| *z).min().unwrap_or(top);
    Err(if depth(lowest) < TIP_DEPTH.1 { Undefaceable::FaceCut } else { Undefaceable::NoNose })
}
