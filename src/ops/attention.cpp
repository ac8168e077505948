// Scaled dot-product attention block by block: the scores of a few rows against a few columns at a time, so that memory
// grows with the length of the sequences and not with its square. After Dao et al., FlashAttention (2022), and
// FlashAttention-2 (2023), for the order of the loops.
#include <algorithm>
#include <cmath>
#include <limits>

#include "contraction.h"
#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/reduce.h"

namespace hadamard {
namespace ops {
namespace {

constexpr long row_block = 96, column_block = 256; // 96: whole tiles of 6 and of 8 rows
constexpr long score_stride = column_block + 16;   // not a power of two: rows fall on different lines of the cache

// n elements rounded up to an odd number of lines of the cache.
template <class T> long odd_lines(long n) {
  constexpr long line = 64 / long(sizeof(T));
  return ((n + line - 1) / line | 1) * line;
}

// q: (…, L, E), k: (…, S, E), v: (…, S, V), all of one batch shape; mask: (…, L, S) or missing.
struct Heads {
  Tensor q, k, v, mask;
  double scale;
  bool causal;
  int64_t count, rows, columns, depth, width;

  Heads(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &mask, double scale, bool causal)
      : q(q), k(k), v(v), mask(mask), scale(scale), causal(causal) {
    count = 1;
    for (int64_t d = 0; d + 2 < q.dim(); ++d) count *= q.shape()[d];
    rows = q.size(-2), columns = k.size(-2), depth = q.size(-1), width = v.size(-1);
  }
  // Columns that row i may look at.
  long seen(long i) const { return causal ? std::min<long>(columns, i + 1) : long(columns); }
};

// Where head `h` begins in t, whose last two dimensions are its matrix.
template <class T> T *head(const Tensor &t, int64_t h) {
  int64_t at = 0;
  for (int64_t d = t.dim() - 3; d >= 0; --d) {
    at += h % t.shape()[d] * t.strides()[d];
    h /= t.shape()[d];
  }
  return t.data<T>() + at;
}

// A matrix in memory: rows and columns and their strides.
template <class T> struct View {
  T *at;
  long rows, columns, row, column;
  View t() const { return {at, columns, rows, column, row}; }
  View part(long first, long count) const { return {at + first * row, count, columns, row, column}; }
};
template <class T> View<T> matrix(const Tensor &t, int64_t h) {
  return {head<T>(t, h), t.size(-2), t.size(-1), t.stride(-2), t.stride(-1)};
}

template <class T> void multiply(const View<T> &a, const View<T> &b, const View<T> &c, bool add) {
  constexpr DType type = sizeof(T) == 8 ? DType::F64 : DType::F32;
  Contraction plan(type, type,
                   Matrices{a.rows, b.columns, a.columns, a.row, a.column, b.row, b.column, c.row, c.column, 0, 0});
  plan.run(reinterpret_cast<const char *>(a.at), reinterpret_cast<const char *>(b.at), reinterpret_cast<char *>(c.at),
           {add, nullptr, Activation::none});
}
template <class T> void copy(const View<T> &from, const View<T> &to, T factor) {
  for (long i = 0; i < from.rows; ++i)
    for (long j = 0; j < from.columns; ++j)
      to.at[i * to.row + j * to.column] = from.at[i * from.row + j * from.column] * factor;
}

// Adds the mask to a tile of scores, and hides what lies behind a row's own position.
template <class T> void apply_mask(const Heads &o, int64_t h, T *s, long i0, long rows, long j0, long columns) {
  constexpr T hidden = -std::numeric_limits<T>::infinity();
  if (o.mask) {
    long row = o.mask.stride(-2), column = o.mask.stride(-1);
    auto each = [&](auto *m, auto f) {
      for (long i = 0; i < rows; ++i)
        for (long j = 0; j < columns; ++j) f(s[i * score_stride + j], m[(i0 + i) * row + (j0 + j) * column]);
    };
    if (o.mask.dtype() == DType::Bool) each(head<bool>(o.mask, h), [](T &x, bool m) { x = m ? x : hidden; });
    else each(head<T>(o.mask, h), [](T &x, T m) { x += m; });
  }
  if (o.causal)
    for (long i = 0; i < rows; ++i)
      for (long j = std::max<long>(0, i0 + i + 1 - j0); j < columns; ++j) s[i * score_stride + j] = hidden;
}

// Keys (or values) of every head in blocks of columns with the two last dimensions swapped, so that products read along
// rows; a block lies together, and its rows fall on different lines of the cache.
template <class T> class Swapped {
public:
  explicit Swapped(const Tensor &k) : depth_(long(k.size(-1))) {
    const long columns = long(k.size(-2));
    blocks_ = (columns + column_block - 1) / column_block;
    stride_ = odd_lines<T>(std::min(columns, column_block));
    Dims shape = k.shape();
    shape[shape.size() - 2] = blocks_ * depth_, shape.back() = stride_;
    kept_ = empty(shape, k.dtype());
    for (long first = 0; first < columns; first += column_block) {
      Tensor from = transpose(narrow(k, -2, first, std::min(column_block, columns - first)), -2, -1);
      Tensor to = narrow(kept_, -2, first / column_block * depth_, depth_);
      copy_data(narrow(to, -1, 0, from.size(-1)), from);
    }
  }
  View<T> at(int64_t h, long first, long columns) const {
    return {kept_.data<T>() + (h * blocks_ + first / column_block) * depth_ * stride_, depth_, columns, stride_, 1};
  }

private:
  Tensor kept_;
  long depth_, blocks_, stride_;
};
// Values of every head, rows together in the same way. Few rows of the result are not worth it.
template <class T> Tensor spread_rows(const Tensor &v, long rows) {
  if (rows < 16) return v;
  Dims shape = v.shape();
  shape.back() = odd_lines<T>(long(shape.back()));
  Tensor y = narrow(empty(shape, v.dtype()), -1, 0, v.size(-1));
  copy_data(y, v);
  return y;
}

// y: (…, L, V), contiguous; lse: (…, L, 1), the logarithm of each row's sum of exponentials.
template <class T> void forward(const Heads &o, const Tensor &y, const Tensor &lse) {
  const auto &kernels = of<T>(*level().fused);
  const Swapped<T> swapped(o.k);
  const Tensor v = spread_rows<T>(o.v, long(o.rows));
  const long blocks = (o.rows + row_block - 1) / row_block;
  parallel_for(o.count * blocks, 1, [&](long begin, long end) {
    T *room = static_cast<T *>(workspace(4, long(sizeof(T)) * row_block * (score_stride + o.depth + 3)));
    T *s = room, *scaled = s + row_block * score_stride, *largest = scaled + row_block * o.depth;
    T *sum = largest + row_block, *shrink = sum + row_block;
    for (long t = begin; t < end; ++t) {
      const int64_t h = t / blocks;
      const long i0 = t % blocks * row_block, rows = std::min<long>(row_block, o.rows - i0);
      View<T> q = {scaled, rows, o.depth, o.depth, 1}, out = matrix<T>(y, h).part(i0, rows);
      copy(matrix<T>(o.q, h).part(i0, rows), q, T(o.scale));
      for (long i = 0; i < rows; ++i) largest[i] = -std::numeric_limits<T>::infinity(), sum[i] = 0;
      const long until = o.seen(i0 + rows - 1);
      View<T> values = matrix<T>(v, h);
      for (long j0 = 0; j0 < until; j0 += column_block) {
        const long columns = std::min(column_block, until - j0);
        View<T> tile = {s, rows, columns, score_stride, 1};
        multiply(q, swapped.at(h, j0, columns), tile, false);
        if (o.mask || (o.causal && j0 + columns > i0 + 1)) apply_mask(o, h, s, i0, rows, j0, columns);
        kernels.update_scores({s, rows, columns, score_stride, largest, sum, shrink});
        if (j0) kernels.scale_rows(out.at, out.row, shrink, rows, o.width);
        multiply(tile, values.part(j0, columns), out, j0 > 0);
      }
      T *logs = head<T>(lse, h) + i0;
      for (long i = 0; i < rows; ++i) {
        // A row that may look nowhere gives zeros.
        logs[i] = sum[i] == 0 ? std::numeric_limits<T>::infinity() : T(double(largest[i]) + std::log(double(sum[i])));
        shrink[i] = sum[i] == 0 ? T(0) : T(1) / sum[i];
      }
      kernels.scale_rows(out.at, out.row, shrink, rows, o.width);
    }
  });
}

// Gradients of all three, whole heads at a time. gq, gk, gv are contiguous; g is as y.
template <class T>
void backward(const Heads &o, const Tensor &y, const Tensor &lse, const Tensor &g, const Tensor &gq, const Tensor &gk,
              const Tensor &gv) {
  const auto &kernels = of<T>(*level().fused);
  const Swapped<T> swapped_k(o.k), swapped_v(o.v);
  parallel_for(o.count, 1, [&](long begin, long end) {
    T *room = static_cast<T *>(workspace(4, long(sizeof(T)) * (row_block * 2 * score_stride + o.rows * (o.depth + 1))));
    T *s = room, *ds = s + row_block * score_stride, *delta = ds + row_block * score_stride, *scaled = delta + o.rows;
    for (long h = begin; h < end; ++h) {
      View<T> q = {scaled, o.rows, o.depth, o.depth, 1}, up = matrix<T>(g, h), result = matrix<T>(y, h);
      copy(matrix<T>(o.q, h), q, T(o.scale));
      for (long i = 0; i < o.rows; ++i) {
        T d = 0;
        for (long j = 0; j < o.width; ++j) d += up.at[i * up.row + j * up.column] * result.at[i * result.row + j];
        delta[i] = d;
      }
      const T *logs = head<T>(lse, h);
      View<T> keys = matrix<T>(o.k, h), to_q = matrix<T>(gq, h), to_k = matrix<T>(gk, h), to_v = matrix<T>(gv, h);
      for (long j0 = 0; j0 < o.columns; j0 += column_block) {
        const long columns = std::min<long>(column_block, o.columns - j0);
        View<T> key_part = swapped_k.at(h, j0, columns), value_part = swapped_v.at(h, j0, columns);
        bool any = false; // whether gk and gv of these columns have been written
        for (long i0 = o.causal ? j0 / row_block * row_block : 0; i0 < o.rows; i0 += row_block) {
          const long rows = std::min<long>(row_block, o.rows - i0);
          View<T> tile = {s, rows, columns, score_stride, 1}, other = {ds, rows, columns, score_stride, 1};
          multiply(q.part(i0, rows), key_part, tile, false);
          if (o.mask || (o.causal && j0 + columns > i0 + 1)) apply_mask(o, h, s, i0, rows, j0, columns);
          multiply(up.part(i0, rows), value_part, other, false);
          kernels.score_gradients(s, ds, logs + i0, delta + i0, rows, columns, score_stride);
          multiply(tile.t(), up.part(i0, rows), to_v.part(j0, columns), any);
          multiply(other.t(), q.part(i0, rows), to_k.part(j0, columns), any);
          multiply(other, keys.part(j0, columns), to_q.part(i0, rows), j0 > 0);
          any = true;
        }
        if (any) continue;
        for (View<T> part : {to_v.part(j0, columns), to_k.part(j0, columns)})
          std::fill(part.at, part.at + part.rows * part.row, T(0));
      }
      for (T *p = to_q.at, *e = p + o.rows * o.depth; p != e; ++p) *p *= T(o.scale);
    }
  });
}

// The gradients in ops, for gradients of gradients.
TensorList composed(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &mask, double scale, bool causal,
                    const Tensor &g) {
  Tensor s = matmul(q, transpose(k, -2, -1)) * scale, hidden;
  if (mask && mask.dtype() == DType::Bool) hidden = eq(mask, number(Scalar(false)));
  else if (mask) s = s + mask, hidden = eq(mask, number(Scalar(-std::numeric_limits<double>::infinity())));
  if (causal) {
    auto places = [](int64_t n) { return arange(Scalar(0), Scalar(n), Scalar(1), DType::I64); };
    hidden = gt(unsqueeze(places(k.size(-2)), 0), unsqueeze(places(q.size(-2)), 1));
  }
  if (hidden) s = masked_fill(s, hidden, number(Scalar(-std::numeric_limits<double>::infinity())));
  Tensor e = exp(s - detach(amax(s, Dims{-1}, true)));
  Tensor p = e / sum(e, Dims{-1}, true, std::nullopt);
  if (hidden) p = masked_fill(p, hidden, number(Scalar(0.0)));
  Tensor gp = matmul(g, transpose(v, -2, -1));
  Tensor gs = p * (gp - sum(gp * p, Dims{-1}, true, std::nullopt)) * scale;
  return {matmul(gs, k), matmul(transpose(gs, -2, -1), q), matmul(transpose(p, -2, -1), g)};
}

bool suits(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &mask) {
  auto plain = [&](const Tensor &t) {
    if (t.dim() < 2 || t.dim() != q.dim() || t.dtype() != q.dtype() || t.is_meta() || !t.numel()) return false;
    for (int64_t d = 0; d + 2 < t.dim(); ++d)
      if (t.shape()[d] != q.shape()[d]) return false;
    return true;
  };
  if (!dtype_in(q.dtype(), set_of(DType::F32) | set_of(DType::F64)) || !plain(q) || !plain(k) || !plain(v) ||
      q.size(-1) != k.size(-1) || k.size(-2) != v.size(-2))
    return false;
  if (!mask) return true;
  Dims shape = q.shape();
  shape.back() = k.size(-2);
  return !mask.is_meta() && !mask.requires_grad() && (mask.dtype() == DType::Bool || mask.dtype() == q.dtype()) &&
         broadcast(mask.shape(), shape).shape == shape;
}

// The result, or nothing where the operands are not of the kind that is computed here.
Tensor attention(const Tensor &q, const Tensor &k, const Tensor &v, const std::optional<Tensor> &given_mask,
                 double scale, bool causal) {
  Tensor mask = given_mask ? *given_mask : Tensor();
  if (!suits(q, k, v, mask)) return {};
  if (mask) {
    Dims shape = q.shape();
    shape.back() = k.size(-2);
    NoGrad no;
    mask = expand(mask, shape);
  }
  Dims shape = q.shape(), of_rows = q.shape();
  shape.back() = v.size(-1), of_rows.back() = 1;
  Tensor y = empty(shape, q.dtype()), lse = empty(of_rows, q.dtype());
  auto both = [](DType t, const auto &f) { t == DType::F64 ? f(double()) : f(float()); };
  {
    NoGrad no;
    Heads heads(q, k, v, mask, scale, causal);
    LongWork unlocked(heads.count * heads.rows * heads.columns);
    both(q.dtype(), [&](auto t) { forward<decltype(t)>(heads, y, lse); });
  }
  return record(y, "ScaledDotProductFlashAttentionForCpuBackward0", {q, k, v},
                {Keep{q}, Keep{k}, Keep{v}, result(y), Keep{lse}}, [=](const Backward &b) -> TensorList {
                  Tensor q = b.saved(0), k = b.saved(1), v = b.saved(2);
                  if (grad_enabled()) return composed(q, k, v, mask, scale, causal, b.grad());
                  Tensor y = b.saved(3), lse = b.saved(4);
                  Tensor gq = empty(q.shape(), q.dtype()), gk = empty(k.shape(), k.dtype()),
                         gv = empty(v.shape(), v.dtype());
                  Heads heads(q, k, v, mask, scale, causal);
                  LongWork unlocked(heads.count * heads.rows * heads.columns);
                  both(q.dtype(), [&](auto t) { backward<decltype(t)>(heads, y, lse, b.grad(), gq, gk, gv); });
                  return {gq, gk, gv};
                });
}
} // namespace
} // namespace ops

const OpTable &attention_ops() {
  using namespace ops;
  static const OpTable t = {
      def<attention>("_attention", "query, key, value, mask, scale, causal", function),
  };
  return t;
}

} // namespace hadamard
