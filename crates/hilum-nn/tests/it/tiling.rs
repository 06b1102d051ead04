//! Whole = tiled = padded and cropped.

use std::sync::Mutex;

use hilum_nn::{
    Blend, Dims, Engine, EngineOptions, Graph, Node, NodeId, Op, Region, Tiling, TilingError, run_slices, run_tiled,
};
use proptest::prelude::*;

use crate::engine::{Numbers, weights_for};

/// Sees 3 voxels to either side and pools in between: stride 2 down, a 3-tap convolution, and up again.
fn pooled_network(dims: Dims) -> Graph {
    let deep = dims == Dims::Three;
    let cube = |k: usize| [if deep { k } else { 1 }, k, k];
    let padding = [usize::from(deep), 1, 1];
    let node = |name: &str, op, inputs: &[usize]| Node {
        name: name.into(),
        op,
        inputs: inputs.iter().copied().map(NodeId).collect(),
    };
    let nodes = vec![
        node("pool", Op::MaxPool { size: cube(2) }, &[0]),
        node("mid", Op::conv(5, cube(3), [1; 3], padding), &[1]),
        node("up", Op::ConvTranspose { out_channels: 4, kernel: cube(2) }, &[2]),
        node("join", Op::Concat, &[0, 3]),
        node("head", Op::conv(2, [1; 3], [1; 3], [0; 3]), &[4]),
    ];
    Graph::new(dims, 2, nodes, NodeId(5)).unwrap()
}

fn engine(graph: &Graph) -> Engine {
    Engine::new(graph, &weights_for(graph), EngineOptions { threads: 2, ..EngineOptions::default() }).unwrap()
}

const CHANNELS: usize = 2;

/// Cuts a region out of a volume `[channel, slice, row, column]`.
fn cut(volume: &[f32], size: [usize; 3], region: Region, target: &mut [f32]) {
    let mut values = target.iter_mut();
    for channel in 0..CHANNELS {
        for z in 0..region.size[0] {
            for y in 0..region.size[1] {
                for x in 0..region.size[2] {
                    let [z, y, x] = [region.origin[0] + z, region.origin[1] + y, region.origin[2] + x];
                    *values.next().unwrap() = volume[((channel * size[0] + z) * size[1] + y) * size[2] + x];
                }
            }
        }
    }
    assert!(values.next().is_none(), "the region is asked for in exactly its size");
}

/// Logits of every slice `[channel, row, column]`.
fn tiled(engine: &Engine, volume: &[f32], size: [usize; 3], tiling: &Tiling) -> Result<Vec<Vec<f32>>, TilingError> {
    let mut slices = Vec::new();
    run_tiled(
        engine,
        size,
        tiling,
        |region, target| cut(volume, size, region, target),
        |index, logits| {
            assert_eq!(index, slices.len(), "slices come in order, each once");
            slices.push(logits.to_vec());
        },
    )?;
    assert_eq!(slices.len(), size[0]);
    Ok(slices)
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() <= 1e-5, "{f} instead of {e}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The pooled network sees at most 3 voxels beyond a voxel; with a border of 4 a cut can change nothing.
    #[test]
    fn discarded_borders_give_the_whole_volume(
        deep in any::<bool>(), z in 1_usize..20, y in 1_usize..24, x in 1_usize..40, patch in 5_usize..8, seed in 1_u64..,
    ) {
        let size = [z, y, x];
        let graph = pooled_network(if deep { Dims::Three } else { Dims::Two });
        let engine = engine(&graph);
        let volume = Numbers(seed).take(CHANNELS * z * y * x);
        let patch = [if deep { 2 * patch } else { 1 }, 2 * patch, 2 * patch + 2];
        let border = [if deep { 4 } else { 0 }, 4, 4];
        let small = Tiling { patch, blend: Blend::Discard { border }, padding_value: 0.25 };
        let whole = Tiling { patch: [if deep { 64 } else { 1 }, 64, 64], ..small };
        let expected = tiled(&engine, &volume, size, &whole).unwrap();
        assert_close(&tiled(&engine, &volume, size, &small).unwrap(), &expected);
    }

    /// A network that looks at one voxel at a time gives the same in any patch, so the weights must sum to one.
    #[test]
    fn gaussian_weights_sum_to_one(
        z in 1_usize..9, y in 1_usize..20, x in 1_usize..30, patch in 1_usize..9, overlap in 0.0_f32..0.7, seed in 1_u64..,
    ) {
        let op = Op::conv(3, [1; 3], [1; 3], [0; 3]);
        let node = Node { name: "a".into(), op, inputs: vec![NodeId::INPUT] };
        let engine = engine(&Graph::new(Dims::Three, CHANNELS, vec![node], NodeId(1)).unwrap());
        let volume = Numbers(seed).take(CHANNELS * z * y * x);
        let blend = Blend::Gaussian { overlap };
        let small = Tiling { patch: [patch.min(3), patch + 1, patch + 3], blend, padding_value: 0.0 };
        let whole = Tiling { patch: [64; 3], ..small };
        match tiled(&engine, &volume, [z, y, x], &small) {
            Ok(found) => assert_close(&found, &tiled(&engine, &volume, [z, y, x], &whole).unwrap()),
            Err(TilingError::NoAdvance { .. }) => prop_assert!((patch.min(3) as f32) * (1.0 - overlap) < 1.0),
            Err(other) => panic!("{other}"),
        }
    }

    /// Padding is exactly the padding value behind the slice, and what it makes is cropped exactly.
    #[test]
    fn slices_are_padded_and_cropped(y in 1_usize..12, x in 1_usize..12, seed in 1_u64..) {
        let engine = engine(&pooled_network(Dims::Two));
        let (count, padding) = (3, -1.5);
        let slices: Vec<Vec<f32>> = (0..count).map(|i| Numbers(seed ^ i << 8 | 1).take(CHANNELS * y * x)).collect();
        let found: Vec<_> = (0..count).map(|_| Mutex::new(Vec::new())).collect();
        run_slices(
            &engine, count as usize, [y, x], padding,
            |i, target| target.copy_from_slice(&slices[i]),
            |i, logits| found[i].lock().unwrap().extend_from_slice(logits),
        ).unwrap();
        let (rows, columns) = (y.next_multiple_of(2), x.next_multiple_of(2));
        for (slice, found) in slices.iter().zip(found) {
            let mut padded = vec![padding; CHANNELS * rows * columns];
            for (i, &value) in slice.iter().enumerate() {
                padded[(i / (y * x) * rows + i / x % y) * columns + i % x] = value;
            }
            let logits = engine.run(&padded, [1, CHANNELS, 1, rows, columns]).unwrap();
            let expected: Vec<f32> =
                (0..2 * y * x).map(|i| logits[(i / (y * x) * rows + i / x % y) * columns + i % x]).collect();
            prop_assert_eq!(found.into_inner().unwrap(), expected);
        }
    }
}

/// Slabs of a three-dimensional network make what the whole volume makes, its first and last slice going on beyond it.
#[test]
fn slabs_agree_with_the_whole_volume() {
    let ops = [Op::conv(4, [3; 3], [1; 3], [1; 3]), Op::Relu, Op::conv(2, [3; 3], [1; 3], [1; 3])];
    let nodes = ops.into_iter().enumerate().map(|(i, op)| Node { name: format!("l{i}"), op, inputs: vec![NodeId(i)] });
    let engine = engine(&Graph::new(Dims::Three, CHANNELS, nodes.collect(), NodeId(3)).unwrap());
    let plane = 7 * 5;
    for count in [1, 15, 16, 17, 50] {
        let slices: Vec<Vec<f32>> =
            (0..count).map(|i| Numbers(7 ^ (i as u64) << 8 | 1).take(CHANNELS * plane)).collect();
        let found: Vec<_> = (0..count).map(|_| Mutex::new(Vec::new())).collect();
        run_slices(
            &engine,
            count,
            [7, 5],
            0.0,
            |i, target| target.copy_from_slice(&slices[i]),
            |i, logits| found[i].lock().unwrap().extend_from_slice(logits),
        )
        .unwrap();
        let depth = count + 2 * 4;
        let mut volume = vec![0.0; CHANNELS * depth * plane];
        for (i, values) in volume.chunks_exact_mut(plane).enumerate() {
            let slice = (i % depth).saturating_sub(4).min(count - 1);
            values.copy_from_slice(&slices[slice][i / depth * plane..][..plane]);
        }
        let logits = engine.run(&volume, [1, CHANNELS, depth, 7, 5]).unwrap();
        for (slice, found) in found.into_iter().enumerate() {
            let expected = (0..2).flat_map(|c| &logits[(c * depth + slice + 4) * plane..][..plane]);
            let found = found.into_inner().unwrap();
            assert_eq!(found.len(), 2 * plane);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "slice {slice} of {count}");
        }
    }
}

#[test]
fn what_cannot_be_tiled_is_refused() {
    let engine = engine(&pooled_network(Dims::Three));
    let volume = Numbers(5).take(CHANNELS * 12 * 12 * 12);
    let refused =
        |size, patch, blend| tiled(&engine, &volume, size, &Tiling { patch, blend, padding_value: 0.0 }).unwrap_err();
    let discard = |border| Blend::Discard { border: [border; 3] };
    assert!(matches!(refused([12; 3], [8; 3], discard(4)), TilingError::NoAdvance { .. }));
    assert!(matches!(refused([12; 3], [7; 3], discard(1)), TilingError::Engine(_)));
    assert!(matches!(refused([0, 4, 4], [4; 3], discard(1)), TilingError::Engine(_)));
    assert!(matches!(refused([12; 3], [4; 3], Blend::Gaussian { overlap: 1.0 }), TilingError::Overlap(_)));
}
