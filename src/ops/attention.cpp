// Scaled dot-product attention block by block: the scores of a few rows against a few columns at a time, so that memory
// grows with the length of the sequences and not with its square. After Dao et al., FlashAttention (2022), and
// FlashAttention-2 (2023), for the order of the loops.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/reduce.h"
#include "ops/tiles.h"

namespace hadamard {
namespace ops {
namespace {

// Scores stand transposed, the queries of a block beside each other: keys and values are read where they lie, and every
// lane of a vector has a query of its own.
constexpr long query_block = 96, key_block = 252; // whole tiles of 16 columns and of 6 rows
long whole_tiles(long queries) { return (queries + 15) / 16 * 16; }

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

template <class T> View<T> matrix(const Tensor &t, int64_t h) {
  return {head<T>(t, h), t.size(-2), t.size(-1), t.stride(-2), t.stride(-1)};
}

// A tile of scores: rows are keys, columns the queries of a block and as many more as fill the line.
struct Tile {
  long first_query, queries, first_key, keys;
};

// Adds the mask to a tile of scores, and hides what lies behind a query's own position.
template <class T> void apply_mask(const Heads &o, int64_t h, T *s, long stride, const Tile &t, T *room) {
  if (o.mask) {
    const long query = o.mask.stride(-2), key = o.mask.stride(-1);
    const bool truth = o.mask.dtype() == DType::Bool;
    const long first = t.first_query * query + t.first_key * key;
    const void *at = truth ? static_cast<void *>(head<bool>(o.mask, h) + first) : head<T>(o.mask, h) + first;
    of<T>(*level().fused).mask_scores({s, t.keys, 0, stride}, {at, truth, query, key, room}, t.queries);
  }
  if (o.causal)
    for (long j = 0; j < t.keys; ++j)
      std::fill_n(s + j * stride, std::clamp<long>(t.first_key + j - t.first_query, 0, t.queries),
                  -std::numeric_limits<T>::infinity());
}

// The matrices of all heads with rows together, on different lines of the cache.
template <class T> Tensor spread_rows(const Tensor &x) {
  const long width = long(x.size(-1)), rows = long(x.size(-2));
  if (x.stride(-1) != 1 && width > 1) return spread_rows<T>(contiguous(x, Format::contiguous));
  Dims shape = x.shape();
  shape.back() = odd_lines<T>(width);
  Tensor y = narrow(empty(shape, x.dtype()), -1, 0, width);
  const auto &kernels = of<T>(*level().fused);
  parallel_for(x.numel() / (rows * width), std::max<long>(1, 32768 / (rows * width)), [&](long begin, long end) {
    for (long h = begin; h < end; ++h)
      kernels.copy_rows(head<T>(y, h), y.stride(-2), head<T>(x, h), x.stride(-2), rows, width);
  });
  return y;
}
// Rows as they lie where they are read but once or twice.
template <class T> Tensor rows_apart(const Tensor &x, bool often) {
  const bool crowded = x.stride(-2) * int64_t(sizeof(T)) % 2048 == 0;
  return x.stride(-1) == 1 && !crowded && !often ? x : spread_rows<T>(x);
}

// y: (…, L, V), any strides but of the last dimension; lse: (…, L, 1), the logarithm of each row's sum of exponentials.
template <class T> void forward(const Heads &o, const Tensor &y, const Tensor &lse) {
  const auto &kernels = of<T>(*level().fused);
  const Tensor k = rows_apart<T>(o.k, false), v = rows_apart<T>(o.v, o.rows >= 16);
  const Tensor q = o.q.stride(-1) == 1 ? o.q : contiguous(o.q, Format::contiguous);
  const long blocks = (o.rows + query_block - 1) / query_block;
  const long most = std::min<long>(o.rows, query_block), strips = o.mask ? mask_room(key_block) : 0,
             stride = odd_lines<T>(whole_tiles(most));
  parallel_for(o.count * blocks, 1, [&](long begin, long end) {
    T *room = static_cast<T *>(workspace(4, long(sizeof(T)) * (stride * (o.depth + key_block + 4) + strips)));
    T *turned = room, *s = turned + stride * o.depth, *largest = s + stride * key_block;
    T *sum = largest + stride, *shrink = sum + stride, *logs = shrink + stride, *room_of_mask = logs + stride;
    for (long t = begin; t < end; ++t) {
      const int64_t h = t / blocks;
      const long i0 = t % blocks * query_block, queries = std::min<long>(query_block, o.rows - i0);
      const long n = whole_tiles(queries);
      View<T> out = matrix<T>(y, h).part(i0, queries), keys = matrix<T>(k, h), values = matrix<T>(v, h);
      kernels.transpose_rows(turned, stride, head<T>(q, h) + i0 * q.stride(-2), q.stride(-2), queries, o.depth, n,
                             T(o.scale));
      for (long i = 0; i < n; ++i) largest[i] = -std::numeric_limits<T>::infinity(), sum[i] = 0;
      const long until = o.seen(i0 + queries - 1);
      for (long j0 = 0; j0 < until; j0 += key_block) {
        const long count = std::min(key_block, until - j0);
        View<T> tile = {s, count, n, stride, 1};
        if (queries == 1) { // a product with a vector: the rest of the line is not made
          std::fill_n(s, count * stride, T(0));
          multiply(keys.part(j0, count), {turned, o.depth, 1, stride, 1}, tile.across(0, 1), false);
        } else {
          multiply(keys.part(j0, count), {turned, o.depth, n, stride, 1}, tile, false);
        }
        if (o.mask || (o.causal && j0 + count > i0 + 1))
          apply_mask<T>(o, h, s, stride, {i0, queries, j0, count}, room_of_mask);
        kernels.update_scores({s, count, n, stride, largest, sum, shrink});
        if (j0) kernels.scale_rows(out.at, out.row, shrink, queries, o.width);
        multiply(tile.across(0, queries).t(), values.part(j0, count), out, j0 > 0);
      }
      kernels.finish_scores({s, 0, n, stride, largest, sum, shrink}, logs);
      std::copy_n(logs, queries, head<T>(lse, h) + i0);
      kernels.scale_rows(out.at, out.row, shrink, queries, o.width); // one that may look nowhere gives zeros
    }
  });
}

// Gradients of all three, whole heads at a time; g is as y.
template <class T>
void backward(const Heads &o, const Tensor &y, const Tensor &lse, const Tensor &given, const Tensor &gq,
              const Tensor &gk, const Tensor &gv) {
  const auto &kernels = of<T>(*level().fused);
  const Tensor k = rows_apart<T>(o.k, true), v = rows_apart<T>(o.v, false), g = rows_apart<T>(given, true);
  const Tensor q = rows_apart<T>(o.q, true);
  const long blocks = (o.rows + query_block - 1) / query_block;
  const long most = std::min<long>(o.rows, query_block), strips = o.mask ? mask_room(key_block) : 0,
             stride = odd_lines<T>(whole_tiles(most));
  const long block_size = stride * (o.depth + o.width + 2); // of what is kept of a block of queries
  parallel_for(o.count, 1, [&](long begin, long end) {
    T *room = static_cast<T *>(workspace(4, long(sizeof(T)) * (stride * key_block * 2 + strips + blocks * block_size)));
    T *s = room, *ds = s + stride * key_block, *room_of_mask = ds + stride * key_block, *kept = room_of_mask + strips;
    for (long h = begin; h < end; ++h) {
      const View<T> up = matrix<T>(g, h), result = matrix<T>(y, h), queries = matrix<T>(q, h), keys = matrix<T>(k, h),
                    values = matrix<T>(v, h);
      const View<T> to_q = matrix<T>(gq, h), to_k = matrix<T>(gk, h), to_v = matrix<T>(gv, h);
      for (long b = 0; b < blocks; ++b) {
        const long i0 = b * query_block, count = std::min<long>(query_block, o.rows - i0), n = whole_tiles(count);
        T *turned = kept + b * block_size, *logs = turned + stride * (o.depth + o.width), *delta = logs + stride;
        kernels.transpose_rows(turned, stride, queries.at + i0 * queries.row, queries.row, count, o.depth, n,
                               T(o.scale));
        kernels.transpose_rows(turned + stride * o.depth, stride, up.at + i0 * up.row, up.row, count, o.width, n, T(1));
        std::fill_n(std::copy_n(head<T>(lse, h) + i0, count, logs), n - count, T(0));
        kernels.row_dots(delta, up.at + i0 * up.row, up.row, result.at + i0 * result.row, result.row, count, o.width);
        std::fill(delta + count, delta + n, T(0));
      }
      for (long j0 = 0; j0 < o.columns; j0 += key_block) {
        const long count = std::min<long>(key_block, o.columns - j0);
        const View<T> key_part = keys.part(j0, count), k_part = to_k.part(j0, count), v_part = to_v.part(j0, count);
        bool any = false; // whether gk and gv of these keys have been written
        for (long b = o.causal ? std::min(j0 / query_block, blocks) : 0; b < blocks; ++b) {
          const long i0 = b * query_block, here = std::min<long>(query_block, o.rows - i0), n = whole_tiles(here);
          T *turned = kept + b * block_size, *logs = turned + stride * (o.depth + o.width), *delta = logs + stride;
          View<T> tile = {s, count, n, stride, 1}, other = {ds, count, n, stride, 1};
          multiply(key_part, {turned, o.depth, n, stride, 1}, tile, false);
          if (o.mask || (o.causal && j0 + count > i0 + 1))
            apply_mask<T>(o, h, s, stride, {i0, here, j0, count}, room_of_mask);
          multiply(values.part(j0, count), {turned + stride * o.depth, o.width, n, stride, 1}, other, false);
          kernels.score_gradients(s, ds, logs, delta, count, n, stride);
          const View<T> weights = tile.across(0, here), slopes = other.across(0, here);
          multiply(weights, up.part(i0, here), v_part, any);
          multiply(slopes, queries.part(i0, here), k_part, any);
          multiply(slopes.t(), key_part, to_q.part(i0, here), j0 > 0);
          any = true;
        }
        if (any) continue;
        for (const View<T> &part : {v_part, k_part})
          for (long j = 0; j < part.rows; ++j) std::fill_n(part.at + j * part.row, part.columns, T(0));
      }
      for (const View<T> &to : {to_q, to_k})
        for (long i = 0; i < to.rows; ++i)
          for (T *p = to.at + i * to.row, *e = p + to.columns; p != e; ++p) *p *= T(o.scale);
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

// Dense, with the dimensions in memory as those of x; the last one always lies together.
Tensor laid_out_as(const Tensor &x, const Dims &shape) {
  SmallVec<int64_t, 8> order;
  for (int64_t d = 0; d + 1 < x.dim(); ++d) order.push_back(d);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return x.strides()[a] > x.strides()[b]; });
  Dims strides = shape;
  strides.back() = 1;
  int64_t step = shape.back();
  for (size_t i = order.size(); i-- > 0;) strides[order[i]] = step, step *= shape[order[i]];
  return empty_strided(shape, strides, x.dtype());
}

// Room for the gradients of q, k and v: where these are parts of one tensor, so are they, for unbind() and chunk().
struct Gradients {
  Tensor q, k, v;
  Gradients(const Tensor &of_q, const Tensor &of_k, const Tensor &of_v) {
    const int64_t step = of_k->offset - of_q->offset;
    auto as_q = [&](const Tensor &t, int64_t offset) {
      return t->storage == of_q->storage && t.shape() == of_q.shape() && t.strides() == of_q.strides() &&
             t->offset == offset;
    };
    if (step > 0 && as_q(of_k, of_q->offset + step) && as_q(of_v, of_q->offset + 2 * step)) {
      Dims shape = of_q.shape(), strides = of_q.strides();
      shape.insert(0, 3), strides.insert(0, step);
      const Tensor all = laid_out_as(alias(of_q, shape, strides, of_q->offset), shape);
      q = select(all, 0, 0), k = select(all, 0, 1), v = select(all, 0, 2);
    } else {
      q = laid_out_as(of_q, of_q.shape()), k = laid_out_as(of_k, of_k.shape()), v = laid_out_as(of_v, of_v.shape());
    }
  }
};

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
  Tensor y = laid_out_as(q, shape), lse = empty(of_rows, q.dtype());
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
                  Gradients to(q, k, v);
                  Heads heads(q, k, v, mask, scale, causal);
                  LongWork unlocked(heads.count * heads.rows * heads.columns);
                  both(q.dtype(), [&](auto t) { backward<decltype(t)>(heads, y, lse, b.grad(), to.q, to.k, to.v); });
                  return {to.q, to.k, to.v};
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
