//! Which air is lung, and which lung it is.

use super::LungError;
use hilum_imaging::components::{self, Connectivity};
use hilum_imaging::{distance, morphology};
use hilum_volume::{Mask, Volume};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No lung.
pub(crate) const NONE: u8 = 0;
/// Right lung in [`super::Lungs::labels`].
pub(crate) const RIGHT: u8 = 1;
/// Left lung in [`super::Lungs::labels`].
pub(crate) const LEFT: u8 = 2;

/// Aerated lung, ground-glass included, is below this; consolidation, vessels and walls above.
pub(super) const AERATED_HU: i16 = -400;

/// Pockets below this volume are not lung by themselves.
const MIN_COMPONENT_ML: f64 = 25.0;

/// Less aerated lung than this on both sides together is no chest. A newborn has about 70 ml at functional residual
/// capacity; sinuses, mastoids and throat together stay below.
const MIN_TOTAL_ML: f64 = 70.0;

/// At least this share of a lung's air is parenchyma ([`PARENCHYMA_HU`]). Gas in bowel, stomach or outside is purer.
const MIN_PARENCHYMA: f64 = 0.35;

/// HU of parenchyma on the working grid; severe emphysema lies below −950 in part only.
const PARENCHYMA_HU: std::ops::Range<i16> = -962..-450;

/// How the two lungs came apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separation {
    /// They did not touch.
    Apart,
    /// They touched and were cut along the junction between them.
    Junction,
    /// They could not be told apart and were cut at the midline.
    Midline,
}

/// Aerated lung by side.
pub(super) struct Sides {
    /// [`NONE`], [`RIGHT`] or [`LEFT`] per voxel of the working grid.
    pub(super) labels: Volume<u8>,
    pub(super) separation: Separation,
}

/// Chooses the lungs among the air of the body and tells right from left.
pub(super) fn aerated_lungs(
    ct: &Volume<i16>,
    body: &Mask,
    airways: Option<&Mask>,
    network: Option<&Volume<f32>>,
    midline: f64,
) -> Result<Sides, LungError> {
    let lungs = lung_air(ct, body, airways, network)?;
    Ok(split(ct, &lungs, midline))
}

/// The air that is lung: large pockets of parenchyma-like density that do not open to the outside.
fn lung_air(
    ct: &Volume<i16>,
    body: &Mask,
    airways: Option<&Mask>,
    network: Option<&Volume<f32>>,
) -> Result<Mask, LungError> {
    let geometry = ct.geometry().clone();
    let voxel_ml = geometry.voxel_volume_mm3() / 1000.0;
    let in_airway = |i: usize| airways.is_some_and(|a| a.data()[i]);
    let candidate = |i: usize| body.data()[i] && ct.data()[i] < AERATED_HU && !in_airway(i);
    let air = Mask::new(geometry.clone(), (0..geometry.len()).map(candidate).collect()).expect("same grid");
    let found = components::label(&air, Connectivity::Faces);
    let mut about = vec![Pocket::default(); found.items.len() + 1];
    let plane = geometry.shape()[1] * geometry.shape()[2];
    let outside = |i: usize| ct.data()[i] < AERATED_HU && !body.data()[i];
    for (i, id) in found.labels.data().iter().enumerate().filter(|(_, id)| **id > 0) {
        let pocket = &mut about[*id as usize];
        pocket.voxels += 1;
        pocket.parenchyma += usize::from(PARENCHYMA_HU.contains(&ct.data()[i]));
        let opens = i.checked_sub(plane).is_some_and(outside) || (i + plane < geometry.len() && outside(i + plane));
        pocket.open += usize::from(opens);
        pocket.network += network.map_or(0.0, |n| f64::from(n.data()[i]));
    }
    let is_lung = |p: &Pocket| {
        let n = p.voxels as f64;
        n * voxel_ml >= MIN_COMPONENT_ML
            && p.parenchyma as f64 / n >= MIN_PARENCHYMA
            && (p.open as f64) < 0.01 * n
            && (network.is_none() || p.network / n > 0.3)
    };
    // A pocket far smaller than the largest is rather bowel under the diaphragm than a piece of lung.
    let largest = about.iter().filter(|p| is_lung(p)).map(|p| p.voxels).max().unwrap_or(0);
    let keep = found.mask_where(|c| is_lung(&about[c.id as usize]) && c.voxels * 25 >= largest);
    let aerated_ml = keep.volume_ml();
    if aerated_ml < MIN_TOTAL_ML { Err(LungError::NoLungs { aerated_ml }) } else { Ok(keep) }
}

/// What is known of one pocket of air.
#[derive(Clone, Default)]
struct Pocket {
    voxels: usize,
    parenchyma: usize,
    open: usize,
    network: f64,
}

/// Divides lung air into right and left.
///
/// If the two touch, seeds are the cores that remain when the mask is eroded just so much that it falls apart; every other
/// voxel joins the seed it reaches most cheaply, where dense voxels (the junction of the pleurae) are costly to cross.
fn split(ct: &Volume<i16>, lungs: &Mask, midline: f64) -> Sides {
    let geometry = lungs.geometry().clone();
    let depth = distance::distance_mm(&lungs.map(|l| !l));
    let step = geometry.spacing_mm()[1].max(geometry.spacing_mm()[2]) as f32;
    for round in 0..10 {
        let radius = round as f32 * step;
        let core = Mask::new(
            geometry.clone(),
            depth.data().iter().zip(ct.data()).map(|(d, hu)| *d > radius && (round == 0 || *hu < -550)).collect(),
        )
        .expect("same grid");
        let Some(seeds) = cores(&core, lungs.count(), midline) else { continue };
        let separation = if round == 0 { Separation::Apart } else { Separation::Junction };
        let labels = spread(ct, lungs, seeds, radius + 1.5 * step);
        return Sides { labels, separation };
    }
    let columns = geometry.shape()[2];
    let label = |(i, l): (usize, &bool)| match l {
        false => NONE,
        true if ((i % columns) as f64) < midline => RIGHT,
        true => LEFT,
    };
    let data = lungs.data().iter().enumerate().map(label).collect();
    Sides { labels: Volume::new(geometry, data).expect("same grid"), separation: Separation::Midline }
}

/// The large components of the core by side, unless one of them still spans both.
fn cores(core: &Mask, lung_voxels: usize, midline: f64) -> Option<Volume<u8>> {
    let found = components::label(core, Connectivity::Faces);
    let columns = core.shape()[2];
    let mut right_part = vec![0usize; found.items.len() + 1];
    for (i, id) in found.labels.data().iter().enumerate() {
        right_part[*id as usize] += usize::from(((i % columns) as f64) < midline);
    }
    let mut side = vec![NONE; found.items.len() + 1];
    let mut kept = 0;
    for item in found.items.iter().filter(|c| c.voxels * 200 >= lung_voxels) {
        let share = right_part[item.id as usize] as f64 / item.voxels as f64;
        // One lung may reach well over the midline; a component with a fifth or more on either side is both lungs.
        if (0.2..0.8).contains(&share) && item.voxels * 20 >= lung_voxels {
            return None;
        }
        side[item.id as usize] = if share >= 0.5 { RIGHT } else { LEFT };
        kept += item.voxels;
    }
    // Eroded beyond recognition: the cores no longer speak for the lungs.
    (kept * 10 >= lung_voxels).then(|| found.labels.map(|id| side[*id as usize]))
}

/// Gives every lung voxel to the side whose core it reaches most cheaply.
fn spread(ct: &Volume<i16>, lungs: &Mask, seeds: Volume<u8>, reach_mm: f32) -> Volume<u8> {
    let near = |side: u8| morphology::dilate(&seeds.map(|s| *s == side), f64::from(reach_mm));
    let (right, left) = (near(RIGHT), near(LEFT));
    let mut labels = seeds;
    for (i, label) in labels.data_mut().iter_mut().enumerate() {
        if *label == NONE && lungs.data()[i] {
            *label = match (right.data()[i], left.data()[i]) {
                (true, false) => RIGHT,
                (false, true) => LEFT,
                _ => NONE,
            };
        }
    }
    flood(&mut labels, lungs, |i| 1 + (i32::from(ct.data()[i]) + 900).max(0) as u32 / 20);
    labels
}

/// Extends labels over `within` in order of the summed `cost` of the voxels crossed; ties go to the lower index.
///
/// Voxels of `within` that no label can reach by faces stay 0.
pub(super) fn flood(labels: &mut Volume<u8>, within: &Mask, cost: impl Fn(usize) -> u32) {
    let shape = labels.shape();
    let open = |labels: &Volume<u8>, i: usize| within.data()[i] && labels.data()[i] == NONE;
    let mut queue = BinaryHeap::new();
    for i in 0..labels.data().len() {
        if labels.data()[i] != NONE {
            for n in face_neighbours(i, shape).into_iter().flatten().filter(|n| open(labels, *n)) {
                queue.push(Reverse((cost(n), n, labels.data()[i])));
            }
        }
    }
    while let Some(Reverse((so_far, i, label))) = queue.pop() {
        if !open(labels, i) {
            continue;
        }
        labels.data_mut()[i] = label;
        for n in face_neighbours(i, shape).into_iter().flatten().filter(|n| open(labels, *n)) {
            queue.push(Reverse((so_far + cost(n), n, label)));
        }
    }
}

/// Offsets of the up to six voxels that share a face with the one at `i`.
pub(super) fn face_neighbours(i: usize, [slices, rows, columns]: [usize; 3]) -> [Option<usize>; 6] {
    let plane = rows * columns;
    let (s, r, c) = (i / plane, i / columns % rows, i % columns);
    [
        (s > 0).then(|| i - plane),
        (s + 1 < slices).then_some(i + plane),
        (r > 0).then(|| i - columns),
        (r + 1 < rows).then_some(i + columns),
        (c > 0).then(|| i - 1),
        (c + 1 < columns).then_some(i + 1),
    ]
}
