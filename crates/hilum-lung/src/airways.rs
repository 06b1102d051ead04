//! Trachea and large bronchi.
//!
//! The trachea is the only round, air-filled tube of 1 to 6 cm² that runs for centimetres along the body near its midline.
//! It is found slice by slice, and the bronchi are grown from it at the highest threshold at which the growth does not
//! leak into the lungs (explosion control by volume, after Mori et al., CVRMed 1995).

use hilum_imaging::components::{self, Connectivity};
use hilum_imaging::morphology;
use hilum_volume::{Mask, Volume};

/// Air of the tracheal lumen on the working grid is below this; its wall and mediastinum are above.
const LUMEN_HU: i16 = -750;

/// Cross-section of a trachea, mm². Adult diameters are 10-27 mm, so 80-570 mm² (Breatnach et al. 1984,
/// DOI 10.2214/ajr.142.5.903); widened for children and for oblique sections.
const TRACHEA_MM2: std::ops::RangeInclusive<f64> = 40.0..=900.0;

/// A trachea shorter than this in the scan is not told from other air.
const MIN_LENGTH_MM: f64 = 25.0;

/// Trachea and bronchi together hold less than this (anatomical dead space is about 150 ml, a third of it above the scan).
const MAX_AIRWAYS_ML: f64 = 130.0;

/// Bronchi thinner than this (mm, radius of the lumen) belong to the lung.
const LARGE_RADIUS_MM: f64 = 2.2;

/// The airways on the working grid.
pub(crate) struct Airways {
    /// Lumen of the trachea and the large bronchi.
    pub(crate) lumen: Mask,
    /// Column of the trachea's lowest reliable section: the midline where there is nothing better.
    pub(crate) column: f64,
}

/// A section of the trachea in one slice.
#[derive(Clone)]
struct Section {
    slice: usize,
    voxels: Vec<usize>,
    centre: [f64; 2],
    area_mm2: f64,
}

/// Finds the airways in `ct` (working grid, HU) inside `body`; `None` if there is no trachea in the scan.
pub(crate) fn find(ct: &Volume<i16>, body: &Mask, midline: f64) -> Option<Airways> {
    let trachea = trachea(ct, body, midline)?;
    let [_, rows, columns] = ct.shape();
    let mut seeds = Mask::filled(ct.geometry().clone(), false);
    for section in &trachea {
        for &at in &section.voxels {
            seeds.data_mut()[section.slice * rows * columns + at] = true;
        }
    }
    let tree = grow(ct, body, &seeds);
    let mut lumen = morphology::open(&tree, LARGE_RADIUS_MM);
    for (l, s) in lumen.data_mut().iter_mut().zip(seeds.data()) {
        *l |= s;
    }
    let lumen = components::touching(&lumen, &seeds, Connectivity::Corners);
    let lowest = trachea.iter().min_by_key(|s| s.slice)?;
    Some(Airways { lumen, column: lowest.centre[1] })
}

/// The longest chain of trachea-like sections in consecutive slices.
fn trachea(ct: &Volume<i16>, body: &Mask, midline: f64) -> Option<Vec<Section>> {
    let slices = ct.shape()[0];
    let spacing = ct.geometry().spacing_mm();
    let mut chains: Vec<Vec<Section>> = Vec::new();
    let mut open: Vec<Vec<Section>> = Vec::new();
    for slice in (0..slices).rev() {
        let mut next = Vec::new();
        let mut taken = vec![false; open.len()];
        for section in sections(ct, body, slice, midline) {
            let fits = |chain: &Vec<Section>| {
                let last = chain.last().expect("chains start with a section");
                let apart =
                    (0..2).map(|a| ((last.centre[a] - section.centre[a]) * spacing[a + 1]).powi(2)).sum::<f64>();
                let ratio = section.area_mm2 / last.area_mm2;
                apart < (4.0 + spacing[0]).powi(2) && (0.45..2.2).contains(&ratio)
            };
            match (0..open.len()).find(|i| !taken[*i] && fits(&open[*i])) {
                Some(i) => {
                    taken[i] = true;
                    let mut chain = std::mem::take(&mut open[i]);
                    chain.push(section);
                    next.push(chain);
                }
                None => next.push(vec![section]),
            }
        }
        chains.extend(open.drain(..).filter(|c| !c.is_empty()));
        open = next;
    }
    chains.extend(open);
    let volume = |c: &Vec<Section>| c.iter().map(|s| s.area_mm2).sum::<f64>() * spacing[0];
    chains
        .into_iter()
        .filter(|c| c.len() as f64 * spacing[0] >= MIN_LENGTH_MM && c.len() >= 3)
        .max_by(|a, b| volume(a).total_cmp(&volume(b)))
}

/// Round air-filled areas near the midline of one slice.
fn sections(ct: &Volume<i16>, body: &Mask, slice: usize, midline: f64) -> Vec<Section> {
    let [_, rows, columns] = ct.shape();
    let [_, row_mm, column_mm] = ct.geometry().spacing_mm();
    let air: Vec<bool> = ct.slice(slice).iter().zip(body.slice(slice)).map(|(v, b)| *v < LUMEN_HU && *b).collect();
    let mut seen = vec![false; air.len()];
    let mut found = Vec::new();
    for start in 0..air.len() {
        if !air[start] || seen[start] {
            continue;
        }
        let voxels = flood_slice(&air, &mut seen, start, columns);
        let area_mm2 = voxels.len() as f64 * row_mm * column_mm;
        if !TRACHEA_MM2.contains(&area_mm2) {
            continue;
        }
        let (mut low, mut high, mut sum) = ([usize::MAX; 2], [0; 2], [0.0; 2]);
        for &at in &voxels {
            for (a, i) in [at / columns, at % columns].into_iter().enumerate() {
                low[a] = low[a].min(i);
                high[a] = high[a].max(i);
                sum[a] += i as f64;
            }
        }
        let centre = sum.map(|s| s / voxels.len() as f64);
        let size = [(high[0] - low[0] + 1) as f64 * row_mm, (high[1] - low[1] + 1) as f64 * column_mm];
        let compact = area_mm2 / (size[0] * size[1]) > 0.5 && size[0].max(size[1]) / size[0].min(size[1]) < 2.6;
        let at_edge = low[0] == 0 || low[1] == 0 || high[0] + 1 == rows || high[1] + 1 == columns;
        if compact && !at_edge && (centre[1] - midline).abs() * column_mm < 40.0 {
            found.push(Section { slice, voxels, centre, area_mm2 });
        }
    }
    found
}

/// The 4-connected region around `start` in a slice.
fn flood_slice(air: &[bool], seen: &mut [bool], start: usize, columns: usize) -> Vec<usize> {
    seen[start] = true;
    let mut region = vec![start];
    let mut next = 0;
    while next < region.len() {
        let at = region[next];
        next += 1;
        let column = at % columns;
        let neighbours = [
            (column > 0).then(|| at - 1),
            (column + 1 < columns).then_some(at + 1),
            at.checked_sub(columns),
            Some(at + columns).filter(|n| *n < air.len()),
        ];
        for n in neighbours.into_iter().flatten() {
            if air[n] && !seen[n] {
                seen[n] = true;
                region.push(n);
            }
        }
    }
    region
}

/// Grows the seeds through air at rising thresholds and keeps the last result before it explodes into the lungs.
fn grow(ct: &Volume<i16>, body: &Mask, seeds: &Mask) -> Mask {
    let voxel_ml = ct.geometry().voxel_volume_mm3() / 1000.0;
    let limit = (MAX_AIRWAYS_ML / voxel_ml) as usize;
    let mut best = seeds.clone();
    let mut before = seeds.count();
    for threshold in (-975..=-775).step_by(25) {
        let Some(grown) = flood(ct, body, seeds, threshold, limit) else { break };
        let size = grown.count();
        if size as f64 > 1.5 * before as f64 + 8.0 / voxel_ml {
            break;
        }
        before = before.max(size);
        best = grown;
    }
    best
}

/// The voxels below `threshold` connected to the seeds by faces, seeds included; `None` beyond `limit` voxels.
fn flood(ct: &Volume<i16>, body: &Mask, seeds: &Mask, threshold: i16, limit: usize) -> Option<Mask> {
    let [slices, rows, columns] = ct.shape();
    let (hu, inside) = (ct.data(), body.data());
    let mut region = seeds.clone();
    let reached = region.data_mut();
    let mut front: Vec<usize> = (0..reached.len()).filter(|i| reached[*i]).collect();
    let mut size = front.len();
    let plane = rows * columns;
    while let Some(at) = front.pop() {
        let (s, r, c) = (at / plane, at / columns % rows, at % columns);
        let neighbours = [
            (s > 0).then(|| at - plane),
            (s + 1 < slices).then_some(at + plane),
            (r > 0).then(|| at - columns),
            (r + 1 < rows).then_some(at + columns),
            (c > 0).then(|| at - 1),
            (c + 1 < columns).then_some(at + 1),
        ];
        for n in neighbours.into_iter().flatten() {
            if !reached[n] && inside[n] && hu[n] < threshold {
                reached[n] = true;
                size += 1;
                if size > limit {
                    return None;
                }
                front.push(n);
            }
        }
    }
    Some(region)
}
