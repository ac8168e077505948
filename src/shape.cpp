// Broadcasting and stride arithmetic.
#include "shape.h"

#include <algorithm>

#include "cpu/level.h"
#include "error.h"

namespace hadamard {

int64_t numel(const Dims &shape) {
  HD_CHECK(shape.size() <= max_dims, runtime, "tensors of more than %d dimensions are not supported, got %zu", max_dims,
           shape.size());
  int64_t n = 1;
  bool over = false, zero = false;
  for (int64_t s : shape) {
    HD_CHECK(s >= 0, runtime, "Trying to create tensor with negative dimension %ld: %s", long(s),
             brackets(shape).c_str());
    zero |= s == 0;
    over |= __builtin_mul_overflow(n, s ? s : 1, &n);
  }
  HD_CHECK(zero || !over, runtime, "Storage size calculation overflowed with sizes=%s", brackets(shape).c_str());
  return zero ? 0 : n;
}

Dims contiguous_strides(const Dims &shape) {
  Dims r = shape;
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    r[i] = step;
    step = next_stride(step, shape[i]);
  }
  return r;
}

bool is_contiguous(const Dims &shape, const Dims &strides) {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1) {
      if (strides[i] != step) {
        for (int64_t s : shape)
          if (s == 0) return true;
        return false;
      }
      step = next_stride(step, shape[i]);
    }
  }
  return true;
}

bool is_dense(const Dims &shape, const Dims &strides) {
  SmallVec<int, 8> order;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1) order.push_back(int(i));
  }
  std::sort(order.begin(), order.end(), [&](int a, int b) { return strides[a] < strides[b]; });
  int64_t step = 1;
  for (int i : order) {
    if (strides[i] != step) return false;
    step = next_stride(step, shape[i]);
  }
  return true;
}

bool overlaps_itself(const Dims &shape, const Dims &strides) {
  bool twice = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return false;
    twice |= shape[i] > 1 && strides[i] == 0;
  }
  return twice;
}

Broadcast broadcast(const Dims &a, const Dims &b) {
  Broadcast r;
  size_t n = std::max(a.size(), b.size());
  r.shape.resize(n);
  for (size_t i = n; i-- > 0;) {
    size_t back = n - i;
    int64_t x = back <= a.size() ? a[a.size() - back] : 1, y = back <= b.size() ? b[b.size() - back] : 1;
    if (x != y && x != 1 && y != 1) {
      r.clash = int(i);
      return r;
    }
    r.shape[i] = x == 1 ? y : x;
  }
  return r;
}

Dims expanded_strides(const Dims &shape, const Dims &strides, const Dims &to) {
  Dims r(to.size(), 0);
  size_t lead = to.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) r[lead + i] = shape[i] == 1 && to[lead + i] != 1 ? 0 : strides[i];
  return r;
}

std::optional<Dims> view_strides(const Dims &shape, const Dims &strides, const Dims &to) {
  if (numel(shape) == 0) {
    if (shape == to) return strides;
    Dims r(to.size(), 1);
    for (size_t i = to.size(); i-- > 1;) r[i - 1] = std::max<int64_t>(to[i], 1) * r[i];
    return r;
  }
  Dims r;
  r.resize(to.size());
  int64_t at = int64_t(to.size()) - 1;
  int64_t step = shape.empty() ? 1 : strides.back(), chunk = 1, viewed = 1;
  for (int64_t d = int64_t(shape.size()) - 1; d >= 0; --d) {
    chunk *= shape[d];
    if (d == 0 || (shape[d - 1] != 1 && strides[d - 1] != chunk * step)) {
      while (at >= 0 && (viewed < chunk || to[at] == 1)) {
        r[at] = viewed * step;
        viewed *= to[at--];
      }
      if (viewed != chunk) return {};
      if (d > 0) {
        step = strides[d - 1];
        chunk = viewed = 1;
      }
    }
  }
  if (shape.empty())
    for (; at >= 0; --at) r[at] = 1;
  if (at != -1) return {};
  return r;
}

int64_t wrap_dim(int64_t dim, int64_t ndim) {
  int64_t n = ndim ? ndim : 1;
  HD_CHECK(dim >= -n && dim < n, index, "Dimension out of range (expected to be in range of [%ld, %ld], but got %ld)",
           long(-n), long(n - 1), long(dim));
  return dim < 0 ? dim + n : dim;
}

SmallVec<bool, 8> dim_mask(const OptDims &dims, int64_t ndim) {
  SmallVec<bool, 8> r(size_t(ndim), !dims || dims->empty());
  if (dims)
    for (int64_t d : *dims) {
      d = wrap_dim(d, ndim);
      if (ndim == 0) continue;
      HD_CHECK(!r[d], runtime, "dim %ld appears multiple times in the list of dims", long(d));
      r[d] = true;
    }
  return r;
}

Dims infer_shape(const Dims &shape, int64_t n) {
  int64_t known = 1, hole = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1) {
      HD_CHECK(hole < 0, runtime, "only one dimension can be inferred");
      hole = int64_t(i);
    } else {
      HD_CHECK(shape[i] >= 0, runtime, "invalid shape dimension %ld at index %zu of shape %s", long(shape[i]), i,
               brackets(shape).c_str());
      HD_CHECK(!__builtin_mul_overflow(known, shape[i], &known), runtime, "numel: integer multiplication overflow");
    }
  }
  if (hole >= 0 && known == 0 && n == 0)
    throw Error(
        Raises::runtime,
        text("cannot reshape tensor of 0 elements into shape %s because the unspecified dimension size -1 can be "
             "any value and is ambiguous",
             brackets(shape).c_str()),
        "reshape");
  if (known == n || (hole >= 0 && known > 0 && n % known == 0)) {
    Dims r = shape;
    if (hole >= 0) r[hole] = known ? n / known : 0;
    if (hole >= 0 || known == n) return r;
  }
  throw Error(Raises::runtime, text("shape '%s' is invalid for input of size %ld", brackets(shape).c_str(), long(n)),
              "reshape");
}

std::string brackets(const Dims &d) {
  std::string s = "[";
  for (size_t i = 0; i < d.size(); ++i) s += (i ? ", " : "") + std::to_string(d[i]);
  return s + "]";
}

} // namespace hadamard
