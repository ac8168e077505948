// Convolutions of images of which every channel is filtered by itself: as products they would be matrices of one row.
#pragma once
#include "tensor.h"

namespace hadamard::ops {

struct Geometry {
  Dims stride, padding, dilation;
  int64_t groups = 1;
  size_t dims() const { return stride.size(); }
};

// Whether the images of x (n, c, h, w) are filtered by w (m * c, 1, r, s) channel by channel.
bool is_depthwise(const Tensor &x, const Tensor &w, const Geometry &g);
// y = the convolution; the gradient by the input (one filter for each channel); the gradient by the filters. The
// results are contiguous and not empty.
void depthwise(const Tensor &x, const Tensor &w, const Geometry &g, const Tensor &bias, const Tensor &y);
void depthwise_by_input(const Tensor &gy, const Tensor &w, const Geometry &g, const Tensor &dx);
void depthwise_by_weight(const Tensor &gy, const Tensor &x, const Geometry &g, const Tensor &dw);

} // namespace hadamard::ops
