//! The CPU kernels as operations Burn can differentiate.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Tape;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

use crate::kernels::{self, BlockShape, ConvShape, Gradients, Norm, Shape4};

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

    /// See [`kernels::normalize`]. `norm` repeats the values of `weight` and `bias`, which are here for their slopes.
    fn fast_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: Norm,
        shape: Shape4,
    ) -> FloatTensor<Self>;
}

type Flat = FloatTensor<Flex>;

fn flat(data: Vec<f32>, shape: &[usize]) -> Flat {
    Flat::from_data(TensorData::new(data, shape.to_vec()))
}

fn conv_output(shape: &ConvShape) -> Shape4 {
    let [_, rows, columns] = shape.output_size();
    [shape.images, shape.out_channels, rows, columns]
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

    fn fast_norm(x: Flat, _: Flat, _: Flat, norm: Norm, shape: Shape4) -> Flat {
        flat(kernels::normalize(values(&x).storage(), shape, &norm), &shape)
    }
}

/// What the backward pass of one of these operations needs.
trait Slopes: Clone + Send + std::fmt::Debug + 'static {
    fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32], wants_input: bool) -> Gradients;
    fn input(&self) -> Shape4;
}

impl Slopes for ConvShape {
    fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32], wants_input: bool) -> Gradients {
        kernels::conv_backward(self, x, weight, slope, wants_input)
    }

    fn input(&self) -> Shape4 {
        [self.images, self.in_channels, self.size[1], self.size[2]]
    }
}

impl Slopes for BlockShape {
    fn backward(&self, x: &[f32], weight: &[f32], slope: &[f32], _: bool) -> Gradients {
        BlockShape::backward(self, x, weight, slope)
    }

    fn input(&self) -> Shape4 {
        self.input
    }
}

impl Slopes for (Norm, Shape4) {
    fn backward(&self, x: &[f32], _: &[f32], slope: &[f32], _: bool) -> Gradients {
        kernels::normalize_backward(x, self.1, &self.0, slope)
    }

    fn input(&self) -> Shape4 {
        self.1
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

    fn fast_norm(x: Tracked<C>, weight: Tracked<C>, bias: Tracked<C>, norm: Norm, shape: Shape4) -> Tracked<C> {
        let operation = (norm.clone(), shape);
        record::<C, _>([x, weight, bias], operation, |x, weight, bias| Flex::fast_norm(x, weight, bias, norm, shape))
    }
}

/// Convolution with bias.
pub(crate) fn conv(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: [usize; 2],
    padding: [usize; 2],
) -> Tensor<4> {
    let [out_channels, _, high, wide] = weight.dims();
    let [images, in_channels, rows, columns] = x.dims();
    let shape = ConvShape {
        images,
        in_channels,
        out_channels,
        size: [1, rows, columns],
        kernel: [1, high, wide],
        stride: [1, stride[0], stride[1]],
        padding: [0, padding[0], padding[1]],
    };
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fast_conv(x, weight, bias, shape))
}

/// Transposed convolution with bias whose stride is its kernel.
pub(crate) fn conv_transpose(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let [_, out_channels, high, wide] = weight.dims();
    let shape = BlockShape { input: x.dims(), out_channels, block: [high, wide] };
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fast_block(x, weight, bias, shape))
}

/// Batch normalisation by the batch itself, then a rectifier if asked for. Also gives mean and unbiased variance.
pub(crate) fn batch_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
    rectify: bool,
) -> (Tensor<4>, Vec<f32>, Vec<f32>) {
    let shape = x.dims();
    let vector = |tensor: &Tensor<1>| tensor.clone().into_data().try_into_vec::<f32>().expect("parameters are f32");
    let data = x.clone().into_data();
    let (mean, variance) = kernels::statistics(data.as_slice().expect("activations are f32"), shape);
    let inverse_deviation = variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
    let norm = Norm { weight: vector(&weight), bias: vector(&bias), mean: mean.clone(), inverse_deviation, rectify };
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    let out = Tensor::from_dispatch(Dispatch::fast_norm(x, weight, bias, norm, shape));
    let count = (shape[0] * shape[2] * shape[3]) as f32;
    (out, mean, variance.into_iter().map(|v| v * count / (count - 1.0).max(1.0)).collect())
}
