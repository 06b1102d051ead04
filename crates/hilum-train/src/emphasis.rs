//! Small lesions count as much as large ones.
//!
//! Summed over pixels, a loss hardly notices whether a nodule of twelve pixels was found. After blob loss (Kofler et al.
//! 2022, arXiv:2205.08209), a small connected lesion weighs as much as one of [`FULL_AREA`] pixels.

/// Pixels from which a lesion weighs what its pixels weigh; about 235 mm² at 1.4 mm.
const FULL_AREA: f32 = 120.0;

/// A weight for every pixel of a square of labels: 1 to `most` within small connected parts that have `bit`, else 1.
pub(crate) fn weights(labels: &[u8], size: usize, bit: u8, most: f32) -> Vec<f32> {
    if most <= 1.0 {
        return vec![1.0; labels.len()];
    }
    let mut weights = vec![0.0; labels.len()];
    let mut part = Vec::new();
    for start in 0..labels.len() {
        if weights[start] > 0.0 {
            continue;
        }
        if labels[start] & bit == 0 {
            weights[start] = 1.0;
            continue;
        }
        part.clear();
        part.push(start);
        // Marks what is on the list; the weight follows once the list is complete.
        weights[start] = 1.0;
        let mut next = 0;
        while let Some(&at) = part.get(next) {
            next += 1;
            let (row, column) = (at / size, at % size);
            let beside = [
                (row > 0).then(|| at - size),
                (row + 1 < size).then(|| at + size),
                (column > 0).then(|| at - 1),
                (column + 1 < size).then(|| at + 1),
            ];
            for at in beside.into_iter().flatten() {
                if weights[at] == 0.0 && labels[at] & bit != 0 {
                    weights[at] = 1.0;
                    part.push(at);
                }
            }
        }
        let weight = (FULL_AREA / part.len() as f32).clamp(1.0, most);
        part.iter().for_each(|at| weights[*at] = weight);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_weigh_more() {
        let size = 32;
        let mut labels = vec![1_u8; size * size];
        let mut mark = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            rows.for_each(|r| columns.clone().for_each(|c| labels[r * size + c] |= 2));
        };
        mark(0..1, 0..1); // a single pixel: capped
        mark(0..6, 4..14); // 60 pixels
        mark(10..26, 10..26); // 256 pixels
        mark(6..7, 14..15); // touches the 60 by a corner only: a part of its own
        let none = weights(&labels, size, 2, 1.0);
        assert_eq!(none, vec![1.0; size * size]);
        let weights = weights(&labels, size, 2, 4.0);
        for (at, expected) in [([0, 0], 4.0), ([3, 6], 2.0), ([15, 15], 1.0), ([6, 14], 4.0), ([30, 30], 1.0)] {
            assert_eq!(weights[at[0] * size + at[1]], expected, "{at:?}");
        }
    }
}
