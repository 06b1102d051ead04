//! Two studies on one grid: which opacities belong together, and what changed.

use std::collections::BTreeMap;

use hilum_volume::{Geometry, LabelMap, Volume};
use rayon::prelude::*;

use crate::clinical::{GROWTH_FROM_SHARE, LISTED_FROM_ML, MATCH_FROM_SHARE, MATCH_WITHIN_MM, SMALL_BELOW_PERCENT};
use crate::components::{component_labels, kind_index};
use crate::{Comparison, Findings, LesionChange, LesionFate, Lobe, RegionChange, RegistrationFit, Trend};

/// Label of opacity where the earlier study had none, in a change map.
pub const NEW_LABEL: u8 = 1;
/// Label of opacity in both studies, in a change map.
pub const PERSISTING_LABEL: u8 = 2;
/// Label of earlier opacity where there is none now, in a change map.
pub const RESOLVED_LABEL: u8 = 3;

/// Components compared one by one in each study; what is smaller than the 255 largest counts in the regions alone.
const COMPONENTS: usize = 255;

/// A study with its masks, on its own grid.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredStudy<'a> {
    /// What was found.
    pub findings: &'a Findings,
    /// Lobes, 1 to 5.
    pub lobes: &'a LabelMap,
    /// Opacities, 11 to 13; other labels are passed over.
    pub lesions: &'a LabelMap,
}

/// What the comparison needs of one study.
struct Counted {
    components: LabelMap,
    /// By component number: voxels, voxels at its border, voxels by lobe.
    by_component: Vec<(u64, u64, [u64; 5])>,
    /// Border voxels of opacity by lobe.
    border: [u64; 5],
    voxel_ml: f64,
}

impl MeasuredStudy<'_> {
    /// The numbers of the opacities, largest first, on the study's grid: what [`compare`] takes of the earlier study once it
    /// is brought onto the current grid.
    #[must_use]
    pub fn components(&self) -> LabelMap {
        component_labels(self.lobes, self.lesions, COMPONENTS)
    }

    fn counted(&self) -> Counted {
        let components = self.components();
        let [slices, rows, columns] = components.geometry().shape();
        let (ids, lobes, lesions) =
            (components.labels().data(), self.lobes.labels().data(), self.lesions.labels().data());
        let is_lesion = |i: usize| kind_index(lesions[i]).is_some();
        let of_slice = |s: usize| {
            let mut by_component = vec![(0_u64, 0_u64, [0_u64; 5]); COMPONENTS + 1];
            let mut border = [0_u64; 5];
            for r in 0..rows {
                for c in 0..columns {
                    let i = (s * rows + r) * columns + c;
                    let Some(lobe) = Lobe::from_label(lobes[i]).filter(|_| is_lesion(i)) else { continue };
                    let inner = s > 0 && s + 1 < slices && r > 0 && r + 1 < rows && c > 0 && c + 1 < columns;
                    let plane = rows * columns;
                    let at_border = !inner
                        || [i - 1, i + 1, i - columns, i + columns, i - plane, i + plane]
                            .iter()
                            .any(|n| !is_lesion(*n));
                    let entry = &mut by_component[usize::from(ids[i])];
                    entry.0 += 1;
                    entry.1 += u64::from(at_border);
                    entry.2[lobe as usize] += 1;
                    border[lobe as usize] += u64::from(at_border);
                }
            }
            (by_component, border)
        };
        let parts: Vec<_> = (0..slices).into_par_iter().map(of_slice).collect();
        let mut by_component = vec![(0, 0, [0; 5]); COMPONENTS + 1];
        let mut border = [0; 5];
        for (part, part_border) in parts {
            for (sum, add) in by_component.iter_mut().zip(part) {
                sum.0 += add.0;
                sum.1 += add.1;
                (0..5).for_each(|l| sum.2[l] += add.2[l]);
            }
            (0..5).for_each(|l| border[l] += part_border[l]);
        }
        let voxel_ml = components.geometry().voxel_volume_mm3() / 1000.0;
        Counted { components, by_component, border, voxel_ml }
    }
}

/// Compares two studies. `carried` holds the earlier study's [`components`](MeasuredStudy::components) on the current grid,
/// and `shown` is 1 where the earlier scan shows the current voxel.
///
/// Also returns the change map on the current grid: [`NEW_LABEL`], [`PERSISTING_LABEL`], [`RESOLVED_LABEL`].
///
/// # Panics
/// If the maps of the current study do not share one grid.
#[must_use]
pub fn compare(
    current: &MeasuredStudy<'_>,
    earlier: &MeasuredStudy<'_>,
    carried: &LabelMap,
    shown: &LabelMap,
    registration: RegistrationFit,
) -> (Comparison, LabelMap) {
    let grid = current.lobes.geometry();
    assert!(carried.geometry().shape() == grid.shape() && shown.geometry().shape() == grid.shape(), "one grid");
    let (now, then) = (current.counted(), earlier.counted());
    let overlaps = Overlaps::of(&now.components, carried, shown);
    let change = change_map(current, carried, shown);
    let ml = |label| change.volume_ml(label);
    let comparison = Comparison {
        registration,
        regions: regions(current.findings, earlier.findings, &now, &then),
        lesions: lesions(current.findings, earlier.findings, &now, &then, &overlaps, carried),
        new_ml: ml(NEW_LABEL),
        persisting_ml: ml(PERSISTING_LABEL),
        resolved_ml: ml(RESOLVED_LABEL),
    };
    (comparison, change)
}

fn change_map(current: &MeasuredStudy<'_>, carried: &LabelMap, shown: &LabelMap) -> LabelMap {
    let (lobes, lesions) = (current.lobes.labels().data(), current.lesions.labels().data());
    let (carried, shown) = (carried.labels().data(), shown.labels().data());
    let data = (0..lobes.len())
        .into_par_iter()
        .map(|i| match (kind_index(lesions[i]).is_some() && lobes[i] > 0, carried[i] > 0) {
            (true, true) => PERSISTING_LABEL,
            (true, false) if shown[i] > 0 => NEW_LABEL,
            (false, true) if lobes[i] > 0 => RESOLVED_LABEL,
            _ => 0,
        })
        .collect();
    LabelMap::new(Volume::new(current.lobes.geometry().clone(), data).expect("one label per voxel"))
}

/// Voxels of the current grid that components of the two studies share, or that one of them has.
struct Overlaps {
    both: BTreeMap<(u8, u8), u64>,
    /// Voxels of each earlier component on the current grid.
    carried: Vec<u64>,
    /// Voxels of each current component that the earlier scan shows.
    shown: Vec<u64>,
}

impl Overlaps {
    fn of(now: &LabelMap, carried: &LabelMap, shown: &LabelMap) -> Self {
        let mut found = Self { both: BTreeMap::new(), carried: vec![0; 256], shown: vec![0; 256] };
        let voxels = now.labels().data().iter().zip(carried.labels().data()).zip(shown.labels().data());
        for ((now, then), shown) in voxels {
            if *then > 0 {
                found.carried[usize::from(*then)] += 1;
            }
            if *now > 0 {
                found.shown[usize::from(*now)] += u64::from(*shown);
                if *then > 0 {
                    *found.both.entry((*now, *then)).or_default() += 1;
                }
            }
        }
        found
    }
}

/// Half the volume of border voxels of both studies, put together as independent errors: see [`crate::definitions`].
fn uncertainty_ml(border_now_ml: f64, border_then_ml: f64) -> f64 {
    0.5 * border_now_ml.hypot(border_then_ml)
}

fn trend(change: f64, least: f64) -> Trend {
    match change {
        c if c > least => Trend::Grown,
        c if c < -least => Trend::Shrunk,
        _ => Trend::Unchanged,
    }
}

fn regions(now: &Findings, then: &Findings, counted: &Counted, counted_then: &Counted) -> Vec<RegionChange> {
    let all: [(&str, &[Lobe]); 3] = [
        ("lungs", &Lobe::ALL),
        ("right", &[Lobe::RightUpper, Lobe::RightMiddle, Lobe::RightLower]),
        ("left", &[Lobe::LeftUpper, Lobe::LeftLower]),
    ];
    let mut changes: Vec<RegionChange> =
        all.iter().map(|(name, lobes)| region(name, lobes, [now, then], [counted, counted_then])).collect();
    changes.extend(
        Lobe::ALL.iter().map(|lobe| region(lobe.abbreviation(), &[*lobe], [now, then], [counted, counted_then])),
    );
    changes
}

fn region(name: &str, lobes: &[Lobe], findings: [&Findings; 2], counted: [&Counted; 2]) -> RegionChange {
    let border = counted.map(|c| lobes.iter().map(|l| c.border[*l as usize]).sum::<u64>() as f64 * c.voxel_ml);
    let of = |f: &Findings| {
        let is_in = |lobe: &Lobe| lobes.contains(lobe);
        let lesion: f64 = f.lesions.lobes.iter().filter(|l| is_in(&l.name)).filter_map(|l| l.lesion_ml).sum();
        let volumes: Vec<(f64, f64)> = f
            .anatomy
            .lobes
            .iter()
            .filter(|l| is_in(&l.name))
            .filter_map(|l| Some((l.volume_ml?, l.mean_hu.unwrap_or(0.0))))
            .collect();
        let volume: f64 = volumes.iter().map(|(ml, _)| ml).sum();
        let found = volume > 0.0;
        let mean_hu = found.then(|| volumes.iter().map(|(ml, hu)| ml * hu).sum::<f64>() / volume);
        (lesion, found.then(|| 100.0 * lesion / volume), mean_hu)
    };
    let ((ml, percent, mean_hu), (earlier_ml, earlier_percent, earlier_mean_hu)) = (of(findings[0]), of(findings[1]));
    let change_points = percent.zip(earlier_percent).map(|(now, then)| now - then);
    let uncertainty_ml = uncertainty_ml(border[0], border[1]);
    let change_ml = ml - earlier_ml;
    RegionChange {
        name: name.into(),
        earlier_ml,
        ml,
        change_ml,
        uncertainty_ml,
        earlier_percent,
        percent,
        change_points,
        earlier_mean_hu,
        mean_hu,
        // Both the volume and the share must have moved: a deeper breath alone changes the share of what stays the same.
        trend: change_points.map(|points| match trend(change_ml, uncertainty_ml) {
            by_volume if by_volume == trend(points, SMALL_BELOW_PERCENT) => by_volume,
            _ => Trend::Unchanged,
        }),
    }
}

/// Components of both studies that hang together.
fn lesions(
    now: &Findings,
    then: &Findings,
    counted: &Counted,
    counted_then: &Counted,
    overlaps: &Overlaps,
    carried: &LabelMap,
) -> Vec<LesionChange> {
    let mut groups = Groups::new();
    for ((a, b), voxels) in &overlaps.both {
        let smaller = counted.by_component[usize::from(*a)].0.min(overlaps.carried[usize::from(*b)]);
        if *voxels as f64 >= MATCH_FROM_SHARE * smaller as f64 {
            groups.join(usize::from(*a), 256 + usize::from(*b));
        }
    }
    for (a, b) in near(&counted.components, carried, &groups) {
        groups.join(usize::from(a), 256 + usize::from(b));
    }
    let mut members: BTreeMap<usize, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for id in 1..=COMPONENTS {
        if counted.by_component[id].0 > 0 {
            members.entry(groups.root(id)).or_default().0.push(id);
        }
        if counted_then.by_component[id].0 > 0 {
            members.entry(groups.root(256 + id)).or_default().1.push(id);
        }
    }
    let mut changes: Vec<LesionChange> = members
        .into_values()
        .map(|(ids, earlier_ids)| change(ids, earlier_ids, [now, then], [counted, counted_then], overlaps))
        .filter(|c| c.ml >= LISTED_FROM_ML || c.earlier_ml >= LISTED_FROM_ML)
        .collect();
    changes.sort_by(|a, b| b.ml.max(b.earlier_ml).total_cmp(&a.ml.max(a.earlier_ml)).then(a.ids.cmp(&b.ids)));
    changes
}

fn change(
    ids: Vec<usize>,
    earlier_ids: Vec<usize>,
    findings: [&Findings; 2],
    counted: [&Counted; 2],
    overlaps: &Overlaps,
) -> LesionChange {
    let sum = |ids: &[usize], c: &Counted, of: fn(&(u64, u64, [u64; 5])) -> u64| {
        ids.iter().map(|id| of(&c.by_component[*id])).sum::<u64>() as f64 * c.voxel_ml
    };
    let (ml, earlier_ml) = (sum(&ids, counted[0], |c| c.0), sum(&earlier_ids, counted[1], |c| c.0));
    let uncertainty_ml = uncertainty_ml(sum(&ids, counted[0], |c| c.1), sum(&earlier_ids, counted[1], |c| c.1));
    let shown: u64 = ids.iter().map(|id| overlaps.shown[*id]).sum();
    let carried: u64 = earlier_ids.iter().map(|id| overlaps.carried[*id]).sum();
    let fate = match (ids.len(), earlier_ids.len()) {
        // Less than half of it lies in what both scans show.
        (_, 0) if (shown as f64) * counted[0].voxel_ml < 0.5 * ml => LesionFate::NotComparable,
        (0, _) if (carried as f64) * counted[0].voxel_ml < 0.4 * earlier_ml => LesionFate::NotComparable,
        (_, 0) => LesionFate::New,
        (0, _) => LesionFate::Resolved,
        (1, 1) => LesionFate::Persisting,
        (1, _) => LesionFate::Merged,
        (_, 1) => LesionFate::Split,
        _ => LesionFate::Regrouped,
    };
    let both = !ids.is_empty() && !earlier_ids.is_empty();
    let (most, source) = if ids.is_empty() { (&earlier_ids, counted[1]) } else { (&ids, counted[0]) };
    let by_lobe: [u64; 5] = std::array::from_fn(|l| most.iter().map(|id| source.by_component[*id].2[l]).sum());
    let lobe = (0..5).max_by_key(|l| (by_lobe[*l], std::cmp::Reverse(*l))).map(|l| Lobe::ALL[l]);
    LesionChange {
        fate,
        trend: both.then(|| trend(ml - earlier_ml, uncertainty_ml.max(GROWTH_FROM_SHARE * earlier_ml))),
        lobe,
        change_ml: ml - earlier_ml,
        change_percent: (earlier_ml > 0.0).then(|| 100.0 * (ml - earlier_ml) / earlier_ml),
        uncertainty_ml,
        mean_hu: mean_hu(findings[0], &ids),
        earlier_mean_hu: mean_hu(findings[1], &earlier_ids),
        ids,
        earlier_ids,
        earlier_ml,
        ml,
    }
}

/// Mean HU of the listed components among `ids`; `None` if none is listed.
fn mean_hu(findings: &Findings, ids: &[usize]) -> Option<f64> {
    let listed: Vec<_> = findings.lesions.components.iter().filter(|c| ids.contains(&c.id)).collect();
    let volume: f64 = listed.iter().map(|c| c.volume_ml).sum();
    (volume > 0.0).then(|| listed.iter().map(|c| c.volume_ml * c.mean_hu).sum::<f64>() / volume)
}

/// Components without a partner that come within [`MATCH_WITHIN_MM`] of an earlier one without a partner: small opacities
/// that the registration misses by a little are not a new and a resolved one.
fn near(now: &LabelMap, carried: &LabelMap, groups: &Groups) -> Vec<(u8, u8)> {
    let grid: &Geometry = now.geometry();
    let shape = grid.shape();
    let reach: [usize; 3] = std::array::from_fn(|a| ((MATCH_WITHIN_MM / grid.spacing_mm()[a]) as usize).min(6));
    let (ids, earlier) = (now.labels().data(), carried.labels().data());
    let lonely = |node: usize| groups.is_alone(node);
    let plane = shape[1] * shape[2];
    let of_slice = |s: usize| {
        let mut pairs = std::collections::BTreeSet::new();
        for i in s * plane..(s + 1) * plane {
            let id = ids[i];
            if id == 0 || !lonely(usize::from(id)) {
                continue;
            }
            let (r, c) = (i % plane / shape[2], i % shape[2]);
            for ds in s.saturating_sub(reach[0])..(s + reach[0] + 1).min(shape[0]) {
                for dr in r.saturating_sub(reach[1])..(r + reach[1] + 1).min(shape[1]) {
                    let line = (ds * shape[1] + dr) * shape[2];
                    let columns = line + c.saturating_sub(reach[2])..line + (c + reach[2] + 1).min(shape[2]);
                    for then in &earlier[columns] {
                        if *then > 0 && lonely(256 + usize::from(*then)) {
                            pairs.insert((id, *then));
                        }
                    }
                }
            }
        }
        pairs
    };
    let found: Vec<_> = (0..shape[0]).into_par_iter().map(of_slice).collect();
    let all: std::collections::BTreeSet<(u8, u8)> = found.into_iter().flatten().collect();
    all.into_iter().collect()
}

/// Disjoint sets of components: those of this study from 0, those of the earlier one from 256.
struct Groups {
    parent: Vec<usize>,
    alone: Vec<bool>,
}

impl Groups {
    fn new() -> Self {
        Self { parent: (0..512).collect(), alone: vec![true; 512] }
    }

    fn root(&self, of: usize) -> usize {
        let mut at = of;
        while self.parent[at] != at {
            at = self.parent[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        (self.alone[a], self.alone[b]) = (false, false);
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    fn is_alone(&self, node: usize) -> bool {
        self.alone[node]
    }
}
