//! The engine against the obvious interpreter of `naive`, on every set of kernels this processor has.

use hilum_nn::{
    Activation, Algorithm, Dims, Engine, EngineError, EngineOptions, Graph, Kernel, Node, NodeId, Norm, Op, Stem, UNet,
    Weights, available_kernels,
};

use crate::naive;

/// Largest difference allowed, as a share of the largest result: sums of some thousand `f32` products in another
/// order than the reference differ by about the square root of their number times 6e-8. 2e-6 was seen.
const TOLERANCE: f64 = 1e-5;

/// Numbers between -1 and 1 from a fixed sequence (Marsaglia's xorshift, doi:10.18637/jss.v008.i14).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Weights of the size a trained network has, so that values neither vanish nor grow from layer to layer.
pub(crate) fn weights_for(graph: &Graph) -> Weights {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut weights = Weights::new();
    for parameter in graph.parameters() {
        let count = parameter.shape.iter().product();
        let inputs = count / parameter.shape[0];
        let scale = if parameter.shape.len() > 1 { (3.0 / inputs as f32).sqrt() } else { 0.3 };
        let shift =
            if parameter.name.ends_with("running_var") || parameter.name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        let values = numbers.take(count).into_iter().map(|v| v * scale + shift).collect();
        weights.insert(parameter.name, parameter.shape, values);
    }
    weights
}

pub(crate) fn kernels_here() -> Vec<Kernel> {
    available_kernels().into_iter().filter(|status| status.is_available()).map(|status| status.kernel).collect()
}

fn options(kernel: Kernel, threads: usize) -> EngineOptions {
    EngineOptions { threads, kernel, ..EngineOptions::default() }
}

/// Runs `count` inputs of `size` on every kernel, both algorithms, with one and three threads, and compares them with the
/// interpreter.
pub(crate) fn check(what: &str, graph: &Graph, count: usize, size: [usize; 3]) {
    let weights = weights_for(graph);
    let voxels: usize = size.iter().product();
    let per_input = graph.input_channels() * voxels;
    let input = Numbers(7).take(count * per_input);
    let expected: Vec<f64> =
        input.chunks_exact(per_input).flat_map(|one| naive::run(graph, &weights, one, size)).collect();
    let largest = expected.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    assert!(largest > 1e-3, "{what}: the reference is all but zero, so the comparison would prove nothing");
    for kernel in kernels_here() {
        let mut first: Option<Vec<f32>> = None;
        for (algorithm, threads) in [Algorithm::Exact, Algorithm::Fastest].into_iter().flat_map(|a| [(a, 1), (a, 3)]) {
            if threads == 1 {
                first = None;
            }
            let options = EngineOptions { algorithm, ..options(kernel, threads) };
            let engine = Engine::new(graph, &weights, options).unwrap();
            let shape = [count, graph.input_channels(), size[0], size[1], size[2]];
            let found = engine.run(&input, shape).unwrap();
            assert_eq!(found.len(), expected.len(), "{what}");
            let worst = found.iter().zip(&expected).map(|(&f, e)| (f64::from(f) - e).abs()).fold(0.0, f64::max);
            assert!(
                worst <= TOLERANCE * largest,
                "{what}, {kernel:?}, {algorithm:?}, {threads} threads: differs by {worst:e} of at most {largest}"
            );
            assert_eq!(*first.get_or_insert(found.clone()), found, "{what}, {kernel:?}: depends on the threads");
            assert_eq!(engine.run(&input, shape).unwrap(), found, "{what}, {kernel:?}: buffers are not clean");
        }
    }
}

fn node(name: &str, op: Op, inputs: &[usize]) -> Node {
    Node { name: name.into(), op, inputs: inputs.iter().copied().map(NodeId).collect() }
}

fn conv(out_channels: usize, kernel: [usize; 3], stride: [usize; 3]) -> Op {
    // The padding that keeps the grid: the graph asks for 1 <= kernel - 2 padding <= stride.
    Op::conv(out_channels, kernel, stride, kernel.map(|k| (k - 1) / 2))
}

fn same(out_channels: usize, kernel: usize) -> Op {
    conv(out_channels, [1, kernel, kernel], [1; 3])
}

fn up(out_channels: usize, kernel: [usize; 3]) -> Op {
    Op::ConvTranspose { out_channels, kernel }
}

fn graph(dims: Dims, input_channels: usize, nodes: Vec<Node>) -> Graph {
    let output = NodeId(nodes.len());
    Graph::new(dims, input_channels, nodes, output).unwrap()
}

#[test]
fn convolutions() {
    struct Case {
        adds: &'static str,
        inputs: usize,
        outputs: usize,
        kernel: [usize; 3],
        size: [usize; 3],
    }
    let case = |adds, inputs, outputs, kernel, size| Case { adds, inputs, outputs, kernel, size };
    let cases = [
        case("the plainest", 1, 1, [1, 1, 1], [1, 4, 4]),
        case("padding", 1, 3, [1, 3, 3], [1, 5, 7]),
        case("one voxel: the kernel sees only padding around it", 2, 5, [1, 3, 3], [1, 1, 1]),
        case("one column", 3, 16, [1, 3, 3], [1, 9, 1]),
        case("one row", 3, 16, [1, 3, 3], [1, 1, 13]),
        case("exactly one block in and out", 16, 16, [1, 3, 3], [1, 6, 12]),
        case("more than one block, the last not full", 17, 33, [1, 3, 3], [1, 4, 25]),
        case("three output blocks as a group of three", 20, 48, [1, 3, 3], [1, 3, 17]),
        case("five output blocks", 8, 70, [1, 3, 3], [1, 3, 11]),
        case("kernel 5", 4, 18, [1, 5, 5], [1, 6, 9]),
        case("kernel 7, wider than the input", 3, 4, [1, 7, 7], [1, 4, 3]),
        case("kernel of unequal sides", 3, 4, [1, 1, 5], [1, 4, 6]),
        case("kernel depth", 5, 18, [3, 3, 3], [4, 5, 6]),
        case("depth only", 5, 6, [3, 1, 1], [3, 2, 2]),
        case("one slice under a deep kernel", 2, 6, [3, 3, 3], [1, 4, 4]),
    ];
    for Case { adds, inputs, outputs, kernel, size } in cases {
        let dims = if kernel[0] == 1 { Dims::Two } else { Dims::Three };
        check(adds, &graph(dims, inputs, vec![node("a", conv(outputs, kernel, [1; 3]), &[0])]), 2, size);
    }
}

#[test]
fn every_row_width_and_tile() {
    for width in 1..=40 {
        let graph = graph(Dims::Two, 3, vec![node("a", same(20, 3), &[0])]);
        check(&format!("width {width}"), &graph, 1, [1, 2, width]);
    }
}

#[test]
fn strides_down_and_transposed_up() {
    // Strides 2 and 3 in every kernel they admit, brought back by the transposed convolution.
    for (stride, kernel) in [(2, 1), (2, 2), (2, 3), (2, 4), (3, 3), (3, 5), (4, 4), (4, 7)] {
        for columns in [1, 2, 7] {
            let nodes = vec![
                node("a", conv(19, [1, kernel, kernel], [1, stride, stride]), &[0]),
                node("b", up(3, [1, stride, stride]), &[1]),
            ];
            let what = format!("kernel {kernel}, stride {stride}, {columns} columns");
            check(&what, &graph(Dims::Two, 2, nodes), 1, [1, 2 * stride, columns * stride]);
        }
    }
    let nodes = vec![
        node("a", conv(17, [3, 3, 3], [2, 2, 2]), &[0]),
        node("b", up(33, [2, 1, 2]), &[1]),
        node("c", up(2, [1, 2, 1]), &[2]),
    ];
    check("three axes", &graph(Dims::Three, 1, nodes), 2, [4, 6, 2]);
}

#[test]
fn norms_and_activations_fused_or_not() {
    let leaky = Op::LeakyRelu { slope: 0.2 };
    let batch = Op::BatchNorm { epsilon: 1e-3 };
    let instance = Op::InstanceNorm { epsilon: 1e-5 };
    let tail = |ops: &[Op]| {
        let mut nodes = vec![node("a", same(18, 3), &[0])];
        for (i, &op) in ops.iter().enumerate() {
            nodes.push(node(&format!("{i}.norm"), op, &[i + 1]));
        }
        graph(Dims::Two, 2, nodes)
    };
    let cases: [(&str, &[Op]); 11] = [
        ("activation", &[Op::Relu]),
        ("leaky activation", &[leaky]),
        ("batch norm", &[batch]),
        ("batch norm and activation", &[batch, Op::Relu]),
        ("instance norm", &[instance]),
        ("instance norm and activation", &[instance, leaky]),
        ("two batch norms", &[batch, batch]),
        ("activation before the norm", &[Op::Relu, batch, leaky]),
        ("activation before the instance norm", &[leaky, instance, Op::Relu]),
        ("both norms", &[instance, batch, Op::Relu]),
        ("activation twice", &[leaky, leaky]),
    ];
    for (what, ops) in cases {
        check(what, &tail(ops), 2, [1, 5, 6]);
    }
    let ops = [node("norm", instance, &[0]), node("r", Op::Relu, &[1]), node("b.norm", batch, &[2])];
    check("no convolution at all", &graph(Dims::Three, 20, ops.to_vec()), 1, [3, 5, 2]);
    let transposed = vec![
        node("p", Op::MaxPool { size: [1, 2, 2] }, &[0]),
        node("a", up(5, [1, 2, 2]), &[1]),
        node("b.norm", batch, &[2]),
        node("c.norm", instance, &[3]),
        node("d", leaky, &[4]),
    ];
    check("behind a transposed convolution", &graph(Dims::Two, 3, transposed), 1, [1, 4, 6]);
}

#[test]
fn values_read_more_than_once_are_not_fused_away() {
    let nodes = vec![
        node("a", same(6, 3), &[0]),
        node("norm", Op::BatchNorm { epsilon: 1e-5 }, &[1]),
        node("c", Op::Relu, &[2]),
        node("d", Op::Concat, &[1, 2, 3, 0]),
        node("e", same(4, 3), &[4]),
    ];
    check("before and after norm and activation", &graph(Dims::Two, 2, nodes), 1, [1, 4, 5]);
    let dead = vec![node("a", same(6, 3), &[0]), node("unused", Op::Relu, &[1]), node("b", same(2, 1), &[1])];
    check("a layer nothing reads", &graph(Dims::Two, 2, dead), 1, [1, 4, 5]);
}

#[test]
fn pooling() {
    for (size, block) in [([1, 4, 6], [1, 2, 2]), ([1, 3, 9], [1, 1, 3]), ([4, 4, 2], [2, 4, 1])] {
        let dims = if block[0] == 1 { Dims::Two } else { Dims::Three };
        let nodes = vec![node("a", Op::MaxPool { size: block }, &[0]), node("b", up(2, block), &[1])];
        check(&format!("block {block:?}"), &graph(dims, 19, nodes), 2, size);
    }
}

#[test]
fn concatenation_with_and_without_a_copy() {
    let nodes = vec![
        node("a", same(10, 3), &[0]),
        node("b", same(20, 1), &[0]),
        node("c", Op::Concat, &[1, 2, 0, 1]),
        node("d", same(5, 3), &[3]),
    ];
    check("read by a convolution", &graph(Dims::Two, 3, nodes.clone()), 1, [1, 5, 6]);
    let mut copied = nodes[..3].to_vec();
    copied.push(node("d", Op::Relu, &[3]));
    copied.push(node("e", Op::Concat, &[3, 4]));
    check("read by others and itself the output", &graph(Dims::Two, 3, copied), 1, [1, 5, 6]);
    let pooled = vec![
        node("a", same(10, 3), &[0]),
        node("b", Op::Concat, &[0, 1]),
        node("c", Op::MaxPool { size: [1, 2, 2] }, &[2]),
        node("d", up(4, [1, 2, 2]), &[3]),
        node("e", Op::Concat, &[2, 4]),
        node("f", same(2, 3), &[5]),
    ];
    check("pooled, and joined again", &graph(Dims::Two, 3, pooled), 1, [1, 4, 6]);
}

fn unet(dims: Dims, stem: Stem, norm: Norm, channels: &[usize]) -> UNet {
    UNet {
        dims,
        input_channels: 1,
        output_channels: 3,
        stem,
        channels: channels.to_vec(),
        convs_per_stage: 2,
        norm,
        activation: if norm == Norm::Batch { Activation::Relu } else { Activation::LeakyRelu },
    }
}

#[test]
fn whole_networks() {
    let cases = [
        (unet(Dims::Two, Stem::Full, Norm::Batch, &[8, 16, 20]), [1, 16, 24]),
        (unet(Dims::Two, Stem::Half, Norm::Batch, &[24, 48, 96]), [1, 16, 8]),
        (unet(Dims::Two, Stem::Half, Norm::Instance, &[16, 32]), [1, 20, 12]),
        (unet(Dims::Three, Stem::Full, Norm::Instance, &[8, 16]), [4, 8, 6]),
        (unet(Dims::Three, Stem::Half, Norm::Instance, &[5, 9]), [4, 8, 8]),
    ];
    for (unet, size) in cases {
        check(&format!("{unet:?}"), &unet.graph().unwrap(), 4, size);
    }
}

/// The networks of `tests/data`, whose expected logits come from ONNX Runtime (`tests/data/generate.py`).
#[test]
fn onnx_runtime_agrees() {
    let two = unet(Dims::Two, Stem::Half, Norm::Batch, &[4, 6]);
    let three = unet(Dims::Three, Stem::Full, Norm::Instance, &[3, 5]);
    let cases: [(UNet, &str, &[u8]); 2] = [
        (two, include_str!("../data/reference-2d.json"), include_bytes!("../data/reference-2d.safetensors")),
        (three, include_str!("../data/reference-3d.json"), include_bytes!("../data/reference-3d.safetensors")),
    ];
    for (unet, json, file) in cases {
        let graph: Graph = serde_json::from_str(json).unwrap();
        assert_eq!(graph, unet.graph().unwrap(), "the committed description is this network");
        let file = Weights::from_safetensors(file).unwrap();
        let mut weights = Weights::new();
        for (name, tensor) in file.iter().filter(|(name, _)| !["input", "expected"].contains(name)) {
            weights.insert(name, tensor.shape.clone(), tensor.data.clone());
        }
        let (input, expected) = (file.get("input").unwrap(), &file.get("expected").unwrap().data);
        let slices = if graph.dims() == Dims::Two { 1 } else { input.shape[2] };
        let [.., rows, columns] = input.shape[..] else { panic!("an image has rows and columns") };
        let largest = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        for kernel in kernels_here() {
            let engine = Engine::new(&graph, &weights, options(kernel, 2)).unwrap();
            let found = engine.run(&input.data, [input.shape[0], 1, slices, rows, columns]).unwrap();
            assert_eq!(found.len(), expected.len());
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() <= 1e-5 * largest, "{kernel:?}: {f} instead of {e}");
            }
        }
    }
}

#[test]
fn streamed_inputs_give_the_same_logits() {
    let graph = unet(Dims::Two, Stem::Half, Norm::Batch, &[8, 16]).graph().unwrap();
    let engine = Engine::new(&graph, &weights_for(&graph), options(Kernel::Auto, 2)).unwrap();
    let (count, size) = (5, [1, 8, 12]);
    let input = Numbers(3).take(count * 96);
    let expected = engine.run(&input, [count, 1, 1, 8, 12]).unwrap();
    let found: Vec<_> = (0..count).map(|_| std::sync::Mutex::new(Vec::new())).collect();
    let fill = |i: usize, target: &mut [f32]| target.copy_from_slice(&input[i * 96..][..96]);
    engine.run_each(size, count, fill, |i, logits| found[i].lock().unwrap().extend_from_slice(logits)).unwrap();
    let found: Vec<f32> = found.into_iter().flat_map(|one| one.into_inner().unwrap()).collect();
    assert_eq!(found, expected);
}

#[test]
fn infinite_and_missing_values_are_carried_through() {
    let graph = graph(Dims::Two, 1, vec![node("a", same(1, 1), &[0]), node("b", Op::Relu, &[1])]);
    let mut weights = Weights::new();
    weights.insert("a.weight", vec![1, 1, 1, 1], vec![1.0]);
    weights.insert("a.bias", vec![1], vec![0.0]);
    for kernel in kernels_here() {
        let engine = Engine::new(&graph, &weights, options(kernel, 1)).unwrap();
        let input = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.5];
        let found = engine.run(&input, [1, 1, 1, 1, 4]).unwrap();
        assert!(found[0].is_nan(), "{kernel:?}: a NaN must not pass for a number");
        assert_eq!(found[1..], [f32::INFINITY, 0.0, 0.0], "{kernel:?}");
    }
}

#[test]
fn what_cannot_run_is_refused_before_it_runs() {
    let graph = unet(Dims::Two, Stem::Full, Norm::Batch, &[4, 8]).graph().unwrap();
    let weights = weights_for(&graph);
    let engine = Engine::new(&graph, &weights, options(Kernel::Auto, 1)).unwrap();
    let odd = engine.plan([1, 8, 7]).unwrap_err();
    assert!(matches!(odd, EngineError::NotDivisible { divisor: [1, 2, 2], .. }), "{odd}");
    assert_eq!(odd.to_string(), "an input of [1, 8, 7] voxels [slices, rows, columns] must be a multiple of [1, 2, 2]");
    assert!(matches!(engine.plan([1, 0, 8]), Err(EngineError::EmptyInput { .. })));
    assert!(matches!(engine.plan([2, 8, 8]), Err(EngineError::SlicesInTwoDims { slices: 2 })));
    assert!(matches!(engine.run(&[0.0; 128], [1, 2, 1, 8, 8]), Err(EngineError::Channels { found: 2, .. })));
    assert!(matches!(engine.run(&[0.0; 63], [1, 1, 1, 8, 8]), Err(EngineError::Length { expected: 64, found: 63 })));
    assert!(engine.run(&[], [0, 1, 1, 8, 8]).unwrap().is_empty());
    let missing = Engine::new(&graph, &Weights::new(), options(Kernel::Auto, 1)).unwrap_err();
    assert!(matches!(missing, EngineError::Weights(_)));
    let two_threads = Engine::new(&graph, &weights, options(Kernel::Auto, 2)).unwrap();
    let needed = two_threads.plan([1, 64, 64]).unwrap().memory_bytes();
    let limited = |limit| {
        let options = EngineOptions { threads: 2, memory_limit_bytes: Some(limit), ..EngineOptions::default() };
        Engine::new(&graph, &weights, options).unwrap()
    };
    assert!(matches!(limited(needed - 1).plan([1, 64, 64]), Err(EngineError::MemoryLimit { .. })));
    let exact = limited(needed);
    assert_eq!(exact.side_by_side(&exact.plan([1, 64, 64]).unwrap()), 1);
    assert_eq!(limited(2 * needed).side_by_side(&exact.plan([1, 64, 64]).unwrap()), 2);
    for status in available_kernels().into_iter().filter(|status| !status.is_available()) {
        let refused = Engine::new(&graph, &weights, options(status.kernel, 1)).unwrap_err();
        assert!(matches!(refused, EngineError::KernelUnavailable { .. }), "{refused}");
    }
}

#[test]
fn memory_is_shared_between_values() {
    let graph = unet(Dims::Two, Stem::Full, Norm::Batch, &[16, 32, 64]).graph().unwrap();
    // Winograd's products need some memory more, however large the input.
    let options = EngineOptions { algorithm: Algorithm::Exact, ..options(Kernel::Auto, 1) };
    let engine = Engine::new(&graph, &weights_for(&graph), options).unwrap();
    let memory = engine.plan([1, 64, 64]).unwrap().memory_bytes();
    // At full size at most three values of 16 channels live at once (skip, raised, result), one column of margin each
    // side, and the coarser levels need a half and a quarter of that each, beside the input.
    let finest = 64 * 66 * 16 * 4;
    assert!((3 * finest..5 * finest + finest / 2).contains(&memory), "{memory} bytes, finest value {finest}");
}
