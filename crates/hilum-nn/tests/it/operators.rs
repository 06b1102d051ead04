//! Every operator in every form the graph admits, one row each, on every set of kernels and both algorithms.

use std::collections::BTreeMap;

use hilum_nn::{Algorithm, Dims, Engine, EngineOptions, Graph, Node, NodeId, Op, Weights};

use crate::engine::{check, kernels_here};

struct Case {
    adds: &'static str,
    dims: Dims,
    inputs: usize,
    layers: Vec<Op>,
    size: [usize; 3],
}

/// Layers one after another; sums and concatenations also read what the layer before them reads.
fn chain(case: &Case) -> Graph {
    let node = |(index, &op): (usize, &Op)| {
        let inputs = match op {
            Op::Add | Op::Concat => vec![NodeId(index - 1), NodeId(index)],
            _ => vec![NodeId(index)],
        };
        Node { name: format!("layer{index}"), op, inputs }
    };
    let nodes: Vec<Node> = case.layers.iter().enumerate().map(node).collect();
    let output = NodeId(nodes.len());
    Graph::new(case.dims, case.inputs, nodes, output).unwrap_or_else(|error| panic!("{}: {error}", case.adds))
}

/// A convolution that keeps the grid up to its stride.
fn conv(out: usize, kernel: [usize; 3], stride: usize, dilation: usize, groups: usize) -> Op {
    let stride = [if kernel[0] == 1 { 1 } else { stride }, stride, stride];
    let dilation = kernel.map(|k| if k == 1 { 1 } else { dilation });
    let padding = std::array::from_fn(|a| (kernel[a] - 1) * dilation[a] / 2);
    Op::Conv { out_channels: out, kernel, stride, padding, dilation, groups }
}

#[test]
fn every_operator() {
    let two = |adds, inputs, layers: &[Op], size: [usize; 2]| Case {
        adds,
        dims: Dims::Two,
        inputs,
        layers: layers.to_vec(),
        size: [1, size[0], size[1]],
    };
    let three =
        |adds, inputs, layers: &[Op], size| Case { adds, dims: Dims::Three, inputs, layers: layers.to_vec(), size };
    let square = |k: usize| [1, k, k];
    let leaky = Op::LeakyRelu { slope: 0.1 };
    let up = |out_channels, kernel| Op::ConvTranspose { out_channels, kernel };
    let cases = [
        // Convolutions the products of Winograd may stand for, in all the ways a tile can be cut.
        two("3 x 3, whole tiles", 16, &[conv(16, square(3), 1, 1, 1)], [8, 12]),
        two("3 x 3, ragged to the right", 16, &[conv(32, square(3), 1, 1, 1)], [8, 11]),
        two("3 x 3, ragged below", 9, &[conv(17, square(3), 1, 1, 1)], [7, 8]),
        two("3 x 3, ragged both ways, activated", 20, &[conv(40, square(3), 1, 1, 1), leaky], [9, 13]),
        two("3 x 3 on one pixel", 16, &[conv(16, square(3), 1, 1, 1)], [1, 1]),
        two("3 x 3 on one row", 16, &[conv(16, square(3), 1, 1, 1)], [1, 9]),
        two("3 x 3 on one column", 16, &[conv(16, square(3), 1, 1, 1)], [9, 1]),
        two("3 x 3, more tiles than a chunk", 8, &[conv(8, square(3), 1, 1, 1)], [70, 35]),
        two("3 x 3, three blocks", 48, &[conv(48, square(3), 1, 1, 1), Op::Relu], [6, 6]),
        two("3 x 3 of joined values", 8, &[Op::Relu, Op::Concat, conv(24, square(3), 1, 1, 1)], [6, 7]),
        two(
            "3 x 3 with a norm behind it",
            8,
            &[conv(24, square(3), 1, 1, 1), Op::InstanceNorm { epsilon: 1e-5 }],
            [6, 7],
        ),
        three("3 x 3 x 3", 16, &[conv(16, [3; 3], 1, 1, 1)], [5, 6, 7]),
        three("3 x 3 x 3, many slices", 8, &[conv(20, [3; 3], 1, 1, 1)], [40, 5, 9]),
        three("3 x 3 x 3 on one voxel", 8, &[conv(8, [3; 3], 1, 1, 1)], [1, 1, 1]),
        three("depth 5", 8, &[conv(8, [5, 3, 3], 1, 1, 1)], [7, 4, 4]),
        three("no depth", 8, &[conv(8, [1, 3, 3], 1, 1, 1)], [3, 4, 4]),
        // Other kernels.
        two("1 x 1", 33, &[conv(18, square(1), 1, 1, 1)], [5, 5]),
        two("5 x 5", 8, &[conv(9, square(5), 1, 1, 1)], [6, 9]),
        two("7 x 7", 8, &[conv(9, square(7), 1, 1, 1)], [5, 3]),
        three("5 x 5 x 5", 3, &[conv(4, [5; 3], 1, 1, 1)], [3, 4, 5]),
        three("7 x 7 x 7", 2, &[conv(4, [7; 3], 1, 1, 1)], [3, 4, 5]),
        // Steps.
        two("stride 2", 8, &[conv(8, square(3), 2, 1, 1), up(3, [1, 2, 2])], [6, 10]),
        three("stride 2 in depth", 8, &[conv(8, [3; 3], 2, 1, 1), up(3, [2; 3])], [4, 6, 2]),
        // Holes.
        two("dilation 2", 9, &[conv(17, square(3), 1, 2, 1)], [7, 9]),
        two("dilation 3, wider than the input", 9, &[conv(17, square(3), 1, 3, 1)], [2, 3]),
        two("dilation 2 of 5 x 5", 3, &[conv(4, square(5), 1, 2, 1), leaky], [9, 12]),
        three("dilation 2 in depth", 3, &[conv(4, [3; 3], 1, 2, 1)], [5, 6, 7]),
        // Parts.
        two("two groups of whole blocks", 32, &[conv(64, square(3), 1, 1, 2)], [5, 6]),
        two("groups within a block", 12, &[conv(24, square(3), 1, 1, 4), Op::Relu], [5, 6]),
        two("groups across blocks", 60, &[conv(36, square(1), 1, 1, 3)], [3, 4]),
        two("groups of joined values", 9, &[Op::Relu, Op::Concat, conv(24, square(3), 1, 1, 3)], [4, 4]),
        two("depthwise", 19, &[conv(19, square(3), 1, 1, 19), Op::Relu], [6, 7]),
        two("depthwise, stride 2", 19, &[conv(19, square(3), 2, 1, 19), up(2, [1, 2, 2])], [6, 8]),
        two(
            "depthwise, dilated, with a norm",
            5,
            &[conv(5, square(5), 1, 2, 5), Op::BatchNorm { epsilon: 1e-5 }],
            [6, 7],
        ),
        two("depthwise of joined values", 9, &[Op::Relu, Op::Concat, conv(18, square(3), 1, 1, 18)], [4, 5]),
        two("depthwise that doubles", 8, &[conv(16, square(3), 1, 1, 8)], [4, 5]),
        three("depthwise in depth", 17, &[conv(17, [3; 3], 1, 1, 17), Op::InstanceNorm { epsilon: 1e-5 }], [4, 5, 6]),
        // Residuals and classifiers.
        two("sum", 17, &[conv(17, square(3), 1, 1, 1), Op::Add], [5, 6]),
        two("sum, then activation", 17, &[conv(17, square(3), 1, 1, 1), Op::Add, Op::Relu], [1, 1]),
        three(
            "sum behind a norm",
            8,
            &[conv(8, [3; 3], 1, 1, 1), Op::Add, Op::InstanceNorm { epsilon: 1e-5 }, leaky],
            [3, 4, 5],
        ),
        two("mean", 20, &[Op::GlobalAveragePool], [5, 7]),
        two("mean of one pixel", 3, &[Op::GlobalAveragePool], [1, 1]),
        three(
            "classifier",
            1,
            &[conv(20, [3; 3], 2, 1, 1), Op::Relu, Op::GlobalAveragePool, Op::Linear { out_channels: 3 }],
            [4, 6, 8],
        ),
        two(
            "two linear layers",
            9,
            &[Op::GlobalAveragePool, Op::Linear { out_channels: 40 }, Op::Relu, Op::Linear { out_channels: 2 }],
            [4, 4],
        ),
        two("a sum of single voxels", 9, &[Op::GlobalAveragePool, Op::Linear { out_channels: 9 }, Op::Add], [4, 4]),
        three("largest of 2 x 2 x 2", 19, &[Op::MaxPool { size: [2; 3] }, up(2, [2; 3])], [4, 2, 6]),
    ];
    for case in &cases {
        check(case.adds, &chain(case), 2, case.size);
    }
}

/// What PyTorch computes in `f64` (`tests/reference/operators.py`).
#[test]
fn pytorch_agrees() {
    let graphs: BTreeMap<String, Graph> = serde_json::from_str(include_str!("../reference/operators.json")).unwrap();
    let file = Weights::from_safetensors(include_bytes!("../reference/operators.safetensors")).unwrap();
    assert_eq!(graphs.len(), 9);
    for (name, graph) in graphs {
        let tensor = |key: &str| file.get(&format!("{name}/{key}")).unwrap();
        let mut weights = Weights::new();
        for parameter in graph.parameters() {
            weights.insert(&parameter.name, parameter.shape, tensor(&parameter.name).data.clone());
        }
        let (input, expected) = (tensor("input"), &tensor("expected").data);
        let slices = if graph.dims() == Dims::Two { 1 } else { input.shape[2] };
        let [count, channels, .., rows, columns] = input.shape[..] else { panic!("images have rows and columns") };
        let largest = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        for (kernel, algorithm) in
            kernels_here().into_iter().flat_map(|k| [(k, Algorithm::Exact), (k, Algorithm::Fastest)])
        {
            let options = EngineOptions { kernel, algorithm, threads: 1, ..EngineOptions::default() };
            let engine = Engine::new(&graph, &weights, options).unwrap();
            let found = engine.run(&input.data, [count, channels, slices, rows, columns]).unwrap();
            assert_eq!(found.len(), expected.len(), "{name}");
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() <= 1e-5 * largest, "{name}, {kernel:?}, {algorithm:?}: {f} instead of {e}");
            }
        }
    }
}
