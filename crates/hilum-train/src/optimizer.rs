//! AdamW and the moving average of the weights, as plain functions of arrays.

use hilum_nn::Weights;
use serde::{Deserialize, Serialize};

/// Settings of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with PyTorch's defaults but for the decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate after warm-up.
    pub learning_rate: f32,
    /// Decay of the mean gradient.
    pub beta1: f32,
    /// Decay of the mean squared gradient.
    pub beta2: f32,
    /// Added to the root of the mean squared gradient.
    pub epsilon: f32,
    /// Pull of kernels towards zero; biases and normalisations are left alone.
    pub weight_decay: f32,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-4 }
    }
}

/// The memory of AdamW: mean and mean squared gradient of every trainable parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) first: Weights,
    pub(crate) second: Weights,
}

impl Moments {
    /// Moments before the first step for these gradients' shapes.
    fn zeros_like(gradients: &Weights) -> Self {
        let mut zeros = Weights::new();
        for (name, tensor) in gradients.iter() {
            zeros.insert(name, tensor.shape.clone(), vec![0.0; tensor.data.len()]);
        }
        Self { first: zeros.clone(), second: zeros }
    }
}

impl AdamW {
    /// Moves the weights one step. `count` is the number of this step, from 1; `rate` the learning rate now.
    pub(crate) fn apply(
        &self,
        weights: &mut Weights,
        moments: &mut Moments,
        gradients: &Weights,
        count: u64,
        rate: f32,
    ) {
        if moments.first.is_empty() {
            *moments = Moments::zeros_like(gradients);
        }
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let (correct1, correct2) = (1.0 - self.beta1.powi(count), 1.0 - self.beta2.powi(count));
        let mut first = moments.first.iter_mut();
        let mut second = moments.second.iter_mut();
        let mut gradients = gradients.iter();
        let mut next = gradients.next();
        for (name, values) in weights.iter_mut() {
            // All four lists are sorted by name; running statistics have no gradient.
            let Some((gradient_name, gradient)) = next else { break };
            if gradient_name != name {
                continue;
            }
            let (m_name, m) = first.next().expect("moments match gradients");
            let (_, v) = second.next().expect("moments match gradients");
            assert_eq!(m_name, name);
            let decay = if gradient.shape.len() > 1 { 1.0 - rate * self.weight_decay } else { 1.0 };
            for i in 0..values.len() {
                let g = gradient.data[i];
                m[i] = self.beta1 * m[i] + (1.0 - self.beta1) * g;
                v[i] = self.beta2 * v[i] + (1.0 - self.beta2) * g * g;
                let step = (m[i] / correct1) / ((v[i] / correct2).sqrt() + self.epsilon);
                values[i] = values[i] * decay - rate * step;
            }
            next = gradients.next();
        }
        assert!(next.is_none(), "every gradient belongs to a weight");
    }
}

/// Moves `average` towards `now`, all tensors alike: `average = keep * average + (1 - keep) * now`.
pub(crate) fn average(average: &mut Weights, now: &Weights, keep: f32) {
    for ((name, values), (other, now)) in average.iter_mut().zip(now.iter()) {
        debug_assert_eq!(name, other);
        for (value, now) in values.iter_mut().zip(&now.data) {
            *value = keep * *value + (1.0 - keep) * now;
        }
    }
}

/// Moves the tensors of `weights` that are named in `statistics` towards them by `momentum`.
pub(crate) fn update_statistics(weights: &mut Weights, statistics: &Weights, momentum: f32) {
    for (name, values) in weights.iter_mut() {
        if let Some(batch) = statistics.get(name) {
            for (value, batch) in values.iter_mut().zip(&batch.data) {
                *value = (1.0 - momentum) * *value + momentum * batch;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.optim.AdamW([w], lr=0.1, weight_decay=0.01)` of PyTorch 2 on `loss = (w**2).sum()/2`, computed by the
    /// published equations in float64: see `tests/reference/adamw.py`.
    #[test]
    fn three_steps_agree_with_the_reference() {
        let optimizer = AdamW { learning_rate: 0.1, weight_decay: 0.01, ..AdamW::default() };
        let mut weights = Weights::new();
        weights.insert("a.weight", vec![1, 2], vec![1.0, -0.5]);
        weights.insert("a.running_mean", vec![1], vec![7.0]);
        let mut moments = Moments::default();
        for count in 1..=3 {
            let mut gradients = Weights::new();
            gradients.insert("a.weight", vec![1, 2], weights.get("a.weight").unwrap().data.clone());
            optimizer.apply(&mut weights, &mut moments, &gradients, count, 0.1);
        }
        let found = &weights.get("a.weight").unwrap().data;
        for (found, expected) in found.iter().zip([0.698_911_2_f32, -0.203_712_4]) {
            assert!((found - expected).abs() < 1e-5, "{found} against {expected}");
        }
        assert_eq!(weights.get("a.running_mean").unwrap().data, [7.0]);
    }
}
