//! The files as a reader of ONNX would take them: decoded, shapes inferred from ONNX's own rules, compared with ours.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;
use crate::unet::{Activation, Norm, Stem, UNet};

/// Values between -0.5 and 0.5, all different.
fn weights_for(graph: &Graph) -> Weights {
    let mut weights = Weights::new();
    let mut next = 0_u32;
    for parameter in graph.parameters() {
        let count = parameter.shape.iter().product();
        let mut value = || {
            next += 1;
            next.wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5
        };
        weights.insert(parameter.name, parameter.shape, (0..count).map(|_| value()).collect());
    }
    weights
}

fn decoded(graph: &Graph, weights: &Weights) -> proto::Model {
    proto::Model::decode(to_onnx(graph, weights).unwrap().as_slice()).unwrap()
}

fn attribute<'a>(node: &'a proto::NodeProto, name: &str) -> &'a Attribute {
    node.attribute.iter().find(|a| a.name.as_deref() == Some(name)).unwrap_or_else(|| panic!("{name} is missing"))
}

/// Shape of every value, by the formulas of ONNX's operator documents.
fn inferred(model: &proto::Model, input: &[i64]) -> BTreeMap<String, Vec<i64>> {
    let graph = model.graph.as_ref().unwrap();
    let mut shapes: BTreeMap<String, Vec<i64>> =
        graph.initializer.iter().map(|t| (t.name.clone().unwrap(), t.dims.clone())).collect();
    shapes.insert(graph.input[0].name.clone().unwrap(), input.to_vec());
    for node in &graph.node {
        let inputs: Vec<&Vec<i64>> = node
            .input
            .iter()
            .map(|name| shapes.get(name).unwrap_or_else(|| panic!("{name} is not known yet")))
            .collect();
        let data = inputs[0];
        let spatial = data.len() - 2;
        let channels_are = |tensors: &[&Vec<i64>]| assert!(tensors.iter().all(|t| t[..] == data[1..2]), "{node:?}");
        let steps = |sizes: &[i64], pads: &[i64]| -> Vec<i64> {
            let (kernel, stride) = (&attribute(node, "kernel_shape").ints, &attribute(node, "strides").ints);
            assert_eq!((kernel.len(), stride.len(), pads.len()), (spatial, spatial, 2 * spatial));
            (0..spatial).map(|a| (sizes[a] + pads[a] + pads[a + spatial] - kernel[a]) / stride[a] + 1).collect()
        };
        let shape = match node.op_type.as_deref().unwrap() {
            "Conv" => {
                let [weight, bias] = inputs[1..] else { panic!("a convolution has weight and bias") };
                assert_eq!((weight[1], &weight[..1]), (data[1], &bias[..]));
                assert_eq!(weight[2..], attribute(node, "kernel_shape").ints);
                let sizes = steps(&data[2..], &attribute(node, "pads").ints);
                [vec![data[0], weight[0]], sizes].concat()
            }
            "ConvTranspose" => {
                let [weight, bias] = inputs[1..] else { panic!("a transposed convolution has weight and bias") };
                assert_eq!((weight[0], &weight[1..2]), (data[1], &bias[..]));
                let (kernel, stride) = (&attribute(node, "kernel_shape").ints, &attribute(node, "strides").ints);
                let sizes = (0..spatial).map(|a| stride[a] * (data[2 + a] - 1) + kernel[a]).collect();
                [vec![data[0], weight[1]], sizes].concat()
            }
            "BatchNormalization" => {
                assert_eq!(inputs.len(), 5);
                channels_are(&inputs[1..]);
                data.clone()
            }
            "InstanceNormalization" => {
                assert_eq!(inputs.len(), 3);
                channels_are(&inputs[1..]);
                data.clone()
            }
            "Relu" | "LeakyRelu" => data.clone(),
            "MaxPool" => [data[..2].to_vec(), steps(&data[2..], &vec![0; 2 * spatial])].concat(),
            "Concat" => {
                assert_eq!(attribute(node, "axis").i, Some(1));
                assert!(inputs.iter().all(|i| i[0] == data[0] && i[2..] == data[2..]), "{node:?}");
                [vec![data[0], inputs.iter().map(|i| i[1]).sum()], data[2..].to_vec()].concat()
            }
            other => panic!("{other} is not an operator of ours"),
        };
        assert!(shapes.insert(node.output[0].clone(), shape).is_none(), "{node:?} computes a value twice");
    }
    shapes
}

/// `name[n, 1, rows, columns]`.
fn signature(info: &ValueInfo) -> String {
    let tensor = info.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    assert_eq!(tensor.elem_type, Some(FLOAT));
    let dims = tensor.shape.as_ref().unwrap().dim.iter().map(|d| match d.value.as_ref().unwrap() {
        DimensionValue::Fixed(size) => size.to_string(),
        DimensionValue::Named(name) => name.clone(),
    });
    format!("{}[{}]", info.name.as_deref().unwrap(), dims.collect::<Vec<_>>().join(", "))
}

#[test]
fn every_value_has_the_size_the_graph_says() {
    for dims in [Dims::Two, Dims::Three] {
        for (stem, norm, activation) in
            [(Stem::Full, Norm::Batch, Activation::Relu), (Stem::Half, Norm::Instance, Activation::LeakyRelu)]
        {
            let (channels, input_channels, output_channels) = (vec![5, 6, 7], 2, 3);
            let unet =
                UNet { dims, input_channels, output_channels, stem, channels, convs_per_stage: 2, norm, activation };
            let graph = unet.graph().unwrap();
            let weights = weights_for(&graph);
            let model = decoded(&graph, &weights);
            let size = graph.size_divisor().map(|divisor| 3 * divisor);
            let size = if dims == Dims::Two { [1, size[1], size[2]] } else { size };
            let axes = |channels: usize, size: [usize; 3]| -> Vec<i64> {
                let spatial = if dims == Dims::Two { &size[1..] } else { &size[..] };
                [&[4, channels], spatial].concat().into_iter().map(|size| size as i64).collect()
            };
            let shapes = inferred(&model, &axes(2, size));
            for (index, size) in graph.sizes(size).into_iter().enumerate() {
                let expected = axes(graph.channels(NodeId(index)), size);
                assert_eq!(shapes[&value(&graph, NodeId(index))], expected, "value {index} of {unet:?}");
            }
            let network = model.graph.unwrap();
            assert_eq!(network.initializer.len(), weights.len());
            for tensor in &network.initializer {
                let stored = weights.get(tensor.name.as_deref().unwrap()).unwrap();
                let bytes = tensor.raw_data.as_ref().unwrap();
                let values: Vec<f32> =
                    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
                assert_eq!((tensor.data_type, &values), (Some(FLOAT), &stored.data));
            }
            let slices = if dims == Dims::Two { "" } else { "slices, " };
            assert_eq!(signature(&network.input[0]), format!("image[n, 2, {slices}rows, columns]"));
            assert_eq!(signature(&network.output[0]), format!("logits[n, 3, {slices}rows, columns]"));
        }
    }
}

/// One layer of every kind.
fn tiny() -> Graph {
    let conv = |out_channels, stride, padding| Op::conv(out_channels, [1, 3, 3], stride, padding);
    let nodes = [
        ("a", conv(2, [1; 3], [0, 1, 1]), vec![0]),
        ("b", Op::BatchNorm { epsilon: 0.001 }, vec![1]),
        ("c", Op::LeakyRelu { slope: 0.25 }, vec![2]),
        ("d", Op::MaxPool { size: [1, 2, 1] }, vec![3]),
        ("e", Op::InstanceNorm { epsilon: 0.125 }, vec![4]),
        ("f", Op::ConvTranspose { out_channels: 1, kernel: [1, 2, 1] }, vec![5]),
        ("g", Op::Concat, vec![6, 0]),
        ("h", Op::Relu, vec![7]),
    ];
    let node = |(name, op, inputs): (&str, Op, Vec<usize>)| Node {
        name: name.into(),
        op,
        inputs: inputs.into_iter().map(NodeId).collect(),
    };
    Graph::new(Dims::Two, 1, nodes.into_iter().map(node).collect(), NodeId(8)).unwrap()
}

#[test]
fn every_layer_becomes_its_operator() {
    let graph = tiny();
    let model = decoded(&graph, &weights_for(&graph));
    let mut text = String::new();
    for node in &model.graph.unwrap().node {
        let name = node.op_type.as_deref().unwrap();
        write!(text, "{} = {name}({}", node.output.join(", "), node.input.join(", ")).unwrap();
        for attribute in &node.attribute {
            let value = match (attribute.r#type.unwrap(), attribute.f, attribute.i) {
                (attribute_type::FLOAT, Some(f), None) => f.to_string(),
                (attribute_type::INT, None, Some(i)) => i.to_string(),
                (attribute_type::INTS, None, None) => format!("{:?}", attribute.ints),
                _ => panic!("{attribute:?} is not of one type"),
            };
            write!(text, "; {} {value}", attribute.name.as_deref().unwrap()).unwrap();
        }
        text += ")\n";
    }
    let expected = "\
a.out = Conv(image, a.weight, a.bias; kernel_shape [3, 3]; strides [1, 1]; pads [1, 1, 1, 1])
b.out = BatchNormalization(a.out, b.weight, b.bias, b.running_mean, b.running_var; epsilon 0.001)
c.out = LeakyRelu(b.out; alpha 0.25)
d.out = MaxPool(c.out; kernel_shape [2, 1]; strides [2, 1])
e.out = InstanceNormalization(d.out, e.weight, e.bias; epsilon 0.125)
f.out = ConvTranspose(e.out, f.weight, f.bias; kernel_shape [2, 1]; strides [2, 1])
g.out = Concat(f.out, image; axis 1)
logits = Relu(g.out)
";
    assert_eq!(text, expected);
    assert_eq!((model.ir_version, model.opset_import[0].version), (Some(8), Some(17)));
}

/// `tests/data/tiny.onnx` is accepted by `onnx.checker` (`cargo xtask onnx` asks it again), so these bytes are known to be
/// right. `HILUM_BLESS=1` writes them anew.
#[test]
fn the_bytes_are_those_that_were_checked() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.onnx");
    if std::env::var_os("HILUM_BLESS").is_some() {
        std::fs::write(path, to_onnx(&tiny(), &weights_for(&tiny())).unwrap()).unwrap();
    }
    let bytes = std::fs::read(path).unwrap();
    let golden = proto::Model::decode(bytes.as_slice()).unwrap();
    assert_eq!(golden.encode_to_vec(), bytes, "the file holds fields that we do not write");
    // The version of the producer is the only thing that may change from release to release.
    let model = decoded(&tiny(), &weights_for(&tiny()));
    assert_eq!(model, proto::Model { producer_version: model.producer_version.clone(), ..golden });
}

#[test]
fn weights_of_another_network_are_refused() {
    assert!(matches!(to_onnx(&tiny(), &Weights::new()), Err(OnnxError::Weights(WeightsError::Missing(_)))));
}

#[test]
fn the_card_travels_with_the_network() {
    let card = ModelCard::from_toml(include_str!("../../../../models/pneumonia-ct/card.toml")).unwrap();
    let weights = include_bytes!("../../../../models/pneumonia-ct/weights.safetensors");
    let model = card.with_weights(weights).unwrap();
    let bytes = model.to_onnx().unwrap();
    assert_eq!(bytes, model.to_onnx().unwrap());
    let file = proto::Model::decode(bytes.as_slice()).unwrap();
    assert_eq!(file.doc_string.as_deref(), Some(model.card.intended_use.as_str()));
    let stored = |key: &str| {
        let entry = file.metadata_props.iter().find(|entry| entry.key.as_deref() == Some(key));
        entry.and_then(|entry| entry.value.clone()).unwrap_or_else(|| panic!("{key} is missing"))
    };
    assert_eq!(ModelCard::from_toml(&stored("card")).unwrap(), model.card);
    assert_eq!((stored("licence"), stored("version")), (model.card.licence.clone(), model.card.version.clone()));
    assert!(stored("input").contains("HU") && stored("outputs").contains("lesion"), "{}", stored("input"));
}
