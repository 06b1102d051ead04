//! The layers as Burn's own operations, for devices that the processor's kernels are of no use to.

use burn::tensor::module::{conv_transpose3d, conv2d, conv3d, max_pool2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, MaxPoolOptions};
use burn::tensor::{Tensor, activation};

use crate::kernels::Shape;
use crate::normalisation::{NormKind, Together, unbiased};

/// See [`crate::fast::conv`]; here also with holes and groups. Flat ones go their own way: on wgpu, Burn 0.22's `conv3d` gives
/// wrong sums for some kernels of one slice with holes and groups.
pub(crate) fn conv(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Tensor<1>,
    [stride, padding, dilation]: [[usize; 3]; 3],
    groups: usize,
) -> Tensor<5> {
    let ([images, channels, slices, rows, columns], [out, input, deep, high, wide]) = (x.dims(), weight.dims());
    if slices != 1 || deep != 1 {
        return conv3d(x, weight, Some(bias), ConvOptions::new(stride, padding, dilation, groups));
    }
    let flat = |[_, a, b]: [usize; 3]| [a, b];
    let options = ConvOptions::new(flat(stride), flat(padding), flat(dilation), groups);
    let x = x.reshape([images, channels, rows, columns]);
    let y = conv2d(x, weight.reshape([out, input, high, wide]), Some(bias), options);
    let [_, _, rows, columns] = y.dims();
    y.reshape([images, out, 1, rows, columns])
}

/// See [`crate::fast::conv_transpose`].
pub(crate) fn conv_transpose(x: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    let [_, _, deep, high, wide] = weight.dims();
    let options = ConvTransposeOptions::new([deep, high, wide], [0; 3], [0; 3], [1; 3], 1);
    conv_transpose3d(x, weight, Some(bias), options)
}

/// See [`crate::fast::max_pool`]: the plane first, then the slices.
pub(crate) fn max_pool(x: Tensor<5>, block: [usize; 3]) -> Tensor<5> {
    let [images, channels, slices, rows, columns] = x.dims();
    let planes = x.reshape([images, channels * slices, rows, columns]);
    let pooled = max_pool2d(planes, MaxPoolOptions::new([block[1], block[2]]));
    let [_, _, rows, columns] = pooled.dims();
    if block[0] == 1 {
        return pooled.reshape([images, channels, slices, rows, columns]);
    }
    let lines = pooled.reshape([images, channels, slices, rows * columns]);
    let pooled = max_pool2d(lines, MaxPoolOptions::new([block[0], 1]));
    pooled.reshape([images, channels, slices / block[0], rows, columns])
}

/// See [`crate::fast::normalise`].
pub(crate) fn normalise(
    x: Tensor<5>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    kind: NormKind,
) -> (Tensor<5>, Vec<f32>, Vec<f32>) {
    let shape: Shape = x.dims();
    let axes: &[usize] = match kind.together {
        Together::Batch => &[0, 2, 3, 4],
        Together::Image => &[2, 3, 4],
    };
    let mean_of = |tensor: Tensor<5>| axes.iter().fold(tensor, |tensor, axis| tensor.mean_dim(*axis));
    let per_channel = |tensor: Tensor<1>| tensor.reshape([1, shape[1], 1, 1, 1]);
    let mean = mean_of(x.clone());
    let centred = x - mean.clone();
    let variance = mean_of(centred.clone() * centred.clone());
    let y = centred / (variance.clone() + kind.epsilon).sqrt() * per_channel(weight) + per_channel(bias);
    let out = if kind.negative == 1.0 { y } else { activation::leaky_relu(y, f64::from(kind.negative)) };
    let host = |tensor: Tensor<5>| tensor.into_data().try_into_vec::<f32>().expect("statistics are f32");
    let (mean, variance) = (host(mean), host(variance));
    (out, mean, unbiased(&variance, shape))
}
