//! Deep supervision: coarser stages of the decoder learn from the truth too, through heads that training alone has
//! (Dou et al. 2017, doi:10.1016/j.media.2017.05.001).

use hilum_nn::{Graph, Node, NodeId, Op, Weights};

use crate::TrainError;
use crate::loss::Target;

/// Start of the names of the extra heads; the number of the stage follows.
const HEAD: &str = "deep";

/// The network with a head of logits on each of the decoder's stages 1, 2, … up to `stages`; stage 0 is the finest and has
/// its head already.
pub(crate) fn with_heads(graph: &Graph, stages: usize) -> Result<Graph, TrainError> {
    let mut nodes = graph.nodes().to_vec();
    for stage in 1..=stages {
        let start = format!("up{stage}.");
        let last = graph.nodes().iter().rposition(|node| node.name.starts_with(&start)).ok_or_else(|| {
            TrainError::Config(format!(
                "loss: deep_supervision of {stages} stages, but the decoder has no stage {stage}"
            ))
        })?;
        let op = Op::conv(graph.output_channels(), [1; 3], [1; 3], [0; 3]);
        nodes.push(Node { name: format!("{HEAD}{stage}"), op, inputs: vec![NodeId(last + 1)] });
    }
    Ok(Graph::new(graph.dims(), graph.input_channels(), nodes, graph.output())?)
}

/// The values that the extra heads compute, finest first.
pub(crate) fn heads(graph: &Graph) -> Vec<NodeId> {
    let is_head = |node: &Node| is_head(&node.name);
    (0..graph.nodes().len()).filter(|at| is_head(&graph.nodes()[*at])).map(|at| NodeId(at + 1)).collect()
}

/// Whether a layer (or a parameter of it) is an extra head.
pub(crate) fn is_head(name: &str) -> bool {
    name.starts_with(HEAD)
}

/// The weights without those of extra heads: what the network is in use.
pub(crate) fn without_heads(weights: &Weights) -> Weights {
    let mut plain = Weights::new();
    for (name, tensor) in weights.iter().filter(|(name, _)| !is_head(name)) {
        plain.insert(name, tensor.shape.clone(), tensor.data.clone());
    }
    plain
}

/// The truth of images of `size` on a grid whose voxels are blocks of that many of theirs, `[slices, rows, columns]`: a block is
/// what most of its known voxels are, and counts as much as they do on average.
pub(crate) fn shrunk(target: &Target, size: [usize; 3], block: [usize; 3]) -> Target {
    let coarse: [usize; 3] = std::array::from_fn(|a| size[a] / block[a]);
    let pixels = coarse.iter().product();
    let planes = target.batch * target.channels;
    let (mut truth, mut known) = (vec![0.0; planes * pixels], vec![0.0; planes * pixels]);
    for plane in 0..planes {
        let from = plane * target.pixels;
        for at in 0..pixels {
            let first = [at / (coarse[1] * coarse[2]), at / coarse[2] % coarse[1], at % coarse[2]];
            let (mut weight, mut sum) = (0.0, 0.0);
            for s in 0..block[0] {
                for r in 0..block[1] {
                    let row = (first[0] * block[0] + s) * size[1] + first[1] * block[1] + r;
                    let start = from + row * size[2] + first[2] * block[2];
                    for i in start..start + block[2] {
                        weight += target.known[i];
                        sum += target.known[i] * target.truth[i];
                    }
                }
            }
            truth[plane * pixels + at] = f32::from(u8::from(sum > 0.5 * weight));
            known[plane * pixels + at] = weight / block.iter().product::<usize>() as f32;
        }
    }
    Target { batch: target.batch, channels: target.channels, pixels, truth, known, distance: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilum_nn::{Activation, Dims, Norm, Stem, UNet};

    #[test]
    fn heads_are_added_and_taken_off() {
        let unet = UNet {
            dims: Dims::Two,
            input_channels: 1,
            output_channels: 3,
            stem: Stem::Half,
            channels: vec![4, 6, 8, 10],
            convs_per_stage: 1,
            norm: Norm::Batch,
            activation: Activation::Relu,
        };
        let graph = unet.graph().unwrap();
        let deep = with_heads(&graph, 2).unwrap();
        assert_eq!((heads(&deep).len(), heads(&graph).len()), (2, 0));
        let weights = crate::network::initial_weights(&deep, 1);
        assert_eq!(weights.get("deep1.weight").unwrap().shape[..2], [3, 6]);
        without_heads(&weights).check(&graph).unwrap();
        assert!(with_heads(&graph, 3).unwrap_err().to_string().contains("no stage 3"));
    }

    #[test]
    fn blocks_are_what_most_of_them_is() {
        let target = Target {
            batch: 1,
            channels: 1,
            pixels: 8,
            truth: vec![1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
            known: vec![1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0],
            distance: Vec::new(),
        };
        let coarse = shrunk(&target, [1, 2, 4], [1, 2, 2]);
        assert_eq!((coarse.truth, coarse.known), (vec![1.0, 0.0], vec![1.0, 0.25]));
    }
}
