//! Convolutions in bfloat16 and 8-bit integers: close to `f32`, and the same from every kernel.

use hilum_nn::{
    Algorithm, Calibration, Dims, Engine, EngineError, EngineOptions, Graph, Kernel, Node, NodeId, Op, Precision,
};

use crate::engine::{Numbers, kernels_here, weights_for};

/// Behind a first layer that stays in `f32` and before a last one that does.
fn between(dims: Dims, layers: &[Op]) -> Graph {
    let mut ops = vec![Op::conv(24, [1; 3], [1; 3], [0; 3])];
    ops.extend_from_slice(layers);
    let mut nodes: Vec<Node> = Vec::new();
    for (index, op) in ops.into_iter().enumerate() {
        let inputs = match op {
            Op::Concat => vec![NodeId(index - 1), NodeId(index)],
            _ => vec![NodeId(index)],
        };
        nodes.push(Node { name: format!("layer{index}"), op, inputs });
    }
    let head = Op::conv(2, [1; 3], [1; 3], [0; 3]);
    nodes.push(Node { name: "head".into(), op: head, inputs: vec![NodeId(nodes.len())] });
    let output = NodeId(nodes.len());
    Graph::new(dims, 2, nodes, output).unwrap()
}

fn engine(
    graph: &Graph,
    kernel: Kernel,
    precision: Precision,
    calibration: &Calibration,
) -> Result<Engine, EngineError> {
    let options = EngineOptions { threads: 2, kernel, precision, ..EngineOptions::default() };
    Engine::with_calibration(graph, &weights_for(graph), options, calibration)
}

#[test]
fn small_numbers_stay_close() {
    let leaky = Op::LeakyRelu { slope: 0.1 };
    let plane = |out| Op::conv(out, [1, 3, 3], [1; 3], [0, 1, 1]);
    let dilated = Op::Conv {
        out_channels: 16,
        kernel: [1, 3, 3],
        stride: [1; 3],
        padding: [0, 2, 2],
        dilation: [1, 2, 2],
        groups: 1,
    };
    let cases: [(&str, Dims, &[Op], [usize; 3]); 8] = [
        ("inputs above zero", Dims::Two, &[Op::Relu, plane(40), Op::Relu], [1, 9, 30]),
        ("inputs of both signs", Dims::Two, &[leaky, plane(17), leaky], [1, 5, 13]),
        ("one pixel", Dims::Two, &[plane(16)], [1, 1, 1]),
        ("two inputs", Dims::Two, &[Op::Relu, Op::Concat, plane(32)], [1, 6, 7]),
        ("holes", Dims::Two, &[dilated], [1, 6, 7]),
        (
            "steps",
            Dims::Two,
            &[Op::conv(20, [1, 3, 3], [1, 2, 2], [0, 1, 1]), Op::ConvTranspose { out_channels: 5, kernel: [1, 2, 2] }],
            [1, 6, 8],
        ),
        (
            "depth and norm",
            Dims::Three,
            &[Op::conv(16, [3; 3], [1; 3], [1; 3]), Op::InstanceNorm { epsilon: 1e-5 }],
            [4, 5, 6],
        ),
        ("one row and twenty-five columns", Dims::Two, &[plane(48), leaky, plane(16)], [1, 1, 25]),
    ];
    for (what, dims, layers, size) in cases {
        let graph = between(dims, layers);
        let input = Numbers(11).take(2 * 2 * size.iter().product::<usize>());
        let shape = [2, 2, size[0], size[1], size[2]];
        let exact = engine(&graph, Kernel::Auto, Precision::F32, &Calibration::default()).unwrap();
        let calibration = exact.calibrate(&input, shape).unwrap();
        let expected = exact.run(&input, shape).unwrap();
        let largest = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        // One rounding of inputs and weights: 2^-9 of each number in bfloat16, half of 1/255 and 1/127 of the largest in
        // 8-bit integers; sums of dozens of such errors, as a share of the largest result.
        for (precision, tolerance) in [(Precision::Bf16, 0.02), (Precision::Int8, 0.06)] {
            let mut first: Option<Vec<f32>> = None;
            for kernel in kernels_here() {
                let Ok(engine) = engine(&graph, kernel, precision, &calibration) else { continue };
                let found = engine.run(&input, shape).unwrap();
                let difference = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                let worst = difference(&found, &expected) / largest;
                assert!(worst <= tolerance, "{what}, {kernel:?}, {precision:?}: differs by {worst}");
                assert!(worst > 0.0, "{what}, {kernel:?}, {precision:?}: small numbers are used");
                // Every set makes the same small numbers of the same floats; but the layer before differs in its last
                // bits, and a rounding that falls the other way moves one of dozens of products by one step.
                let between_kernels = difference(first.get_or_insert(found.clone()), &found) / largest;
                assert!(
                    between_kernels <= 4e-3,
                    "{what}, {kernel:?}, {precision:?}: kernels differ by {between_kernels}"
                );
            }
            assert!(first.is_some(), "the portable kernels run everywhere");
        }
    }
}

#[test]
fn small_numbers_are_refused_where_they_cannot_be() {
    let graph = between(Dims::Two, &[Op::conv(16, [1, 3, 3], [1; 3], [0, 1, 1])]);
    let options = EngineOptions { precision: Precision::Int8, kernel: Kernel::Scalar, ..EngineOptions::default() };
    let refused = Engine::new(&graph, &weights_for(&graph), options).unwrap_err();
    assert_eq!(refused.to_string(), "layer `layer1` is not calibrated for 8-bit integers");
    for kernel in [Kernel::Avx2, Kernel::Neon].into_iter().filter(|kernel| kernels_here().contains(kernel)) {
        let refused = engine(&graph, kernel, Precision::Bf16, &Calibration::default()).unwrap_err();
        assert!(matches!(refused, EngineError::PrecisionUnavailable { .. }), "{refused}");
    }
}

#[test]
fn calibrations_join_and_last() {
    let graph = between(Dims::Two, &[Op::conv(16, [1, 3, 3], [1; 3], [0, 1, 1])]);
    let options = EngineOptions { algorithm: Algorithm::Exact, threads: 1, ..EngineOptions::default() };
    let engine = Engine::new(&graph, &weights_for(&graph), options).unwrap();
    let [one, two] = [1, 2].map(|seed| Numbers(seed).take(2 * 30));
    let shape = [1, 2, 1, 5, 6];
    let both = engine.calibrate(&[one.clone(), two.clone()].concat(), [2, 2, 1, 5, 6]).unwrap();
    let mut joined = engine.calibrate(&one, shape).unwrap();
    assert_ne!(joined, both);
    joined.merge(&engine.calibrate(&two, shape).unwrap());
    assert_eq!(joined, both);
    let text = serde_json::to_string(&both).unwrap();
    assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), both);
}
