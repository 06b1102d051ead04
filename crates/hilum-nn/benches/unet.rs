//! Time of whole networks on the CPU engine.
//!
//! `cargo bench -p hilum-nn` prints the time per slice or patch for every set of kernels and one or two threads.
//! The arguments are the threads. Items per second are multiply-adds, to compare with the processor's peak.

use divan::Bencher;
use divan::counter::ItemsCount;
use hilum_nn::{
    Activation, Algorithm, Calibration, Dims, Engine, EngineOptions, Graph, Kernel, Norm, Precision, Stem, UNet,
    Weights,
};

fn main() {
    divan::main();
}

/// Numbers around zero; the time does not depend on them as long as none is denormal.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as u32).wrapping_mul(2_654_435_761) as f32 / 4e9 - 0.5).collect()
}

fn weights(graph: &Graph) -> Weights {
    let mut weights = Weights::new();
    for parameter in graph.parameters() {
        let count: usize = parameter.shape.iter().product();
        let inputs = (count / parameter.shape[0]) as f32;
        let mut data: Vec<f32> = numbers(count).iter().map(|v| v * (12.0 / inputs).sqrt()).collect();
        if parameter.name.ends_with("running_var") {
            data.fill(1.0);
        }
        weights.insert(parameter.name, parameter.shape, data);
    }
    weights
}

fn bench(bencher: Bencher<'_, '_>, unet: UNet, kernel: Kernel, threads: usize, count: usize, size: [usize; 3]) {
    let options = EngineOptions { threads, kernel, ..EngineOptions::default() };
    bench_with(bencher, unet, options, count, size);
}

fn bench_with(bencher: Bencher<'_, '_>, unet: UNet, options: EngineOptions, count: usize, size: [usize; 3]) {
    let graph = unet.graph().expect("a valid network");
    let weights = weights(&graph);
    let input = numbers(count * size.iter().product::<usize>());
    let shape = [count, 1, size[0], size[1], size[2]];
    let calibration = match options.precision {
        Precision::Int8 => {
            let exact = EngineOptions { precision: Precision::F32, ..options };
            let exact = Engine::new(&graph, &weights, exact).expect("f32 runs everywhere");
            exact.calibrate(&input, shape).expect("the size fits")
        }
        _ => Calibration::default(),
    };
    let Ok(engine) = Engine::with_calibration(&graph, &weights, options, &calibration) else {
        eprintln!("skipped: this processor lacks the instructions");
        return;
    };
    bencher
        .counter(ItemsCount::new(graph.multiply_adds(size) * count as u64))
        .bench(|| engine.run(&input, shape).expect("the size fits"));
}

fn unet(dims: Dims, stem: Stem, channels: &[usize]) -> UNet {
    let (norm, activation) = match dims {
        Dims::Two => (Norm::Batch, Activation::Relu),
        Dims::Three => (Norm::Instance, Activation::LeakyRelu),
    };
    let channels = channels.to_vec();
    UNet { dims, input_channels: 1, output_channels: 3, stem, channels, convs_per_stage: 2, norm, activation }
}

fn plain() -> UNet {
    unet(Dims::Two, Stem::Full, &[16, 32, 64, 128, 256])
}

#[divan::bench(args = [1, 2])]
fn plain_16_256(bencher: Bencher<'_, '_>, threads: usize) {
    bench(bencher, plain(), Kernel::Auto, threads, 1, [1, 256, 256]);
}

#[divan::bench(args = [1, 2])]
fn plain_16_256_eight_slices(bencher: Bencher<'_, '_>, threads: usize) {
    bench(bencher, plain(), Kernel::Auto, threads, 8, [1, 256, 256]);
}

#[divan::bench(args = [1, 2])]
fn plain_16_256_exact(bencher: Bencher<'_, '_>, threads: usize) {
    let options = EngineOptions { threads, algorithm: Algorithm::Exact, ..EngineOptions::default() };
    bench_with(bencher, plain(), options, 1, [1, 256, 256]);
}

#[divan::bench(args = [Precision::Bf16, Precision::Int8])]
fn plain_16_256_small_numbers(bencher: Bencher<'_, '_>, precision: Precision) {
    let options = EngineOptions { threads: 1, precision, ..EngineOptions::default() };
    bench_with(bencher, plain(), options, 1, [1, 256, 256]);
}

#[divan::bench(args = [1])]
fn plain_16_256_avx2(bencher: Bencher<'_, '_>, threads: usize) {
    bench(bencher, plain(), Kernel::Avx2, threads, 1, [1, 256, 256]);
}

#[divan::bench(args = [1], sample_count = 10)]
fn plain_16_256_portable(bencher: Bencher<'_, '_>, threads: usize) {
    bench(bencher, plain(), Kernel::Scalar, threads, 1, [1, 256, 256]);
}

#[divan::bench(args = [1, 2])]
fn half_stem_24_160(bencher: Bencher<'_, '_>, threads: usize) {
    bench(bencher, unet(Dims::Two, Stem::Half, &[24, 48, 96, 160]), Kernel::Auto, threads, 1, [1, 256, 256]);
}

#[divan::bench(args = [1, 2], sample_count = 5)]
fn three_dimensional_16_128(bencher: Bencher<'_, '_>, threads: usize) {
    bench(bencher, unet(Dims::Three, Stem::Full, &[16, 32, 64, 128]), Kernel::Auto, threads, 1, [96, 96, 96]);
}
