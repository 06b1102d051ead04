//! Lesions drawn into healthy lung, so that the network meets those that labelled sets leave out: the small and the faint,
//! and the haze over most of a lung.
//!
//! The idea is that of lesion synthesis (Yao et al., NormNet, IEEE TMI 2021, doi:10.1109/TMI.2021.3069183), reduced to
//! what slices need: an ellipsoid with a wavering border, a blurred edge and an uneven inside pulls the grey of the
//! lung towards that of soft tissue. Vessels are brighter than the pull and stay visible, as they do in ground-glass.

use crate::augment::{Example, between, box_mean};
use crate::network::normal;

/// Pixels along the long half axis of the smallest and the largest lesion, and where small ones end.
const RADIUS: [f32; 3] = [1.8, 6.0, 45.0];
/// Share of the way from lung to soft tissue at the heart of the faintest and the densest lesion. Denser ones were tried:
/// the network then took spleen and fat below the lungs for consolidated lung, and lobar pneumonia none the better.
const OPACITY: [f32; 2] = [0.14, 0.75];
/// From one slice of a stack to the next, in pixels of about 1.4 mm: sets do not tell, so it is drawn.
const SLICES_APART: [f32; 2] = [0.8, 4.0];
/// At most so many in one slice.
const COUNT_MAX: usize = 3;

/// Draws lesions into the healthy lung of the example, and into its labels.
///
/// An example that shows no lung is left alone. `labels` has the bits of [`crate::Slice::labels`].
pub(crate) fn insert(example: &mut Example, random: &mut fastrand::Rng) {
    let labels = example.middle_labels();
    let healthy: Vec<usize> = (0..labels.len()).filter(|i| labels[*i] & 3 == 1).collect();
    let Some(tissue) = soft_tissue(example, &healthy) else { return };
    for _ in 0..random.usize(1..=COUNT_MAX) {
        draw(example, healthy[random.usize(..healthy.len())], tissue, random);
    }
}

/// The grey of soft tissue: the median of what is brighter than most lung and is not lung. None where nothing is.
fn soft_tissue(example: &Example, healthy: &[usize]) -> Option<f32> {
    let middle = example.depth() / 2 * example.inside.len();
    let mut lung: Vec<f32> = healthy.iter().map(|i| example.image[middle + i]).collect();
    if lung.len() < 200 {
        return None;
    }
    let dense_lung = median(&mut lung, 0.8);
    let around = (0..example.inside.len()).filter(|i| example.inside[*i] && example.labels[middle + i] & 1 == 0);
    let mut bright: Vec<f32> = around.map(|i| example.image[middle + i]).filter(|v| *v > dense_lung + 0.1).collect();
    (bright.len() > 200).then(|| median(&mut bright, 0.5))
}

fn median(values: &mut [f32], quantile: f32) -> f32 {
    let at = (quantile * (values.len() - 1) as f32) as usize;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

fn draw(example: &mut Example, centre: usize, tissue: f32, random: &mut fastrand::Rng) {
    let size = example.size;
    let (row, column) = ((centre / size) as f32, (centre % size) as f32);
    // Half of them small.
    let radii = if random.bool() { &RADIUS[..2] } else { &RADIUS[1..] };
    let long = between(random, radii[0].ln(), radii[1].ln()).exp();
    let opacity = between(random, OPACITY[0].ln(), OPACITY[1].ln()).exp();
    let short = (long * between(random, 0.45, 1.0)).max(RADIUS[0]);
    let (sin, cos) = (std::f32::consts::PI * random.f32()).sin_cos();
    let edge = between(random, 0.2, 0.7);
    // How far the slices are from the lesion's middle, as a share of its half axis across them.
    let across = long * between(random, 0.6, 1.2);
    let depth = example.depth();
    let apart = if depth == 1 { 0.0 } else { between(random, SLICES_APART[0], SLICES_APART[1]) / across };
    let middle_at = if depth == 1 { 0.0 } else { between(random, -0.8, 0.8) };
    // The border wavers with two to five lobes around.
    let waves: [[f32; 3]; 3] =
        std::array::from_fn(|i| [between(random, 0.0, 0.22), (i + 2) as f32, std::f32::consts::TAU * random.f32()]);
    let reach = (long * 1.8).ceil() as usize + 1;
    let rows = (row as usize).saturating_sub(reach)..(row as usize + reach + 1).min(size);
    let columns = (column as usize).saturating_sub(reach)..(column as usize + reach + 1).min(size);

    // Unevenness on a patch of its own, of about two pixels' grain.
    let patch = 2 * reach + 1;
    let grain: Vec<f32> = (0..patch * patch).map(|_| normal(random)).collect();
    let grain = box_mean(&box_mean(&grain, patch, 1), patch, 1);
    let unevenness = between(random, 0.0, 0.9);

    for y in rows {
        for x in columns.clone() {
            let (dy, dx) = (y as f32 - row, x as f32 - column);
            let (u, v) = ((cos * dx + sin * dy) / long, (cos * dy - sin * dx) / short);
            let angle = v.atan2(u);
            let border: f32 = 1.0 + waves.iter().map(|[a, n, phase]| a * (n * angle + phase).sin()).sum::<f32>();
            let place = (y + reach - row as usize) * patch + x + reach - column as usize;
            for slice in 0..depth {
                let w = middle_at + (slice as f32 - (depth / 2) as f32) * apart;
                let inside = ((border - u.hypot(v).hypot(w)) / edge + 0.5).clamp(0.0, 1.0);
                let at = (slice * size + y) * size + x;
                if inside == 0.0 || example.labels[at] & 1 == 0 {
                    continue;
                }
                let share = (opacity * inside * (1.0 + unevenness * grain[place])).clamp(0.0, 0.97);
                let grey = &mut example.image[at];
                *grey += share * (tissue - *grey).max(0.0);
                if inside >= 0.5 {
                    example.labels[at] |= 2;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body (0.7) with a lung (0.2) of 60 × 60 pixels in its middle, an old lesion in one corner of the lung.
    fn chest() -> Example {
        let size = 128;
        let lung = |at: usize| (34..94).contains(&(at / size)) && (34..94).contains(&(at % size));
        let old = |at: usize| lung(at) && at / size < 44 && at % size < 44;
        let labels: Vec<u8> = (0..size * size).map(|at| u8::from(lung(at)) | u8::from(old(at)) << 1).collect();
        let image = labels.iter().map(|bits| [0.7, 0.2, 0.7, 0.5][usize::from(*bits)]).collect();
        Example { size, image, labels, inside: vec![true; size * size] }
    }

    #[test]
    fn lesions_brighten_lung_alone_and_are_labelled() {
        let before = chest();
        let mut drawn = 0;
        for seed in 0..50 {
            let mut example = before.clone();
            insert(&mut example, &mut fastrand::Rng::with_seed(seed));
            for at in 0..before.image.len() {
                let new = example.labels[at] & !before.labels[at];
                assert!(new == 0 || new == 2 && before.labels[at] & 1 == 1, "only lung becomes lesion");
                assert!(example.image[at] >= before.image[at] && example.image[at] <= 0.7);
                assert!(before.labels[at] & 1 == 1 || example.image[at] == before.image[at], "nothing outside changes");
            }
            let bright = (0..before.image.len()).filter(|i| example.labels[*i] > before.labels[*i]);
            let rise: Vec<f32> = bright.map(|i| example.image[i] - before.image[i]).collect();
            assert!(rise.len() >= 5, "seed {seed}: {} pixels", rise.len());
            let mean = rise.iter().sum::<f32>() / rise.len() as f32;
            assert!(mean > 0.5 * 0.5 * OPACITY[0], "seed {seed}: rises by {mean}");
            drawn += rise.len();
        }
        assert!((1_000..50_000).contains(&drawn));
    }

    #[test]
    fn a_lesion_goes_on_in_the_neighbouring_slices_and_ends() {
        let flat = chest();
        let three = Example {
            image: flat.image.repeat(3),
            labels: flat.labels.repeat(3),
            inside: flat.inside.clone(),
            size: flat.size,
        };
        let plane = flat.labels.len();
        let (mut goes_on, mut ends) = (0, 0);
        for seed in 0..50 {
            let mut example = three.clone();
            insert(&mut example, &mut fastrand::Rng::with_seed(seed));
            let drawn: Vec<usize> = example
                .labels
                .chunks(plane)
                .map(|labels| labels.iter().zip(&flat.labels).filter(|(a, b)| a > b).count())
                .collect();
            assert_eq!(example.middle_labels(), &example.labels[plane..2 * plane]);
            goes_on += usize::from(drawn[0] > 0 || drawn[2] > 0);
            ends += usize::from(2 * drawn[0].min(drawn[2]) < drawn[1]);
        }
        assert!(goes_on > 10 && ends > 5, "{goes_on} go on, {ends} are ending");
    }

    #[test]
    fn without_lung_nothing_is_drawn() {
        let mut example = chest();
        example.labels.fill(0);
        let before = example.clone();
        insert(&mut example, &mut fastrand::Rng::with_seed(1));
        assert_eq!(example, before);
    }
}
