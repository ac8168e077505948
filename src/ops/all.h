// The C++ side of every op family, for ops that are made of other ops. Python sees the tables in HD_FAMILIES.
#pragma once
#include "bind.h"
#include "call.h"
#include "cpu/math_names.h"

namespace hadamard {
namespace ops {
#include "ops/elementwise.h"

// ---- views (view.cpp)
Tensor view(const Tensor &x, const Dims &shape);
Tensor reshape(const Tensor &x, const Dims &shape);
Tensor expand(const Tensor &x, const Dims &shape);
std::optional<Error> expand_error(const Tensor &x, const Dims &shape); // why it cannot be, in torch's words
Tensor permute(const Tensor &x, const Dims &dims);
Tensor transpose(const Tensor &x, int64_t dim0, int64_t dim1);
Tensor select(const Tensor &x, int64_t dim, int64_t index);
Tensor slice(const Tensor &x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step);
Tensor narrow(const Tensor &x, int64_t dim, int64_t start, int64_t length);
Tensor unsqueeze(const Tensor &x, int64_t dim);
Tensor squeeze(const Tensor &x, const OptDims &dims);
Tensor diagonal(const Tensor &x, int64_t offset, int64_t dim1, int64_t dim2);
Tensors unbind(const Tensor &x, int64_t dim);
Tensors split(const Tensor &x, const Dims &sizes, int64_t dim);
Tensor cat(const Tensors &xs, int64_t dim);
Tensor stack(const Tensors &xs, int64_t dim);
Tensor flip(const Tensor &x, const Dims &dims);
Tensor view_as_real(const Tensor &x);
Tensor view_as_complex(const Tensor &x);

// The parts of complex numbers as views; of real ones, the tensor itself and an error.
Tensor real_part(const Tensor &x);
Tensor imag_part(const Tensor &x);

// ---- reductions (reduce.cpp); no dims given: all of them
Tensor sum(const Tensor &x, const OptDims &dims, bool keepdim, std::optional<DType> dtype);
Tensor mean(const Tensor &x, const OptDims &dims, bool keepdim, std::optional<DType> dtype);
Tensor any(const Tensor &x, const OptDims &dims, bool keepdim);
Tensor all(const Tensor &x, const OptDims &dims, bool keepdim);
Tensor amax(const Tensor &x, const OptDims &dims, bool keepdim);
Tensor amin(const Tensor &x, const OptDims &dims, bool keepdim);

// ---- indexing (index.cpp, along.cpp, scatter.cpp, mask.cpp)
// One entry per part of x[…]: a tensor (integers or mask), or undefined for a whole dimension.
Tensor index(const Tensor &x, const Tensors &indices);
void index_put_(const Tensor &x, const Tensors &indices, const Tensor &values, bool accumulate);
Tensor index_select(const Tensor &x, int64_t dim, const Tensor &at);
Tensor gather(const Tensor &x, int64_t dim, const Tensor &at);
Tensor scatter_add(const Tensor &x, int64_t dim, const Tensor &at, const Tensor &src);
Tensor masked_fill(const Tensor &x, const Tensor &mask, const Tensor &value);
Tensor nonzero(const Tensor &x);

// ---- creation (create.cpp)
// Memory laid out as `format` says; as x is, where it says nothing.
Tensor like(const Tensor &x, std::optional<DType> dtype, std::optional<Device> device, std::optional<Format> format);
Tensor clone(const Tensor &x, Format format);
Tensor contiguous(const Tensor &x, Format format); // x itself where it is
bool is_contiguous(const Tensor &x, Format format);
Format suggested(const Tensor &x); // what its strides speak for: contiguous where both would fit
// x itself where nothing changes and no copy is asked for.
Tensor to(const Tensor &x, std::optional<DType> dtype, std::optional<Device> device, bool copy,
          std::optional<Format> format);
Tensor arange(const Scalar &start, const Scalar &end, const Scalar &step, DType t);

// ---- products (product.cpp)
Tensor mm(const Tensor &a, const Tensor &b);
Tensor matmul(const Tensor &a, const Tensor &b);
} // namespace ops

// Operators, so that formulas and gradients read as written.
template <class T>
concept NumberLike = std::is_arithmetic_v<T>;
#define HD_OPERATOR(symbol, op)                                                                                        \
  inline Tensor operator symbol(const Tensor &a, const Tensor &b) { return ops::op(a, b); }                            \
  template <NumberLike S> Tensor operator symbol(const Tensor &a, S b) { return ops::op(a, number(Scalar(b))); }       \
  template <NumberLike S> Tensor operator symbol(S a, const Tensor &b) { return ops::op(number(Scalar(a)), b); }
HD_OPERATOR(+, add)
HD_OPERATOR(-, sub)
HD_OPERATOR(*, mul)
HD_OPERATOR(/, div)
HD_OPERATOR(<, lt)
HD_OPERATOR(<=, le)
HD_OPERATOR(>, gt)
HD_OPERATOR(>=, ge)
HD_OPERATOR(==, eq)
HD_OPERATOR(!=, ne)
HD_OPERATOR(&, bitwise_and)
HD_OPERATOR(|, bitwise_or)
#undef HD_OPERATOR
inline Tensor operator-(const Tensor &a) { return ops::neg(a); }

// What a derivative's conj() is of a real tensor: nothing, not a copy.
inline Tensor apply(const decltype(ops::conj) &op, const Tensor &a) { return a.is_complex() ? apply_to(op, &a) : a; }

// Families of ops; each defines `const OpTable &<family>_ops()`.
// clang-format off
#define HD_FAMILIES(X)                                                                                                 \
  X(elementwise) X(create) X(view) X(reduce) X(index) X(along) X(scatter) X(mask) X(sort) X(arrange) X(product)        \
  X(softmax) X(attention) X(recurrent) X(norm) X(loss) X(pool) X(random) X(storage) X(solve)
// clang-format on
#define X(family) const OpTable &family##_ops();
HD_FAMILIES(X)
#undef X

} // namespace hadamard
