//! Writes networks as ONNX, each with an input and the logits of our engine, for another runtime to repeat.
//!
//! `cargo run -p hilum-nn --example onnx_cases -- DIR`; `cargo xtask onnx` runs it and has ONNX Runtime compare. For each
//! case DIR receives `NAME.onnx`, `NAME.input.f32` and `NAME.logits.f32` (raw little-endian), and `cases.json` lists the
//! names with their shapes.

use std::error::Error;
use std::path::Path;

use hilum_nn::{
    Activation, Dims, Engine, EngineOptions, Graph, GraphError, ModelCard, Node, NodeId, Norm, Op, Stem, UNet, Weights,
    to_onnx,
};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("say where to write: onnx_cases DIR")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let mut cases = Vec::new();

    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/pneumonia-ct");
    let card = ModelCard::from_toml(&std::fs::read_to_string(models.join("card.toml"))?)?;
    let weights = std::fs::read(models.join(&card.weights.file))?;
    let model = card.with_weights(&weights)?;
    let network = (&model.graph, &model.weights, model.to_onnx()?);
    cases.push(case(folder, "pneumonia-ct", network, 2, [1, 48, 80])?);

    for dims in [Dims::Two, Dims::Three] {
        for stem in [Stem::Full, Stem::Half] {
            for (norm, activation) in [(Norm::Batch, Activation::LeakyRelu), (Norm::Instance, Activation::Relu)] {
                for (channels, multiple) in [(vec![9], [3, 5, 7]), (vec![8, 17, 20], [1, 3, 2])] {
                    let name = format!("{dims:?}-{stem:?}-{norm:?}-{}", channels.len()).to_lowercase();
                    let unet = UNet {
                        dims,
                        input_channels: 2,
                        output_channels: 3,
                        stem,
                        channels,
                        convs_per_stage: 2,
                        norm,
                        activation,
                    };
                    let graph = unet.graph()?;
                    let weights = weights_for(&graph);
                    let divisor = graph.size_divisor();
                    let mut size = std::array::from_fn(|axis| divisor[axis] * multiple[axis]);
                    if dims == Dims::Two {
                        size[0] = 1;
                    }
                    let bytes = to_onnx(&graph, &weights)?;
                    cases.push(case(folder, &name, (&graph, &weights, bytes), 3, size)?);
                }
            }
        }
    }
    for (name, dims, layers, size) in others() {
        let graph = chain(dims, &layers)?;
        let weights = weights_for(&graph);
        let bytes = to_onnx(&graph, &weights)?;
        cases.push(case(folder, name, (&graph, &weights, bytes), 2, size)?);
    }
    std::fs::write(folder.join("cases.json"), serde_json::to_string_pretty(&cases)?)?;
    Ok(())
}

/// What a U-Net does not have.
fn others() -> Vec<(&'static str, Dims, Vec<Op>, [usize; 3])> {
    let conv = |out_channels, kernel: [usize; 3], stride, dilation: [usize; 3], groups| {
        let padding = std::array::from_fn(|axis| (kernel[axis] - 1) * dilation[axis] / 2);
        Op::Conv { out_channels, kernel, stride, padding, dilation, groups }
    };
    let dilated = conv(12, [1, 3, 3], [1; 3], [1, 2, 2], 2);
    let depthwise = conv(12, [1, 5, 5], [1; 3], [1; 3], 12);
    let deep = conv(9, [3; 3], [1; 3], [1, 2, 1], 3);
    let leaky = Op::LeakyRelu { slope: 0.2 };
    let down = |out| conv(out, [3; 3], [2; 3], [1; 3], 1);
    vec![
        (
            "residual",
            Dims::Two,
            vec![conv(12, [1; 3], [1; 3], [1; 3], 1), dilated, Op::Add, leaky, depthwise, Op::Add],
            [1, 9, 7],
        ),
        ("residual-3d", Dims::Three, vec![conv(9, [1; 3], [1; 3], [1; 3], 1), deep, Op::Add, Op::Relu], [5, 4, 6]),
        (
            "classifier",
            Dims::Three,
            vec![down(10), Op::Relu, Op::GlobalAveragePool, Op::Linear { out_channels: 3 }],
            [4, 6, 8],
        ),
    ]
}

/// Layers one after another; a sum also reads what the layer before it reads.
fn chain(dims: Dims, layers: &[Op]) -> Result<Graph, GraphError> {
    let node = |(index, &op): (usize, &Op)| {
        let inputs = match op {
            Op::Add => vec![NodeId(index - 1), NodeId(index)],
            _ => vec![NodeId(index)],
        };
        Node { name: format!("layer{index}"), op, inputs }
    };
    Graph::new(dims, 2, layers.iter().enumerate().map(node).collect(), NodeId(layers.len()))
}

/// Writes the files of one case and tells what is in them.
fn case(
    folder: &Path,
    name: &str,
    (graph, weights, onnx): (&Graph, &Weights, Vec<u8>),
    count: usize,
    size: [usize; 3],
) -> Result<Value, Box<dyn Error>> {
    let engine = Engine::new(graph, weights, EngineOptions::default())?;
    let shape = |channels: usize| [count, channels, size[0], size[1], size[2]];
    let mut random = Random(7);
    let input: Vec<f32> = (0..shape(graph.input_channels()).iter().product()).map(|_| random.next()).collect();
    let logits = engine.run(&input, shape(graph.input_channels()))?;
    let raw = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    std::fs::write(folder.join(format!("{name}.onnx")), onnx)?;
    std::fs::write(folder.join(format!("{name}.input.f32")), raw(&input))?;
    std::fs::write(folder.join(format!("{name}.logits.f32")), raw(&logits))?;
    let axes = |channels: usize| match graph.dims() {
        Dims::Two => vec![count, channels, size[1], size[2]],
        Dims::Three => shape(channels).to_vec(),
    };
    let classes = || vec![count, graph.output_channels()];
    let logits = if graph.is_classifier() { classes() } else { axes(graph.output_channels()) };
    Ok(json!({ "name": name, "input": axes(graph.input_channels()), "logits": logits }))
}

/// Weights under which values neither vanish nor grow from layer to layer.
fn weights_for(graph: &Graph) -> Weights {
    let mut random = Random(11);
    let mut weights = Weights::new();
    for parameter in graph.parameters() {
        let count: usize = parameter.shape.iter().product();
        let scale = (6.0 * parameter.shape[0] as f32 / count as f32).sqrt();
        let value = |random: &mut Random| match parameter.name.rsplit_once('.').map_or("", |(_, suffix)| suffix) {
            "running_var" => 1.0 + 0.5 * random.next(),
            "weight" if parameter.shape.len() == 1 => 1.0 + 0.5 * random.next(),
            "weight" => scale * random.next(),
            _ => 0.3 * random.next(),
        };
        let data = (0..count).map(|_| value(&mut random)).collect();
        weights.insert(parameter.name, parameter.shape, data);
    }
    weights
}

/// Numbers between -1 and 1 from a fixed sequence (Marsaglia's xorshift, doi:10.18637/jss.v008.i14).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
