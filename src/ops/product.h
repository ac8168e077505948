// What all products share: two operands with a label on every dimension, one plan, one gradient.
#pragma once
#include "contraction.h"
#include "ops/all.h"

namespace hadamard::ops {

// One label per dimension of the left operand, the right one and the result, as in einsum; none twice in one of them. A
// label that the result lacks is summed; a dimension of size 1 goes with any size.
using Labels = SmallVec<uint8_t, 8>;
struct Form {
  Labels a, b, c;
};

// The product with its history, recorded as `name`. Where `out` is given the result is written there.
Tensor product(const char *name, const Form &form, const Tensor &a, const Tensor &b, const Tensor &out = {});
// beta * addend + alpha * product, the addend broadcast; recorded with the addend as first operand, or as last.
struct Affine {
  Tensor addend;
  Scalar beta = 1, alpha = 1;
  bool last = false;
};
Tensor product(const char *name, const Form &form, const Tensor &a, const Tensor &b, const Affine &affine,
               const Tensor &out = {});

// The bare computation: no history. `out` has the result's shape; a plan may add to it and end with a bias.
void contract(const Form &form, const Tensor &a, const Tensor &b, const Tensor &out, bool accumulate = false,
              const Tensor &bias = {});
Dims product_shape(const Form &form, const Tensor &a, const Tensor &b);

// Throws unless both have one dtype with products, in the words of the op.
void check_bool(const Tensor &x, const char *kernel);
void check_out_dtype(const Tensor &out, const Tensor &x);
const char *cpp_name(DType t); // "long int", as torch prints it here and there
// An error that carries its two operands.
Error product_error(const char *op, const char *kind, const std::string &line, const char *name_a, const Tensor &a,
                    const char *name_b, const Tensor &b);
// "2x3 and 4x5"
std::string multiplied(int64_t m, int64_t k, int64_t k2, int64_t n);

// convolution.cpp
Tensor conv1d(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride, const Dims &padding,
              const Dims &dilation, int64_t groups);
Tensor conv2d(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride, const Dims &padding,
              const Dims &dilation, int64_t groups);
Tensor conv3d(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride, const Dims &padding,
              const Dims &dilation, int64_t groups);
Tensor conv1d_named(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride,
                    const std::string &padding, const Dims &dilation, int64_t groups);
Tensor conv2d_named(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride,
                    const std::string &padding, const Dims &dilation, int64_t groups);
Tensor conv3d_named(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride,
                    const std::string &padding, const Dims &dilation, int64_t groups);
Tensor conv_transpose1d(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride, const Dims &padding,
                        const Dims &output_padding, int64_t groups, const Dims &dilation);
Tensor conv_transpose2d(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride, const Dims &padding,
                        const Dims &output_padding, int64_t groups, const Dims &dilation);
Tensor conv_transpose3d(const Tensor &x, const Tensor &w, const Tensor &bias, const Dims &stride, const Dims &padding,
                        const Dims &output_padding, int64_t groups, const Dims &dilation);
Tensor im2col(const Tensor &x, const Dims &kernel, const Dims &dilation, const Dims &padding, const Dims &stride);
Tensor col2im(const Tensor &x, const Dims &output, const Dims &kernel, const Dims &dilation, const Dims &padding,
              const Dims &stride);

// einsum.cpp
Tensor einsum(const std::string &equation, const Tensors &operands, const Dims &path);
Tensor tensordot(const Tensor &a, const Tensor &b, const Dims &dims_a, const Dims &dims_b, const Tensor &out);

} // namespace hadamard::ops
