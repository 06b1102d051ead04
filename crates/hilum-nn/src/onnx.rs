//! Networks as ONNX files, for runtimes other than our own engine.
//!
//! Every layer becomes the ONNX operator of the same meaning, under the same name; weights lie in the file; nothing is
//! fused, folded or rewritten, so the file says what the [`Graph`] says. Reading ONNX is left to ONNX Runtime (feature
//! `onnxruntime`).

mod proto;

use prost::Message;

use crate::card::{Model, ModelCard};
use crate::graph::{Dims, Graph, Node, NodeId, Op};
use crate::weights::{Weights, WeightsError};
use proto::{Attribute, Dimension, DimensionValue, FLOAT, ValueInfo, attribute_type};

/// The version of ONNX's operator set that exported files ask for: that of ONNX 1.12 (2022), which every runtime of the
/// last years reads. The newest operator used is `LeakyRelu`, of version 16.
pub const ONNX_OPSET: i64 = 17;

/// The file format that came with [`ONNX_OPSET`].
const IR_VERSION: i64 = 8;

/// Name of the network's input in an exported file: `[n, channel, (slice,) row, column]`, 32-bit floats.
pub const ONNX_INPUT: &str = "image";

/// Name of the network's output in an exported file: `[n, channel, (slice,) row, column]`, of a classifier
/// `[n, channel]`, 32-bit floats.
pub const ONNX_OUTPUT: &str = "logits";

/// A protobuf message must stay below 2 GiB, and ONNX Runtime keeps to it.
const BYTES_MAX: usize = i32::MAX as usize;

/// Why a network cannot be written as ONNX.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The weights do not belong to the network.
    #[error("the weights do not fit the network")]
    Weights(#[from] WeightsError),
    /// The file would be larger than the format allows.
    #[error("the network needs {bytes} bytes, an ONNX file holds {BYTES_MAX} at most")]
    TooLarge {
        /// Size of the file.
        bytes: usize,
    },
}

impl Model {
    /// The bytes of an ONNX file: network, weights and, as metadata, the card.
    ///
    /// Metadata are `name`, `version`, `licence`, `intended_use`, `limits`, `outputs`, `size_divisor`, `input` (how HU
    /// become the grey values the network reads) and `card`, the whole card as TOML. See [`to_onnx`] for the network.
    ///
    /// # Errors
    /// [`OnnxError::TooLarge`] from 2 GiB.
    pub fn to_onnx(&self) -> Result<Vec<u8>, OnnxError> {
        encode(&self.graph, &self.weights, Some(&self.card))
    }
}

/// The bytes of an ONNX file of a network that has no card.
///
/// It has one input, [`ONNX_INPUT`], and one output, [`ONNX_OUTPUT`]: the logits, before any sigmoid, as
/// [`Engine::run`](crate::Engine::run) gives them. The number of inputs and all spatial sizes are free, as long as they
/// are multiples of [`Graph::size_divisor`]; layers and weights keep their names. The same network always gives the
/// same bytes. Opset: [`ONNX_OPSET`].
///
/// # Errors
/// If the weights are not exactly those of the graph, or the file would be larger than 2 GiB.
///
/// ```
/// use hilum_nn::{Dims, Graph, Node, NodeId, Op, Weights, to_onnx};
///
/// let graph = Graph::new(
///     Dims::Two,
///     1,
///     vec![Node { name: "relu".into(), op: Op::Relu, inputs: vec![NodeId::INPUT] }],
///     NodeId(1),
/// )?;
/// std::fs::write(std::env::temp_dir().join("relu.onnx"), to_onnx(&graph, &Weights::new())?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_onnx(graph: &Graph, weights: &Weights) -> Result<Vec<u8>, OnnxError> {
    encode(graph, weights, None)
}

fn encode(graph: &Graph, weights: &Weights, card: Option<&ModelCard>) -> Result<Vec<u8>, OnnxError> {
    weights.check(graph)?;
    let model = proto::Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("hilum".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        doc_string: card.map(|card| card.intended_use.clone()),
        graph: Some(network(graph, weights, card)),
        // ONNX's own operators are the domain without a name.
        opset_import: vec![proto::OperatorSetId { domain: Some(String::new()), version: Some(ONNX_OPSET) }],
        metadata_props: card.map(metadata).unwrap_or_default(),
    };
    match model.encoded_len() {
        bytes if bytes > BYTES_MAX => Err(OnnxError::TooLarge { bytes }),
        _ => Ok(model.encode_to_vec()),
    }
}

fn network(graph: &Graph, weights: &Weights, card: Option<&ModelCard>) -> proto::GraphProto {
    let initializer = graph.parameters().into_iter().map(|parameter| {
        let tensor = weights.get(&parameter.name).expect("checked against the graph");
        proto::TensorProto {
            dims: parameter.shape.iter().map(|&size| size as i64).collect(),
            data_type: Some(FLOAT),
            name: Some(parameter.name),
            raw_data: Some(tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect()),
        }
    });
    let divisor = graph.size_divisor();
    let of_outputs = card.map(|card| card.outputs.iter().map(|o| o.name.as_str()).collect::<Vec<_>>().join(", "));
    proto::GraphProto {
        node: graph.nodes().iter().enumerate().flat_map(|(index, node)| layer(graph, index, node)).collect(),
        name: Some(card.map_or("network", |card| card.name.as_str()).into()),
        initializer: initializer.collect(),
        input: vec![value_info(
            graph,
            (ONNX_INPUT, graph.input_channels()),
            format!("sizes [slices, rows, columns] must be multiples of {divisor:?}"),
        )],
        output: vec![value_info(
            graph,
            (ONNX_OUTPUT, graph.output_channels()),
            of_outputs.map_or_else(|| "logits".into(), |names| format!("logits of {names}")),
        )],
    }
}

/// Name of a value in the file. Layers' own names end in `.out`, so that none is taken for input or output.
fn value(graph: &Graph, id: NodeId) -> String {
    match id {
        NodeId::INPUT => ONNX_INPUT.into(),
        id if id == graph.output() => ONNX_OUTPUT.into(),
        id => format!("{}.out", graph.nodes()[id.0 - 1].name),
    }
}

fn value_info(graph: &Graph, (name, channels): (&str, usize), doc_string: String) -> ValueInfo {
    let named = |name: &str| DimensionValue::Named(name.into());
    let mut shape = vec![named("n"), DimensionValue::Fixed(channels as i64)];
    if !(graph.is_classifier() && name == ONNX_OUTPUT) {
        if graph.dims() == Dims::Three {
            shape.push(named("slices"));
        }
        shape.extend([named("rows"), named("columns")]);
    }
    let dim = shape.into_iter().map(|value| Dimension { value: Some(value) }).collect();
    let tensor = proto::TensorType { elem_type: Some(FLOAT), shape: Some(proto::TensorShape { dim }) };
    ValueInfo {
        name: Some(name.into()),
        r#type: Some(proto::TypeProto { tensor_type: Some(tensor) }),
        doc_string: Some(doc_string),
    }
}

/// The operators of a layer: one, and a flattening behind a global pooling, so that what follows reads `[n, channel]`.
fn layer(graph: &Graph, index: usize, node: &Node) -> Vec<proto::NodeProto> {
    // A two-dimensional network has no slice axis in ONNX, as in PyTorch.
    let axes = |triple: [usize; 3]| match graph.dims() {
        Dims::Two => triple[1..].to_vec(),
        Dims::Three => triple.to_vec(),
    };
    let (op_type, parameters, attribute): (_, &[&str], _) = match node.op {
        Op::Conv { kernel, stride, padding, dilation, groups, .. } => {
            // ONNX lists the padding before every axis, then the padding behind every axis.
            let pads = [axes(padding), axes(padding)].concat();
            let mut attributes =
                vec![ints("kernel_shape", axes(kernel)), ints("strides", axes(stride)), ints("pads", pads)];
            if dilation != [1; 3] {
                attributes.push(ints("dilations", axes(dilation)));
            }
            if groups != 1 {
                attributes.push(int("group", groups as i64));
            }
            ("Conv", &["weight", "bias"], attributes)
        }
        Op::ConvTranspose { kernel, .. } => {
            let attributes = vec![ints("kernel_shape", axes(kernel)), ints("strides", axes(kernel))];
            ("ConvTranspose", &["weight", "bias"], attributes)
        }
        Op::BatchNorm { epsilon } => {
            let parameters = &["weight", "bias", "running_mean", "running_var"];
            ("BatchNormalization", parameters, vec![float("epsilon", epsilon)])
        }
        Op::InstanceNorm { epsilon } => ("InstanceNormalization", &["weight", "bias"], vec![float("epsilon", epsilon)]),
        Op::Relu => ("Relu", &[], vec![]),
        Op::LeakyRelu { slope } => ("LeakyRelu", &[], vec![float("alpha", slope)]),
        Op::MaxPool { size } => ("MaxPool", &[], vec![ints("kernel_shape", axes(size)), ints("strides", axes(size))]),
        Op::Concat => ("Concat", &[], vec![int("axis", 1)]),
        Op::Add => ("Sum", &[], vec![]),
        Op::GlobalAveragePool => ("GlobalAveragePool", &[], vec![]),
        Op::Linear { .. } => ("Gemm", &["weight", "bias"], vec![int("transB", 1)]),
    };
    let values = node.inputs.iter().map(|id| value(graph, *id));
    let parameters = parameters.iter().map(|suffix| format!("{}.{suffix}", node.name));
    let output = value(graph, NodeId(index + 1));
    let mut operator = proto::NodeProto {
        input: values.chain(parameters).collect(),
        output: vec![output.clone()],
        name: Some(node.name.clone()),
        op_type: Some(op_type.into()),
        attribute,
    };
    if node.op != Op::GlobalAveragePool {
        return vec![operator];
    }
    let pooled = format!("{}.grid", node.name);
    operator.output = vec![pooled.clone()];
    let flatten = proto::NodeProto {
        input: vec![pooled],
        output: vec![output],
        name: Some(format!("{}.flatten", node.name)),
        op_type: Some("Flatten".into()),
        attribute: vec![int("axis", 1)],
    };
    vec![operator, flatten]
}

fn int(name: &str, value: i64) -> Attribute {
    let r#type = Some(attribute_type::INT);
    Attribute { name: Some(name.into()), i: Some(value), r#type, ..Attribute::default() }
}

fn ints(name: &str, values: Vec<usize>) -> Attribute {
    let ints = values.into_iter().map(|value| value as i64).collect();
    Attribute { name: Some(name.into()), ints, r#type: Some(attribute_type::INTS), ..Attribute::default() }
}

fn float(name: &str, value: f32) -> Attribute {
    let r#type = Some(attribute_type::FLOAT);
    Attribute { name: Some(name.into()), f: Some(value), r#type, ..Attribute::default() }
}

/// What a user of the file must know, for people and for programs; in the order of the keys.
fn metadata(card: &ModelCard) -> Vec<proto::StringStringEntry> {
    let outputs: Vec<String> = card
        .outputs
        .iter()
        .map(|o| format!("{}: {}; counts from sigmoid(logit) = {}", o.name, o.meaning, o.threshold))
        .collect();
    let input = &card.input;
    let how_to_feed = format!(
        "grey = clamp((HU - {low}) / ({high} - {low}), 0, 1) on pixels of {pixel} mm",
        low = input.window_low_hu,
        high = input.window_high_hu,
        pixel = input.pixel_mm,
    );
    let entries = [
        ("card", card.to_toml()),
        ("input", how_to_feed),
        ("intended_use", card.intended_use.clone()),
        ("licence", card.licence.clone()),
        ("limits", card.limits.join("\n")),
        ("name", card.name.clone()),
        ("outputs", outputs.join("\n")),
        ("size_divisor", format!("{:?}", input.size_divisor)),
        ("version", card.version.clone()),
    ];
    let entry = |(key, value): (&str, String)| proto::StringStringEntry { key: Some(key.into()), value: Some(value) };
    entries.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests;
