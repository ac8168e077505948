// Depthwise convolutions, plane by plane: a plane is copied into a small padded room whose columns are dealt out by
// their remainder by the stride, so that every tap of the filter reads whole vectors.
#include "ops/depthwise.h"

#include <algorithm>
#include <vector>

#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/all.h"

namespace hadamard::ops {
namespace {

constexpr int room_workspace = 5;
constexpr long room_bytes = 128 << 10; // about half of the second cache

// What a plane of the result reads: its point (i, j) and the tap (r, c) meet at row i * stride[0] + row[r] and column
// j * stride[1] + column[c] of the plane of the input with `low` zeros before it.
struct Taps {
  long rows, columns; // of the result
  long stride[2], low[2];
  std::vector<long> row, column;
};

template <class T> class Room {
public:
  Room(const Taps &taps, long height, long width) : taps_(taps), height_(height), wide_(width) {
    const long lanes = level().width / long(sizeof(T)), s = taps.stride[1];
    const long far = *std::max_element(taps.column.begin(), taps.column.end());
    row_ = (taps.columns + lanes - 1) / lanes * lanes + far / s + 1;
    deep_ = *std::max_element(taps.row.begin(), taps.row.end()) + 1;
    const long fits = room_bytes / long(sizeof(T)) / (row_ * s) - deep_;
    band_ = std::min(taps.rows, std::max(1L, fits / taps.stride[0] + 1));
    phase_ = ((band_ - 1) * taps.stride[0] + deep_) * row_;
    for (long r : taps.row)
      for (long c : taps.column) at_.push_back(c % s * phase_ + r * row_ + c / s);
  }
  long bytes() const { return phase_ * taps_.stride[1] * long(sizeof(T)); }
  // f(plane, first row): for the rows of the result, band by band. `clean` says whether the margins are zeros already.
  template <class F> void each(T *room, bool clean, const T *x, const F &f) const {
    if (!clean) std::fill(room, room + phase_ * taps_.stride[1], T(0));
    for (long first = 0; first < taps_.rows; first += band_) {
      Plane<T> p = {};
      p.rows = std::min(band_, taps_.rows - first), p.columns = taps_.columns;
      fill(room, x, first * taps_.stride[0] - taps_.low[0], (p.rows - 1) * taps_.stride[0] + deep_);
      p.x = room, p.x_row = taps_.stride[0] * row_;
      p.at = at_.data(), p.taps = long(at_.size());
      f(p, first);
    }
  }

private:
  // `count` rows of the input from row `first` on.
  void fill(T *room, const T *x, long first, long count) const {
    const long s = taps_.stride[1], low = taps_.low[1], begin = std::clamp(-first, 0L, count),
               end = std::clamp(height_ - first, begin, count);
    const bool paired = s == 2 && low >= 0;
    if (paired) pairs(room + begin * row_, x + (first + begin) * wide_, end - begin);
    for (long phase = 0; phase < s; ++phase) {
      T *to = room + phase * phase_;
      std::fill(to, to + begin * row_, T(0));
      std::fill(to + end * row_, to + count * row_, T(0));
      if (paired) continue;
      if (s > 1) {
        const long from = ((phase - low) % s + s) % s, place = (from + low) / s;
        const long n = std::min((wide_ - from + s - 1) / s, row_ - place);
        for (long i = begin; i < end; ++i) {
          const T *row = x + (first + i) * wide_ + from;
          for (long j = 0; j < n; ++j) to[i * row_ + place + j] = row[j * s];
        }
      } else if (low >= 0) {
        of<T>(*level().fused)
            .copy_rows(to + begin * row_ + low, row_, x + (first + begin) * wide_, wide_, end - begin,
                       std::min(wide_, row_ - low));
      } else {
        of<T>(*level().fused)
            .copy_rows(to + begin * row_, row_, x + (first + begin) * wide_ - low, wide_, end - begin,
                       std::min(wide_ + low, row_));
      }
    }
  }

  // Every second column, to both rooms at once.
  void pairs(T *room, const T *x, long count) const {
    const long low = taps_.low[1], odd = low % 2, n = std::max(0L, std::min(wide_ / 2, row_ - low / 2 - odd));
    T *even_to = room + odd * phase_ + low / 2, *odd_to = room + (1 - odd) * phase_ + low / 2 + odd;
    for (long i = 0; i < count; ++i, even_to += row_, odd_to += row_, x += wide_) {
      T *__restrict a = even_to, *__restrict b = odd_to;
      for (long j = 0; j < n; ++j) a[j] = x[2 * j], b[j] = x[2 * j + 1];
      if (2 * n < wide_ && low / 2 + n < row_) a[n] = x[2 * n];
    }
  }

  const Taps &taps_;
  long height_, wide_, row_, deep_, band_, phase_;
  std::vector<long> at_;
};

// f(task) for tasks of `work` multiply-adds each.
template <class F> void share(long tasks, long work, const F &f) {
  parallel_for(tasks, std::max(1L, 100000 / std::max(1L, work)), f);
}

std::vector<long> places(int64_t n, int64_t step) {
  std::vector<long> at;
  for (int64_t i = 0; i < n; ++i) at.push_back(long(i * step));
  return at;
}
Taps window(const Tensor &y, const Tensor &w, const Geometry &g) {
  return {long(y.shape()[2]),
          long(y.shape()[3]),
          {long(g.stride[0]), long(g.stride[1])},
          {long(g.padding[0]), long(g.padding[1])},
          places(w.shape()[2], g.dilation[0]),
          places(w.shape()[3], g.dilation[1])};
}
long area(const Tensor &t) { return long(t.shape()[2] * t.shape()[3]); }

template <class T>
void forward(const Tensor &x, const Tensor &w, const Geometry &g, const Tensor &bias, const Tensor &y) {
  const Taps taps = window(y, w, g);
  const Room<T> room(taps, x.shape()[2], x.shape()[3]);
  const long channels = long(w.shape()[0]), each = channels / long(g.groups), size = area(y);
  const auto &kernels = of<T>(*level().fused);
  share(y.shape()[0] * channels, size * area(w), [&](long begin, long end) {
    T *space = static_cast<T *>(workspace(room_workspace, room.bytes()));
    for (long t = begin; t < end; ++t) {
      const long c = t % channels;
      room.each(space, t > begin, x.data<T>() + (t / channels * g.groups + c / each) * area(x),
                [&](Plane<T> p, long first) {
                  p.y = y.data<T>() + t * size + first * p.columns, p.y_row = p.columns;
                  p.w = w.data<T>() + c * p.taps;
                  p.bias = bias ? bias.data<T>()[c * bias.strides()[0]] : T(0);
                  kernels.depthwise(p);
                });
    }
  });
}

template <class T> void by_weight(const Tensor &gy, const Tensor &x, const Geometry &g, const Tensor &dw) {
  const Taps taps = window(gy, dw, g);
  const Room<T> room(taps, x.shape()[2], x.shape()[3]);
  const long channels = long(dw.shape()[0]), each = channels / long(g.groups), images = long(x.shape()[0]);
  const long size = area(gy), count = area(dw);
  const auto &kernels = of<T>(*level().fused);
  share(channels, images * size * count, [&](long begin, long end) {
    T *space = static_cast<T *>(workspace(room_workspace, room.bytes()));
    std::vector<double> sums;
    bool clean = false;
    for (long c = begin; c < end; ++c) {
      sums.assign(size_t(count), 0);
      for (long n = 0; n < images; ++n, clean = true)
        room.each(space, clean, x.data<T>() + (n * g.groups + c / each) * area(x), [&](Plane<T> p, long first) {
          p.y = gy.data<T>() + (n * channels + c) * size + first * p.columns, p.y_row = p.columns;
          kernels.depthwise_sums(p, sums.data());
        });
      for (long i = 0; i < count; ++i) dw.data<T>()[c * count + i] = T(sums[size_t(i)]);
    }
  });
}

// The taps that reach the positions q * stride + rest of the input, in one dimension: from `first` on every `step`th,
// reading the gradient at q + start - t * back.
struct Reach {
  long count, first, step, terms, start, back;
  Reach(long size, long rest, long stride, long padding, long dilation, long kernel)
      : count(size > rest ? (size - rest + stride - 1) / stride : 0), first(0), step(1), terms(0), start(0), back(0) {
    while (step * dilation % stride) ++step;
    while (first < kernel && (rest + padding - first * dilation) % stride) ++first;
    if (first >= kernel) return;
    terms = (kernel - first + step - 1) / step;
    start = (rest + padding - first * dilation) / stride, back = step * dilation / stride;
  }
  // Where the gradient's row 0 lies, in rows from the last tap's first one.
  long low() const { return (terms - 1) * back - start; }
  std::vector<long> places() const {
    std::vector<long> at;
    for (long t = 0; t < terms; ++t) at.push_back((terms - 1 - t) * back);
    return at;
  }
};

template <class T> void by_input(const Tensor &gy, const Tensor &w, const Geometry &g, const Tensor &dx) {
  const long height = long(dx.shape()[2]), width = long(dx.shape()[3]), channels = long(dx.shape()[1]);
  const long kernel[2] = {long(w.shape()[2]), long(w.shape()[3])}, stride[2] = {long(g.stride[0]), long(g.stride[1])};
  const auto &kernels = of<T>(*level().fused);
  for (long i = 0; i < stride[0]; ++i)
    for (long j = 0; j < stride[1]; ++j) {
      const Reach r(height, i, stride[0], long(g.padding[0]), long(g.dilation[0]), kernel[0]),
          c(width, j, stride[1], long(g.padding[1]), long(g.dilation[1]), kernel[1]);
      if (!r.count || !c.count) continue;
      const bool none = !r.terms || !c.terms, straight = stride[0] == 1 && stride[1] == 1;
      const Taps taps = {r.count,
                         c.count,
                         {1, 1},
                         {none ? 0 : r.low(), none ? 0 : c.low()},
                         none ? std::vector<long>{0} : r.places(),
                         none ? std::vector<long>{0} : c.places()};
      const Room<T> room(taps, gy.shape()[2], gy.shape()[3]);
      share(gy.shape()[0] * channels, r.count * c.count * long(taps.row.size() * taps.column.size()),
            [&](long begin, long end) {
              const long own = room.bytes() / long(sizeof(T));
              T *space = static_cast<T *>(
                  workspace(room_workspace, room.bytes() + (straight ? 0 : r.count * c.count * long(sizeof(T)))));
              std::vector<T> filter(taps.row.size() * taps.column.size());
              for (long t = begin; t < end; ++t) {
                T *to = dx.data<T>() + t * height * width + i * width + j;
                const T *from = w.data<T>() + t % channels * kernel[0] * kernel[1];
                if (!none)
                  for (long a = 0; a < r.terms; ++a)
                    for (long b = 0; b < c.terms; ++b)
                      filter[size_t(a * c.terms + b)] = from[(r.first + a * r.step) * kernel[1] + c.first + b * c.step];
                T *result = straight ? to : space + own;
                if (none) std::fill(result, result + r.count * c.count, T(0));
                else
                  room.each(space, t > begin, gy.data<T>() + t * area(gy), [&](Plane<T> p, long first) {
                    p.y = result + first * c.count, p.y_row = c.count, p.w = filter.data();
                    kernels.depthwise(p);
                  });
                if (straight) continue;
                for (long y = 0; y < r.count; ++y)
                  for (long x = 0; x < c.count; ++x)
                    to[y * stride[0] * width + x * stride[1]] = result[y * c.count + x];
              }
            });
    }
}

template <class F> void for_type(const Tensor &x, const F &f) {
  LongWork unlocked(x.numel());
  if (x.dtype() == DType::F64) f(double());
  else f(float());
}
} // namespace

bool is_depthwise(const Tensor &x, const Tensor &w, const Geometry &g) {
  return g.dims() == 2 && w.shape()[1] == 1 && g.groups == x.shape()[1] && x.numel() && w.numel() &&
         dtype_in(x.dtype(), set_of(DType::F32) | set_of(DType::F64)) && x.dtype() == w.dtype();
}
void depthwise(const Tensor &x, const Tensor &w, const Geometry &g, const Tensor &bias, const Tensor &y) {
  for_type(y, [&](auto t) { forward<decltype(t)>(contiguous(x), contiguous(w), g, bias, y); });
}
void depthwise_by_input(const Tensor &gy, const Tensor &w, const Geometry &g, const Tensor &dx) {
  for_type(dx, [&](auto t) { by_input<decltype(t)>(contiguous(gy), contiguous(w), g, dx); });
}
void depthwise_by_weight(const Tensor &gy, const Tensor &x, const Geometry &g, const Tensor &dw) {
  for_type(gy, [&](auto t) { by_weight<decltype(t)>(contiguous(gy), contiguous(x), g, dw); });
}

} // namespace hadamard::ops
