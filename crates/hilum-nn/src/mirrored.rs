//! Looking twice: the mean of what a network says of an input and of its mirror image.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::engine::EngineError;
use crate::graph::Graph;
use crate::runtime::Runtime;

/// A network whose logits are the mean of those of the input and of those of the input mirrored along its columns, mirrored
/// back. On upright axial slices, left and right change places.
///
/// Costs twice the time, and the logits of as many inputs as there are threads. Classifiers give the mean of both opinions.
#[derive(Debug)]
pub struct Mirrored<'a> {
    network: &'a dyn Runtime,
}

impl<'a> Mirrored<'a> {
    /// Looks twice with this network.
    #[must_use]
    pub fn new(network: &'a dyn Runtime) -> Self {
        Self { network }
    }
}

impl Runtime for Mirrored<'_> {
    fn name(&self) -> String {
        format!("{}, mirrored too", self.network.name())
    }

    fn graph(&self) -> &Graph {
        self.network.graph()
    }

    fn run_each(
        &self,
        size: [usize; 3],
        count: usize,
        fill: &(dyn Fn(usize, &mut [f32]) + Sync),
        take: &(dyn Fn(usize, &[f32]) + Sync),
    ) -> Result<(), EngineError> {
        let columns = if self.graph().is_classifier() { 1 } else { size[2] };
        // Twins follow one another: 2 i is the input as it is, 2 i + 1 its mirror image.
        let waiting = Mutex::new(BTreeMap::<usize, Vec<f32>>::new());
        let fill_one = |index: usize, input: &mut [f32]| {
            fill(index / 2, input);
            if index % 2 == 1 {
                reverse_columns(input, size[2]);
            }
        };
        let take_one = |index: usize, logits: &[f32]| {
            let mut logits = logits.to_vec();
            if index % 2 == 1 {
                reverse_columns(&mut logits, columns);
            }
            let mut held = waiting.lock().expect("no thread panics while it holds the logits");
            match held.remove(&(index / 2)) {
                None => {
                    held.insert(index / 2, logits);
                }
                Some(twin) => {
                    drop(held);
                    logits.iter_mut().zip(twin).for_each(|(logit, other)| *logit = (*logit + other) / 2.0);
                    take(index / 2, &logits);
                }
            }
        };
        self.network.run_each(size, 2 * count, &fill_one, &take_one)
    }
}

fn reverse_columns(values: &mut [f32], columns: usize) {
    values.chunks_exact_mut(columns).for_each(<[f32]>::reverse);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Dims, Engine, EngineOptions, Norm, Stem, UNet, Weights};

    #[test]
    fn mirrored_inputs_have_mirrored_logits() {
        let unet = UNet {
            dims: Dims::Two,
            input_channels: 1,
            output_channels: 2,
            stem: Stem::Full,
            channels: vec![4, 8],
            convs_per_stage: 1,
            norm: Norm::Instance,
            activation: Activation::Relu,
        };
        let graph = unet.graph().unwrap();
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 24) as f32
        };
        let mut weights = Weights::new();
        for parameter in graph.parameters() {
            let count = parameter.shape.iter().product();
            weights.insert(parameter.name, parameter.shape, (0..count).map(|_| random() - 0.4).collect());
        }
        let engine = Engine::new(&graph, &weights, EngineOptions { threads: 2, ..EngineOptions::default() }).unwrap();
        let (size, count, plane) = ([1, 8, 12], 5, 96);
        let images: Vec<f32> = (0..count * plane).map(|_| random()).collect();
        let run = |runtime: &dyn Runtime, turned: bool| {
            let logits = Mutex::new(vec![Vec::new(); count]);
            let fill = |index: usize, out: &mut [f32]| {
                out.copy_from_slice(&images[index * plane..][..plane]);
                if turned {
                    reverse_columns(out, 12);
                }
            };
            let take = |index: usize, values: &[f32]| {
                let mut values = values.to_vec();
                if turned {
                    reverse_columns(&mut values, 12);
                }
                logits.lock().unwrap()[index] = values;
            };
            runtime.run_each(size, count, &fill, &take).unwrap();
            logits.into_inner().unwrap()
        };
        let [plain, turned] = [false, true].map(|turned| run(&engine, turned));
        let [both, both_turned] = [false, true].map(|turned| run(&Mirrored::new(&engine), turned));
        assert_ne!(plain, turned);
        assert_eq!(both, both_turned);
        for (both, (plain, turned)) in both.iter().flatten().zip(plain.iter().flatten().zip(turned.iter().flatten())) {
            assert_eq!(*both, (plain + turned) / 2.0);
        }
    }
}
