//! Optimisers and the moving average of the weights, as plain functions of arrays.

use hilum_nn::Weights;
use serde::{Deserialize, Serialize};

/// How the weights move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101).
    #[default]
    AdamW,
    /// Stochastic gradient descent with Nesterov's momentum in PyTorch's form, the decay added to the gradient.
    Sgd,
}

/// Settings of the optimiser, with PyTorch's defaults for AdamW but for the decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizer {
    /// How the weights move.
    pub method: Method,
    /// Learning rate after warm-up.
    pub learning_rate: f32,
    /// AdamW: decay of the mean gradient.
    pub beta1: f32,
    /// AdamW: decay of the mean squared gradient.
    pub beta2: f32,
    /// AdamW: added to the root of the mean squared gradient.
    pub epsilon: f32,
    /// SGD: share of the last step that goes into the next.
    pub momentum: f32,
    /// Pull of kernels towards zero; biases and normalisations are left alone.
    pub weight_decay: f32,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            method: Method::AdamW,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            momentum: 0.9,
            weight_decay: 1e-4,
        }
    }
}

/// The memory of an optimiser: mean and mean squared gradient of every trainable parameter; of SGD the momentum, and
/// nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    pub(crate) first: Weights,
    pub(crate) second: Weights,
}

impl Moments {
    /// Moments before the first step for these gradients' shapes.
    fn zeros_like(gradients: &Weights, method: Method) -> Self {
        let mut zeros = Weights::new();
        for (name, tensor) in gradients.iter() {
            zeros.insert(name, tensor.shape.clone(), vec![0.0; tensor.data.len()]);
        }
        match method {
            Method::AdamW => Self { first: zeros.clone(), second: zeros },
            Method::Sgd => Self { first: zeros, second: Weights::new() },
        }
    }
}

impl Optimizer {
    /// Moves the weights one step. `count` is the number of this step, from 1; `rate(name)` the learning rate of a parameter
    /// now, 0 for one that is to stay as it is.
    pub(crate) fn apply(
        &self,
        weights: &mut Weights,
        moments: &mut Moments,
        gradients: &Weights,
        count: u64,
        rate: &dyn Fn(&str) -> f32,
    ) {
        if moments.first.is_empty() {
            *moments = Moments::zeros_like(gradients, self.method);
        }
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let corrections = [1.0 - self.beta1.powi(count), 1.0 - self.beta2.powi(count)];
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
            assert_eq!(m_name, name);
            let v = second.next().map(|(_, v)| v);
            let decay = if gradient.shape.len() > 1 { self.weight_decay } else { 0.0 };
            let rate = rate(name);
            if rate > 0.0 {
                match v {
                    Some(v) => self.adam_step(values, &gradient.data, [m, v], rate, decay, corrections),
                    None => self.sgd_step(values, &gradient.data, m, rate, decay),
                }
            }
            next = gradients.next();
        }
        assert!(next.is_none(), "every gradient belongs to a weight");
    }

    fn adam_step(
        &self,
        values: &mut [f32],
        gradient: &[f32],
        [m, v]: [&mut [f32]; 2],
        rate: f32,
        decay: f32,
        corrections: [f32; 2],
    ) {
        for i in 0..values.len() {
            let g = gradient[i];
            m[i] = self.beta1 * m[i] + (1.0 - self.beta1) * g;
            v[i] = self.beta2 * v[i] + (1.0 - self.beta2) * g * g;
            let step = (m[i] / corrections[0]) / ((v[i] / corrections[1]).sqrt() + self.epsilon);
            values[i] = values[i] * (1.0 - rate * decay) - rate * step;
        }
    }

    fn sgd_step(&self, values: &mut [f32], gradient: &[f32], m: &mut [f32], rate: f32, decay: f32) {
        for i in 0..values.len() {
            let g = gradient[i] + decay * values[i];
            m[i] = self.momentum * m[i] + g;
            values[i] -= rate * (g + self.momentum * m[i]);
        }
    }
}

/// Moves `average` towards `now`, all tensors alike: `average = keep * average + (1 - keep) * now`.
pub(crate) fn average(average: &mut Weights, now: &Weights, keep: f32) {
    for ((name, values), (other, now)) in average.iter_mut().zip(now.iter()) {
        debug_assert_eq!(name, other);
        for (value, now) in values.iter_mut().zip(&now.data) {
            // In this form what does not change stays exactly as it is.
            *value += (1.0 - keep) * (now - *value);
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
        let optimizer = Optimizer { learning_rate: 0.1, weight_decay: 0.01, ..Optimizer::default() };
        let mut weights = Weights::new();
        weights.insert("a.weight", vec![1, 2], vec![1.0, -0.5]);
        weights.insert("a.running_mean", vec![1], vec![7.0]);
        let mut moments = Moments::default();
        for count in 1..=3 {
            let mut gradients = Weights::new();
            gradients.insert("a.weight", vec![1, 2], weights.get("a.weight").unwrap().data.clone());
            optimizer.apply(&mut weights, &mut moments, &gradients, count, &|_| 0.1);
        }
        let found = &weights.get("a.weight").unwrap().data;
        for (found, expected) in found.iter().zip([0.698_911_2_f32, -0.203_712_4]) {
            assert!((found - expected).abs() < 1e-5, "{found} against {expected}");
        }
        assert_eq!(weights.get("a.running_mean").unwrap().data, [7.0]);
    }

    /// `torch.optim.SGD([w], lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)` on the same loss, by hand:
    /// with w = 1, g = 1.01 w, m = .9 m + g, w -= .1 (g + .9 m).
    #[test]
    fn descent_with_momentum_agrees_with_its_equations() {
        let optimizer = Optimizer { method: Method::Sgd, weight_decay: 0.01, ..Optimizer::default() };
        let mut weights = Weights::new();
        weights.insert("a.weight", vec![1, 1], vec![1.0]);
        let mut moments = Moments::default();
        for count in 1..=2 {
            let mut gradients = Weights::new();
            gradients.insert("a.weight", vec![1, 1], weights.get("a.weight").unwrap().data.clone());
            optimizer.apply(&mut weights, &mut moments, &gradients, count, &|_| 0.1);
        }
        // 1 - .1 (1.01 + .9 1.01) = .8081; g = .816181, m = 1.725181; .8081 - .1 (.816181 + .9 1.725181) = .5712156.
        assert!((weights.get("a.weight").unwrap().data[0] - 0.571_215_6).abs() < 1e-6);
    }

    #[test]
    fn what_has_no_rate_stays() {
        let mut weights = Weights::new();
        weights.insert("a.weight", vec![1], vec![1.0]);
        weights.insert("b.weight", vec![1], vec![1.0]);
        let gradients = weights.clone();
        let rate = |name: &str| if name.starts_with('a') { 0.0 } else { 0.1 };
        Optimizer::default().apply(&mut weights, &mut Moments::default(), &gradients, 1, &rate);
        assert_eq!(weights.get("a.weight").unwrap().data, [1.0]);
        assert!(weights.get("b.weight").unwrap().data[0] < 1.0);
    }
}
