//! Weights: named `f32` tensors in safetensors files, checked against the graph they belong to.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use crate::graph::Graph;

/// One named array in PyTorch's layout, the last axis running fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightTensor {
    /// Sizes, slowest axis first.
    pub shape: Vec<usize>,
    /// Values.
    pub data: Vec<f32>,
}

/// All parameters of a network by name, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(BTreeMap<String, WeightTensor>);

/// Why a weight file does not belong to a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// Not a safetensors file.
    #[error("the weight file is not a readable safetensors file")]
    Format(#[from] safetensors::SafeTensorError),
    /// Values of another kind than 32-bit floats.
    #[error("weights of `{name}` are stored as {dtype:?}; only 32-bit floats are read")]
    Type {
        /// Parameter.
        name: String,
        /// What was found.
        dtype: Dtype,
    },
    /// A parameter of the network is not in the file.
    #[error("the weight file lacks `{0}`")]
    Missing(String),
    /// The file holds a tensor the network does not know.
    #[error("the weight file holds `{0}`, which the network does not know")]
    Unknown(String),
    /// A tensor has another shape than the network needs.
    #[error("weights of `{name}` have shape {found:?}, the network needs {expected:?}")]
    Shape {
        /// Parameter.
        name: String,
        /// What the network needs.
        expected: Vec<usize>,
        /// What the file holds.
        found: Vec<usize>,
    },
    /// A value that is not a number, or infinite.
    #[error("weights of `{0}` hold a value that is not finite")]
    NotFinite(String),
}

impl Weights {
    /// No weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a safetensors file without comparing it with a network.
    ///
    /// # Errors
    /// If the bytes are not safetensors, or hold anything but finite 32-bit floats.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(WeightsError::Type { name, dtype: view.dtype() });
            }
            // The bytes need not be aligned, so every value is assembled.
            let data: Vec<f32> =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            if !data.iter().all(|v| v.is_finite()) {
                return Err(WeightsError::NotFinite(name));
            }
            tensors.insert(name, WeightTensor { shape: view.shape().to_vec(), data });
        }
        Ok(Self(tensors))
    }

    /// The bytes of a safetensors file. The same weights always give the same bytes.
    pub fn to_safetensors(&self) -> Vec<u8> {
        let bytes: Vec<(&str, &[usize], Vec<u8>)> = self
            .0
            .iter()
            .map(|(name, t)| (name.as_str(), t.shape.as_slice(), t.data.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        let views = bytes.iter().map(|(name, shape, data)| {
            (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).expect("shape and length agree"))
        });
        safetensors::serialize(views, None).expect("views of memory serialise")
    }

    /// Adds or replaces a tensor.
    ///
    /// # Panics
    /// If the shape does not hold exactly the values given.
    pub fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, data: Vec<f32>) {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape {shape:?} and {} values", data.len());
        self.0.insert(name.into(), WeightTensor { shape, data });
    }

    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<&WeightTensor> {
        self.0.get(name)
    }

    /// All tensors in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WeightTensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// All tensors in the order of their names, to change values in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut [f32])> {
        self.0.iter_mut().map(|(name, tensor)| (name.as_str(), tensor.data.as_mut_slice()))
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of a part of the network they belong to; what is missing is left out.
    pub fn of(&self, graph: &Graph) -> Self {
        let names = graph.parameters().into_iter().map(|parameter| parameter.name);
        Self(names.filter_map(|name| self.0.get_key_value(&name)).map(|(n, t)| (n.clone(), t.clone())).collect())
    }

    /// Takes a tensor out.
    pub fn remove(&mut self, name: &str) -> Option<WeightTensor> {
        self.0.remove(name)
    }

    /// Checks that these are exactly the parameters of `graph`.
    ///
    /// # Errors
    /// The first parameter that is missing, unknown or of another shape.
    pub fn check(&self, graph: &Graph) -> Result<(), WeightsError> {
        let parameters = graph.parameters();
        for parameter in &parameters {
            let tensor = self.get(&parameter.name).ok_or_else(|| WeightsError::Missing(parameter.name.clone()))?;
            if tensor.shape != parameter.shape {
                return Err(WeightsError::Shape {
                    name: parameter.name.clone(),
                    expected: parameter.shape.clone(),
                    found: tensor.shape.clone(),
                });
            }
        }
        match self.0.keys().find(|name| !parameters.iter().any(|p| &p.name == *name)) {
            Some(name) => Err(WeightsError::Unknown(name.clone())),
            None => Ok(()),
        }
    }
}

/// SHA-256 of some bytes in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Dims, Node, NodeId, Op};

    fn graph() -> Graph {
        let op = Op::conv(2, [1; 3], [1; 3], [0; 3]);
        Graph::new(Dims::Two, 1, vec![Node { name: "a".into(), op, inputs: vec![NodeId(0)] }], NodeId(1)).unwrap()
    }

    fn weights() -> Weights {
        let mut weights = Weights::new();
        weights.insert("a.weight", vec![2, 1, 1, 1], vec![1.0, -2.5]);
        weights.insert("a.bias", vec![2], vec![0.0, 3.0]);
        weights
    }

    #[test]
    fn bytes_and_back() {
        let bytes = weights().to_safetensors();
        assert_eq!(bytes, weights().to_safetensors());
        let read = Weights::from_safetensors(&bytes).unwrap();
        assert_eq!(read, weights());
        read.check(&graph()).unwrap();
    }

    #[test]
    fn foreign_weights_are_refused() {
        let mut extra = weights();
        extra.insert("b.bias", vec![1], vec![0.0]);
        assert!(matches!(extra.check(&graph()), Err(WeightsError::Unknown(name)) if name == "b.bias"));
        let mut bent = weights();
        bent.insert("a.bias", vec![1], vec![0.0]);
        assert!(matches!(bent.check(&graph()), Err(WeightsError::Shape { .. })));
        assert!(matches!(Weights::new().check(&graph()), Err(WeightsError::Missing(_))));
        let mut poisoned = weights();
        poisoned.insert("a.bias", vec![2], vec![f32::NAN, 0.0]);
        let read = Weights::from_safetensors(&poisoned.to_safetensors());
        assert!(matches!(read, Err(WeightsError::NotFinite(name)) if name == "a.bias"));
        assert!(matches!(Weights::from_safetensors(b"nonsense"), Err(WeightsError::Format(_))));
    }

    #[test]
    fn the_hash_is_sha256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
