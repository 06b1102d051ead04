//! The CPU kernels as operations Burn can differentiate.

use std::sync::{Arc, OnceLock};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Tape;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

use crate::kernels::{self, BlockShape, ConvShape, Gradients, PoolShape, Shape};
use crate::normalisation::{self, Norm, NormKind};

/// Operations with kernels of our own.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FastOps: Backend {
    /// See [`kernels::conv`].
    fn fast_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: ConvShape,
    ) -> FloatTensor<Self>;

    /// See [`BlockShape`].
    fn fast_block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shape: BlockShape,
    ) -> FloatTensor<Self>;

    /// See [`PoolShape`].
    fn fast_pool(x: FloatTensor<Self>, shape: PoolShape) -> FloatTensor<Self>;

    /// See [`normalisation::normalize`].
    fn fast_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        layer: NormLayer,
    ) -> FloatTensor<Self>;
}

type Flat = FloatTensor<Flex>;

fn flat(data: Vec<f32>, shape: &[usize]) -> Flat {
    Flat::from_data(TensorData::new(data, shape.to_vec()))
}

fn conv_output(shape: &ConvShape) -> Shape {
    let [slices, rows, columns] = shape.output_size();
    [shape.images, shape.out_channels, slices, rows, columns]
}

/// The values in row-major order.
fn values(tensor: &Flat) -> Flat {
    tensor.to_contiguous()
}

impl FastOps for Flex {
    fn fast_conv(x: Flat, weight: Flat, bias: Flat, shape: ConvShape) -> Flat {
        let (x, weight, bias) = (values(&x), values(&weight), values(&bias));
        flat(kernels::conv(&shape, x.storage(), weight.storage(), bias.storage()), &conv_output(&shape))
    }

    fn fast_block(x: Flat, weight: Flat, bias: Flat, shape: BlockShape) -> Flat {
        let (x, weight, bias) = (values(&x), values(&weight), values(&bias));
        flat(shape.forward(x.storage(), weight.storage(), bias.storage()), &shape.output())
    }

    fn fast_pool(x: Flat, shape: PoolShape) -> Flat {
        flat(shape.forward(values(&x).storage()), &shape.output())
    }

    fn fast_norm(x: Flat, weight: Flat, bias: Flat, layer: NormLayer) -> Flat {
        let (x, weight, bias) = (values(&x), values(&weight), values(&bias));
        let norm = Norm::of(x.storage(), layer.shape, layer.kind, weight.storage(), bias.storage());
        let out = normalisation::normalize(x.storage(), layer.shape, &norm);
        layer.measured.set(norm).expect("a layer runs forward once");
        flat(out, &layer.shape)
    }
}

/// What the backward pass of one of these operations needs.
trait Slopes: Clone + Send + std::fmt::Debug + 'static {
    fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32], wants_input: bool) -> Gradients;
    fn input(&self) -> Shape;
}

impl Slopes for ConvShape {
    fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32], wants_input: bool) -> Gradients {
        kernels::conv_backward(self, x, weight, slope, wants_input)
    }

    fn input(&self) -> Shape {
        [self.images, self.in_channels, self.size[0], self.size[1], self.size[2]]
    }
}

impl Slopes for BlockShape {
    fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32], _: bool) -> Gradients {
        BlockShape::backward(self, x, weight, slope)
    }

    fn input(&self) -> Shape {
        self.input
    }
}

/// One normalisation of one step; what it measures on the way forward is needed on the way back, and afterwards.
#[derive(Clone, Debug)]
pub(crate) struct NormLayer {
    shape: Shape,
    kind: NormKind,
    measured: Arc<OnceLock<Norm>>,
}

impl NormLayer {
    fn norm(&self) -> &Norm {
        self.measured.get().expect("it ran forward")
    }
}

impl Slopes for NormLayer {
    fn backward(&self, x: &[f32], _: &[f32], slope: &[f32], _: bool) -> Gradients {
        normalisation::normalize_backward(x, self.shape, self.norm(), slope)
    }

    fn input(&self) -> Shape {
        self.shape
    }
}

#[derive(Debug)]
struct Step<S>(std::marker::PhantomData<S>);

impl<S: Slopes> Backward<Flex, 3> for Step<S> {
    type State = (S, Flat, Flat);

    fn backward(self, ops: Ops<Self::State, 3>, tape: &mut Tape, _: &mut Checkpointer) {
        let [x_node, weight_node, bias_node] = ops.parents;
        let slope = values(&tape.consume::<Flex>(&ops.node));
        let (operation, x, weight) = ops.state;
        let weight_shape: Vec<usize> = weight.layout().shape().to_vec();
        let gradients = operation.backward(x.storage(), weight.storage(), slope.storage(), x_node.is_some());
        if let Some(node) = x_node {
            tape.register::<Flex>(node.id, flat(gradients.input, &operation.input()));
        }
        if let Some(node) = weight_node {
            tape.register::<Flex>(node.id, flat(gradients.weight, &weight_shape));
        }
        if let Some(node) = bias_node {
            let count = gradients.bias.len();
            tape.register::<Flex>(node.id, flat(gradients.bias, &[count]));
        }
    }
}

/// The backward pass of pooling, which has no parameters.
#[derive(Debug)]
struct PoolStep;

impl Backward<Flex, 1> for PoolStep {
    type State = (PoolShape, Flat);

    fn backward(self, ops: Ops<Self::State, 1>, tape: &mut Tape, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let slope = values(&tape.consume::<Flex>(&ops.node));
        let (shape, x) = ops.state;
        if let Some(node) = node {
            tape.register::<Flex>(node.id, flat(shape.backward(x.storage(), slope.storage()), &shape.input));
        }
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

/// Runs `forward` and, if anything upstream is to learn, leaves `operation` on the tape.
fn record<C: CheckpointStrategy, S: Slopes>(
    inputs: [Tracked<C>; 3],
    operation: S,
    forward: impl FnOnce(Flat, Flat, Flat) -> Flat,
) -> Tracked<C> {
    let nodes = inputs.each_ref().map(|tensor| tensor.node());
    let [x, weight, bias] = inputs.map(|tensor| tensor.into_primitive());
    match Step(std::marker::PhantomData::<S>).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (x, weight) = (values(&x), values(&weight));
            let state = (operation, x.clone(), weight.clone());
            prepared.finish(state, forward(x, weight, bias))
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(x, weight, bias)),
    }
}

impl<C: CheckpointStrategy> FastOps for Autodiff<Flex, C> {
    fn fast_conv(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>, shape: ConvShape) -> Tracked<C> {
        record::<C, _>([x, weight, bias], shape, |x, weight, bias| Flex::fast_conv(x, weight, bias, shape))
    }

    fn fast_block(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>, shape: BlockShape) -> Tracked<C> {
        record::<C, _>([x, weight, bias], shape, |x, weight, bias| Flex::fast_block(x, weight, bias, shape))
    }

    fn fast_pool(x: Tracked<C>, shape: PoolShape) -> Tracked<C> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        match PoolStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let x = values(&x);
                prepared.finish((shape, x.clone()), Flex::fast_pool(x, shape))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(Flex::fast_pool(x, shape)),
        }
    }

    fn fast_norm(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>, layer: NormLayer) -> Tracked<C> {
        record::<C, _>([x, weight, bias], layer.clone(), |x, weight, bias| Flex::fast_norm(x, weight, bias, layer))
    }
}

/// Convolution with bias; the kernel's slice axis is 1 for two-dimensional networks.
pub(crate) fn conv(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Tensor<1>,
    stride: [usize; 3],
    padding: [usize; 3],
) -> Tensor<5> {
    let [out_channels, _, deep, high, wide] = weight.dims();
    let [images, in_channels, slices, rows, columns] = x.dims();
    let (size, kernel) = ([slices, rows, columns], [deep, high, wide]);
    let shape = ConvShape { images, in_channels, out_channels, size, kernel, stride, padding };
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fast_conv(x, weight, bias, shape))
}

/// Transposed convolution with bias whose stride is its kernel.
pub(crate) fn conv_transpose(x: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    let [_, out_channels, deep, high, wide] = weight.dims();
    let shape = BlockShape { input: x.dims(), out_channels, block: [deep, high, wide] };
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fast_block(x, weight, bias, shape))
}

/// Maximum over blocks that do not overlap.
pub(crate) fn max_pool(x: Tensor<5>, block: [usize; 3]) -> Tensor<5> {
    let shape = PoolShape { input: x.dims(), block };
    Tensor::from_dispatch(Dispatch::fast_pool(x.into_dispatch(), shape))
}

/// Normalisation by the values themselves. Also gives mean and unbiased variance.
pub(crate) fn normalise(
    x: Tensor<5>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    kind: NormKind,
) -> (Tensor<5>, Vec<f32>, Vec<f32>) {
    let shape = x.dims();
    let layer = NormLayer { shape, kind, measured: Arc::default() };
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    let out = Tensor::from_dispatch(Dispatch::fast_norm(x, weight, bias, layer.clone()));
    let norm = layer.norm();
    (out, norm.mean.clone(), normalisation::unbiased(&norm.variance, shape))
}
