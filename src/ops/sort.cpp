// Order: sort, topk, median, mode, unique, searches, counts.
#include <algorithm>
#include <numeric>

#include "cpu/threads.h"
#include "ops/all.h"
#include "ops/element.h"

namespace hadamard {
namespace ops {
namespace {

constexpr int64_t grain = 8192; // elements a thread should get at least
const char *scalar_name(const Tensor &t) { return info(t.dtype()).scalar; }

// ---- keys: unsigned integers in the order of a sort

template <class T>
using Key = std::conditional_t<
    sizeof(T) == 1, uint8_t,
    std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;

// Equal numbers have equal keys (-0 and 0, all NaNs); NaN is the largest.
template <class T> Key<T> key_of(T x) {
  using K = Key<T>;
  constexpr K top = K(K(1) << (sizeof(K) * 8 - 1));
  K k;
  std::memcpy(&k, &x, sizeof k);
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, uint8_t>) return k;
  else if constexpr (std::is_integral_v<T>) return K(k ^ top);
  else {
    if (k == top) k = 0;
    K flip = K(K(0) - K(k >> (sizeof(K) * 8 - 1))) | top; // without a branch on the sign
    return is_nan(x) ? K(~K(0)) : K(k ^ flip);
  }
}

template <class K> struct Item {
  K key;
  uint32_t at;
  friend bool operator<(const Item &a, const Item &b) { return a.key < b.key || (a.key == b.key && a.at < b.at); }
};

template <class K> K key_in(const Item<K> &item) { return item.key; }
template <class K> K key_in(K key) { return key; }

// Of items or of bare keys. Stable: equal keys stay in the order they came. `spare` has room for n.
template <class E> void sort_items(E *items, E *spare, int64_t n) {
  if (n < 256) {
    std::sort(items, items + n); // an item's place is part of its order
    return;
  }
  constexpr int digits = int(sizeof(key_in(*items)));
  std::vector<uint32_t> count(size_t(digits) * 256);
  auto digit = [](const E &e, int d) { return size_t(key_in(e) >> (8 * d) & 255); };
  for (int64_t i = 0; i < n; ++i)
    for (int d = 0; d < digits; ++d) ++count[size_t(d) * 256 + digit(items[i], d)];
  E *from = items, *to = spare;
  for (int d = 0; d < digits; ++d) {
    uint32_t *c = &count[size_t(d) * 256], sum = 0;
    if (c[digit(from[0], d)] == n) continue; // all alike
    for (int b = 0; b < 256; ++b) {
      uint32_t here = c[b];
      c[b] = sum;
      sum += here;
    }
    for (int64_t begin = 0; begin < n; begin += 1 << 20, poll())
      for (int64_t i = begin, end = std::min<int64_t>(n, begin + (1 << 20)); i < end; ++i)
        to[c[digit(from[i], d)]++] = from[i];
    std::swap(from, to);
  }
  if (from != items) std::memcpy(static_cast<void *>(items), from, size_t(n) * sizeof(E));
}

// ---- one dimension at a time

// Calls f(x's line, offsets of the line in each of the results) for every line along dim; lines are shared by threads.
struct LineWork {
  Dims shape, strides[3];
  int64_t count, length, step[3];
};
LineWork line_work(int64_t dim, const Tensor &x, const Tensor &y, const Tensor &z) {
  LineWork w;
  w.shape = x.shape();
  w.length = x.shape()[dim];
  w.shape.erase(size_t(dim));
  w.count = numel(w.shape);
  const Tensor *all[] = {&x, &y, &z};
  for (int k = 0; k < 3; ++k) {
    const Tensor &t = *all[k] ? *all[k] : x;
    w.strides[k] = t.strides();
    w.step[k] = t.strides()[dim];
    w.strides[k].erase(size_t(dim));
  }
  return w;
}
template <class F> void each_line(const LineWork &w, F f) {
  LongWork unlocked(w.count * w.length);
  parallel_for(w.count, std::max<int64_t>(1, grain / std::max<int64_t>(1, w.length)), [&](long begin, long end) {
    Walk<3> at(w.shape, {&w.strides[0], &w.strides[1], &w.strides[2]}, begin);
    f(at, end - begin);
  });
}
void check_length(int64_t n) {
  HD_CHECK(n <= int64_t(UINT32_MAX), runtime, "sorting more than %ld elements along a dimension is not supported",
           long(UINT32_MAX));
}

// Which of equal elements is found is torch's choice: the same algorithms, comparing keys and not places.
template <class K> bool lower(const Item<K> &a, const Item<K> &b) { return a.key < b.key; }

// Brings the k-th smallest of n to its place: Hoare's selection around the median of three.
template <class K> void quick_select(Item<K> *x, int64_t n, int64_t k) {
  auto order = [&](int64_t i, int64_t j) {
    if (x[i].key > x[j].key) std::swap(x[i], x[j]);
  };
  int64_t low = 0, high = n - 1;
  while (high > low + 1) {
    std::swap(x[low + (high - low) / 2], x[low + 1]);
    order(low + 1, high);
    order(low, high);
    order(low + 1, low);
    const K pivot = x[low].key;
    int64_t i = low + 1, j = high;
    for (;;) {
      while (x[++i].key < pivot) {}
      while (x[--j].key > pivot) {}
      if (j < i) break;
      std::swap(x[i], x[j]);
    }
    std::swap(x[low], x[j]);
    if (j <= k) low = i;
    if (j >= k) high = j - 1;
  }
  if (high == low + 1) order(low, high);
}

enum class Order : uint8_t { sort, top, kth, median, nanmedian };
struct Choice {
  Order order;
  bool reverse = false; // the largest first
  bool sorted = true;
  int64_t k = 0;
};

// Fills `values` and `places` (x's shape but along dim) with what the choice picks of each line.
void order_lines(const Tensor &x, int64_t dim, const Tensor &values, const Tensor &places, const Choice &c) {
  LineWork w = line_work(dim, x, values, places);
  int64_t n = w.length;
  if (!n || !w.count) return;
  check_length(n);
  visit(x.dtype(), [&]<class T>(Type<T>) {
    if constexpr (is_real_element<T>) {
      using K = Key<T>;
      each_line(w, [&](auto &at, int64_t lines) {
        std::vector<Item<K>> items(static_cast<size_t>(n)), spare;
        if (c.order == Order::sort && n >= 256) spare.resize(static_cast<size_t>(n));
        for (int64_t l = 0; l < lines; ++l, at.next()) {
          const T *from = x.data<T>() + at.offset[0];
          T *v = values.data<T>() + at.offset[1];
          int64_t *p = places.data<int64_t>() + at.offset[2], nans = 0;
          for (int64_t i = 0; i < n; ++i) {
            K k = key_of(from[i * w.step[0]]);
            nans += is_nan(from[i * w.step[0]]);
            items[size_t(i)] = {c.reverse ? K(~k) : k, uint32_t(i)};
          }
          auto b = items.begin();
          auto put = [&](int64_t i, const Item<K> &item) {
            v[i * w.step[1]] = from[item.at * w.step[0]];
            p[i * w.step[2]] = item.at;
          };
          if (c.order == Order::sort) {
            sort_items(items.data(), spare.data(), n);
            for (int64_t i = 0; i < n; ++i) put(i, items[size_t(i)]);
          } else if (c.order == Order::top) {
            if (c.k * 64 <= n) {
              std::partial_sort(b, b + c.k, items.end(), lower<K>);
            } else if (c.k) {
              std::nth_element(b, b + c.k - 1, items.end(), lower<K>);
              if (c.sorted) std::sort(b, b + c.k - 1, lower<K>);
            }
            for (int64_t i = 0; i < c.k; ++i) put(i, items[size_t(i)]);
          } else if (c.order == Order::kth) {
            quick_select(items.data(), n, c.k);
            put(0, items[size_t(c.k)]);
          } else {
            int64_t k = n;
            if (c.order == Order::median) k = nans ? n - nans : (n - 1) / 2; // the first NaN
            if (c.order == Order::nanmedian) k = nans < n ? (n - nans - 1) / 2 : 0;
            std::nth_element(b, b + k, items.end());
            put(0, items[size_t(k)]);
          }
        }
      });
    }
  });
}

// The gradient of values picked along dim goes to where they came from.
template <class... R>
void record_picked(const Tensor &y, const Tensor &places, const Tensor &x, int64_t dim, const char *name, bool kept) {
  Dims shape = x.shape();
  record(y, name, {x}, {Keep{places}}, [=](const Backward &b) -> TensorList {
    Tensor g = b.grad(), at = b.saved(0);
    if (!kept && !shape.empty()) {
      g = unsqueeze(g, dim);
      at = unsqueeze(at, dim);
    }
    return {scatter_add(zeros(shape, g.dtype(), g.device()), dim, at, g)};
  });
}

// ---- sort

std::tuple<Tensor, Tensor> sorted(const Tensor &x, int64_t dim, bool descending, const char *name) {
  HD_CHECK(!x.is_complex(), runtime, " Sort does not support complex dtypes on CPU");
  dim = wrap_dim(dim, x.dim());
  Tensor y = empty_like(x), places = empty_strided(y.shape(), y.strides(), DType::I64, x.device());
  if (!x.is_meta()) {
    Tensor from = at_least_1d(x);
    order_lines(from, dim, at_least_1d(y), at_least_1d(places), {Order::sort, descending});
  }
  record_picked(y, places, x, dim, name, true);
  return {y, places};
}
std::tuple<Tensor, Tensor> sort(const Tensor &x, int64_t dim, bool descending) {
  return sorted(x, dim, descending, "SortBackward0");
}
std::tuple<Tensor, Tensor> sort_stable(const Tensor &x, std::optional<bool>, int64_t dim, bool descending) {
  return sorted(x, dim, descending, "SortBackward1");
}
Tensor argsort(const Tensor &x, int64_t dim, bool descending) {
  NoGrad no;
  return std::get<1>(sort(x, dim, descending));
}
Tensor argsort_stable(const Tensor &x, bool, int64_t dim, bool descending) { return argsort(x, dim, descending); }
Tensor msort(const Tensor &x) { return std::get<0>(sort(x, 0, false)); }

std::tuple<Tensor, Tensor> topk(const Tensor &x, int64_t k, int64_t dim, bool largest, bool sorted) {
  dim = wrap_dim(dim, x.dim());
  HD_CHECK(k >= 0 && k <= (x.dim() ? x.shape()[dim] : 1), runtime, "selected index k out of range");
  HD_CHECK(!x.is_complex(), runtime, " topk does not support complex dtypes on CPU");
  HD_CHECK(x.dtype() != DType::Bool, runtime, "topk does not support bool dtypes on CPU");
  Dims shape = x.shape();
  if (x.dim()) shape[dim] = k;
  Tensor y = empty(shape, x.dtype(), x.device()), places = empty(shape, DType::I64, x.device());
  if (!x.is_meta())
    order_lines(at_least_1d(x), dim, at_least_1d(y), at_least_1d(places),
                {Order::top, largest, sorted, x.dim() ? k : 1});
  record_picked(y, places, x, dim, "TopkBackward0", true);
  return {y, places};
}

// ---- one of each line: kthvalue, median, mode

void check_nonempty(const Tensor &x, int64_t dim, const char *name) {
  HD_CHECK(!x.dim() || x.shape()[dim], index, "%s(): Expected reduction dim %ld to have non-zero size.", name,
           long(dim));
}
Tensor without(const Tensor &t, int64_t dim) { // a contiguous t without its dimension of size 1
  Dims shape = t.shape();
  shape.erase(size_t(dim));
  return with_shape(t, shape);
}
template <class F>
std::tuple<Tensor, Tensor> pick(const Tensor &x, int64_t dim, bool keepdim, const char *node, F fill) {
  Dims shape = x.shape();
  if (x.dim()) shape[dim] = 1;
  Tensor y = empty(shape, x.dtype(), x.device()), places = empty(shape, DType::I64, x.device());
  if (!x.dim()) {
    NoGrad no;
    y = clone(x);
    places = zeros({}, DType::I64, x.device());
  } else if (!x.is_meta()) {
    fill(x, y, places);
  }
  if (!keepdim && x.dim()) {
    y = without(y, dim);
    places = without(places, dim);
  }
  record_picked(y, places, x, dim, node, keepdim);
  return {y, places};
}
void check_ordered(const Tensor &x, const char *name) {
  HD_CHECK(!x.dim() || (!x.is_complex() && x.dtype() != DType::Bool), not_implemented,
           "\"%s\" not implemented for '%s'", name, scalar_name(x));
}

std::tuple<Tensor, Tensor> kthvalue(const Tensor &x, int64_t k, int64_t dim, bool keepdim) {
  dim = wrap_dim(dim, x.dim());
  check_nonempty(x, dim, "kthvalue");
  HD_CHECK(k >= 1 && k <= (x.dim() ? x.shape()[dim] : 1), runtime,
           "kthvalue(): selected number k out of range for dimension %ld", long(dim));
  check_ordered(x, "kthvalue_cpu");
  return pick(x, dim, keepdim, "KthvalueBackward0", [&](const Tensor &x, const Tensor &y, const Tensor &places) {
    order_lines(x, dim, y, places, {Order::kth, false, true, k - 1});
  });
}
void check_median(const Tensor &x) {
  HD_CHECK(!x.is_complex() && x.dtype() != DType::Bool, not_implemented, "\"median_out\" not implemented for '%s'",
           scalar_name(x));
}
template <Order order> std::tuple<Tensor, Tensor> median_dim(const Tensor &x, int64_t dim, bool keepdim) {
  constexpr bool skip = order == Order::nanmedian;
  dim = wrap_dim(dim, x.dim());
  check_nonempty(x, dim, skip ? "nanmedian" : "median");
  check_median(x);
  return pick(x, dim, keepdim, skip ? "NanmedianBackward1" : "MedianBackward1",
              [&](const Tensor &x, const Tensor &y, const Tensor &places) { order_lines(x, dim, y, places, {order}); });
}
template <Order order> Tensor median_all(const Tensor &x) {
  HD_CHECK(!x.is_complex() && x.dtype() != DType::Bool, not_implemented, "\"median_cpu\" not implemented for '%s'",
           scalar_name(x));
  Tensor y = empty({}, x.dtype(), x.device()), place = empty({}, DType::I64);
  if (!x.is_meta()) {
    NoGrad no;
    if (x.numel()) {
      order_lines(reshape(x, {-1}), 0, at_least_1d(y), at_least_1d(place), {order});
    } else {
      fill_data(y, x.is_float() ? Scalar(std::nan("")) : Scalar(int64_t(INT64_MIN)));
    }
  }
  Dims shape = x.shape();
  return record(y, order == Order::nanmedian ? "NanmedianBackward0" : "MedianBackward0", {x}, {Keep{place}},
                [shape](const Backward &b) -> TensorList {
                  const Tensor &g = b.grad();
                  Tensor flat = zeros({numel(shape)}, g.dtype(), g.device());
                  if (flat.numel()) flat = scatter_add(flat, 0, reshape(b.saved(0), {1}), reshape(g, {1}));
                  return {reshape(flat, shape)};
                });
}

std::tuple<Tensor, Tensor> mode(const Tensor &x, int64_t dim, bool keepdim) {
  dim = wrap_dim(dim, x.dim());
  check_nonempty(x, dim, "mode");
  HD_CHECK(!x.is_complex(), not_implemented, "\"mode_cpu\" not implemented for '%s'", scalar_name(x));
  return pick(x, dim, keepdim, "ModeBackward0", [&](const Tensor &x, const Tensor &y, const Tensor &places) {
    LineWork w = line_work(dim, x, y, places);
    if (!w.count) return;
    check_length(w.length);
    visit(x.dtype(), [&]<class T>(Type<T>) {
      if constexpr (is_real_element<T>)
        each_line(w, [&](auto &at, int64_t lines) {
          std::vector<Item<Key<T>>> items(size_t(w.length));
          for (int64_t l = 0; l < lines; ++l, at.next()) {
            const T *from = x.data<T>() + at.offset[0];
            for (int64_t i = 0; i < w.length; ++i) items[size_t(i)] = {key_of(from[i * w.step[0]]), uint32_t(i)};
            std::sort(items.begin(), items.end(), lower<Key<T>>);
            // The smallest of the most frequent, where it stands last; a NaN equals nothing.
            int64_t best = 0, most = 0, run = 0;
            for (int64_t i = 0; i < w.length; ++i) {
              bool same = i && items[size_t(i)].key == items[size_t(i) - 1].key &&
                          !is_nan(from[items[size_t(i)].at * w.step[0]]);
              run = same ? run + 1 : 1;
              if (run > most) {
                most = run;
                best = i;
              }
            }
            y.data<T>()[at.offset[1]] = from[items[size_t(best)].at * w.step[0]];
            places.data<int64_t>()[at.offset[2]] = items[size_t(best)].at;
          }
        });
    });
  });
}

// ---- unique

struct Runs {                 // rows in an order, split where neighbours differ
  std::vector<int64_t> order; // empty: as they stand
  std::vector<int64_t> first; // where each run begins, in that order
};
Tensor from_vector(const std::vector<int64_t> &v) {
  Tensor t = empty({int64_t(v.size())}, DType::I64);
  std::copy(v.begin(), v.end(), t.data<int64_t>());
  return t;
}
Runs find_runs(const Tensor &x, int64_t rows, int64_t width, bool consecutive) {
  Runs r;
  visit(x.dtype(), [&]<class T>(Type<T>) {
    const T *p = x.data<T>();
    auto same = [&](int64_t a, int64_t b) {
      for (int64_t j = 0; j < width; ++j)
        if (!(wide(p[a * width + j]) == wide(p[b * width + j]))) return false;
      return true;
    };
    auto place = [&](int64_t i) { return r.order.empty() ? i : r.order[size_t(i)]; };
    if constexpr (is_real_element<T>)
      if (!consecutive) {
        r.order.resize(size_t(rows));
        if (width == 1) {
          check_length(rows);
          std::vector<Item<Key<T>>> items(static_cast<size_t>(rows)), spare(static_cast<size_t>(rows));
          for (int64_t i = 0; i < rows; ++i) items[size_t(i)] = {key_of(p[i]), uint32_t(i)};
          sort_items(items.data(), spare.data(), rows);
          for (int64_t i = 0; i < rows; ++i) r.order[size_t(i)] = items[size_t(i)].at;
        } else {
          std::iota(r.order.begin(), r.order.end(), int64_t(0));
          std::sort(r.order.begin(), r.order.end(), [&](int64_t a, int64_t b) {
            for (int64_t j = 0; j < width; ++j) {
              T u = p[a * width + j], v = p[b * width + j];
              if (before(u, v)) return true;
              if (before(v, u)) return false;
            }
            return a < b;
          });
        }
      }
    for (int64_t i = 0; i < rows; ++i)
      if (i == 0 || !same(place(i - 1), place(i))) r.first.push_back(i);
  });
  return r;
}
// The distinct integers of x and how often each stands there: no need to carry places along.
std::tuple<Tensor, Tensor> unique_integers(const Tensor &x) {
  int64_t n = x.numel();
  check_length(n);
  std::vector<int64_t> count;
  Tensor y;
  visit(x.dtype(), [&]<class T>(Type<T>) {
    if constexpr (std::is_integral_v<T>) {
      using K = Key<T>;
      std::vector<K> keys(static_cast<size_t>(n)), spare(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; ++i) keys[size_t(i)] = key_of(x.data<T>()[i]);
      sort_items(keys.data(), spare.data(), n);
      int64_t found = 0;
      for (int64_t i = 0; i < n; ++i) {
        if (i && keys[size_t(i)] == keys[size_t(found) - 1]) {
          ++count.back();
          continue;
        }
        keys[size_t(found++)] = keys[size_t(i)];
        count.push_back(1);
      }
      y = empty({found}, x.dtype());
      for (int64_t i = 0; i < found; ++i) y.data<T>()[i] = T(keys[size_t(i)] ^ key_of(T(0))); // back from key_of
    }
  });
  return {y, from_vector(count)};
}
Value unique_rows(const Tensor &x, bool consecutive, bool inverse, bool counts, std::optional<int64_t> dim) {
  HD_CHECK(!x.is_complex(), not_implemented, "\"%s\" not implemented for '%s'", dim ? "unique_dim" : "unique",
           scalar_name(x));
  check_numbers("unique", {x});
  NoGrad no;
  if (!consecutive && !inverse && !dim && dtype_in(x.dtype(), integers)) {
    Tensor from = contiguous(x);
    LongWork unlocked(x.numel());
    auto [y, count] = unique_integers(from);
    if (counts) return Tensors{y, count};
    return y;
  }
  Tensor rows = x;
  int64_t d = 0;
  if (dim) {
    HD_CHECK(x.dim(), index, "Dimension specified as %ld but tensor has no dimensions", long(*dim));
    d = wrap_dim(*dim, x.dim());
    for (int64_t i = 0; i < x.dim(); ++i)
      HD_CHECK(i == d || x.shape()[i], runtime,
               "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied");
    Dims order{d};
    for (int64_t i = 0; i < x.dim(); ++i)
      if (i != d) order.push_back(i);
    rows = permute(x, order);
  }
  rows = contiguous(rows);
  int64_t n = dim ? x.shape()[d] : x.numel(), width = dim && n ? x.numel() / n : 1;
  LongWork unlocked(0);
  Runs r = find_runs(rows, n, width, consecutive);
  std::vector<int64_t> pick, back(inverse ? static_cast<size_t>(n) : 0), count;
  auto place = [&](int64_t i) { return r.order.empty() ? i : r.order[size_t(i)]; };
  for (size_t k = 0; k < r.first.size(); ++k) {
    int64_t begin = r.first[k], end = k + 1 < r.first.size() ? r.first[k + 1] : n;
    pick.push_back(place(begin));
    count.push_back(end - begin);
    if (inverse)
      for (int64_t i = begin; i < end; ++i) back[size_t(place(i))] = int64_t(k);
  }
  Tensor at = from_vector(pick);
  Tensor y;
  if (dim) { // the rows stay together in memory, as in torch
    Dims order;
    for (int64_t i = 1; i < x.dim(); ++i) order.push_back(i);
    order.insert(size_t(d), 0);
    y = permute(index_select(rows, 0, at), order);
    y = alias(y, y.shape(), y.strides(), y->offset);
  } else {
    y = index_select(alias(rows, {n}, {1}, rows->offset), 0, at);
  }
  if (!inverse && !counts) return y;
  Tensors all{y};
  if (inverse) {
    Tensor i = from_vector(back);
    all.push_back(dim ? i : with_shape(i, x.shape()));
  }
  if (counts) all.push_back(from_vector(count));
  return all;
}
Value unique(const Tensor &x, bool, bool inverse, bool counts, std::optional<int64_t> dim) {
  return unique_rows(x, false, inverse, counts, dim);
}
Value unique_consecutive(const Tensor &x, bool inverse, bool counts, std::optional<int64_t> dim) {
  return unique_rows(x, true, inverse, counts, dim);
}

// ---- searches

// Where each of values would be put into its line of `sorted` (through `sorter`, where given).
Tensor search(const Tensor &sorted, const Tensor &values, const Tensor &sorter, bool right, bool out_int32) {
  const Tensor pair[] = {sorted, values};
  check_together("searchsorted", values, {sorted, sorter});
  DType t = sorted.dtype() == values.dtype() ? sorted.dtype() : result_type(pair, 2);
  Tensor y = empty(values.shape(), DType::I64, values.device());
  if (y.is_meta() || !y.numel()) return out_int32 ? to(y, DType::I32) : y;
  HD_CHECK(!dtype_in(t, complexes | boolean), not_implemented, "\"searchsorted_out_cpu\" not implemented for '%s'",
           info(t).scalar);
  NoGrad no;
  Tensor s = contiguous(to(sorted, t)), v = contiguous(to(values, t)), order = sorter ? contiguous(sorter) : sorter;
  int64_t n = s.shape()[s.dim() - 1], per = s.dim() == 1 ? v.numel() : v.shape()[v.dim() - 1];
  LongWork unlocked(y.numel() * 8);
  visit(t, [&]<class T>(Type<T>) {
    if constexpr (is_real_element<T>)
      parallel_for(v.numel(), 1024, [&](long begin, long end) {
        for (long i = begin; i < end; ++i) {
          int64_t line = i / per * n;
          const T *p = s.data<T>() + line;
          const int64_t *o = order ? order.data<int64_t>() + line : nullptr;
          auto x = wide(v.data<T>()[i]);
          int64_t low = 0, length = n;
          while (length > 0) { // no branch to mispredict
            int64_t half = length / 2, middle = low + half;
            auto at = wide(p[o ? o[middle] : middle]);
            bool after = right ? !(at > x) : !(at >= x);
            low = after ? middle + 1 : low;
            length = after ? length - half - 1 : half;
          }
          y.data<int64_t>()[i] = low;
        }
      });
  });
  return out_int32 ? to(y, DType::I32) : y;
}
Tensor searchsorted(const Tensor &sorted, const Operand &values, bool out_int32, bool right,
                    std::optional<std::string> side, const Tensor &sorter) {
  const Tensor &v = values.t;
  if (side) {
    HD_CHECK(*side == "left" || *side == "right", runtime,
             "torch.searchsorted(): side can only be 'left' or 'right' but got %s", side->c_str());
    HD_CHECK(!(right && *side == "left"), runtime,
             "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True");
    right = *side == "right";
  }
  HD_CHECK(sorted.dim(), runtime,
           "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension");
  HD_CHECK(sorted.dim() == 1 || v.dim(), runtime,
           "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got "
           "boundaries tensor dim(%ld) and input value's dim(%ld) numel(%ld)",
           long(sorted.dim()), long(v.dim()), long(v.numel()));
  bool fits = sorted.dim() == 1 || sorted.dim() == v.dim();
  for (int64_t d = 0; fits && sorted.dim() > 1 && d + 1 < sorted.dim(); ++d) fits = sorted.shape()[d] == v.shape()[d];
  HD_CHECK(
      fits, runtime,
      "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
      "and input value tensor must match, but we got boundaries tensor %s and input value tensor %s",
      brackets(sorted.shape()).c_str(), brackets(v.shape()).c_str());
  if (sorter) {
    HD_CHECK(
        sorter.shape() == sorted.shape(), runtime,
        "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor %sand got sorter "
        "tensor %s",
        brackets(sorted.shape()).c_str(), brackets(sorter.shape()).c_str());
    HD_CHECK(sorter.dtype() == DType::I64, runtime,
             "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype %s", scalar_name(sorter));
    if (!sorter.is_meta()) {
      Tensor s = contiguous(sorter);
      for (int64_t i = 0; i < s.numel(); ++i)
        HD_CHECK(s.data<int64_t>()[i] >= 0 && s.data<int64_t>()[i] < s.shape()[s.dim() - 1], runtime,
                 "torch.searchsorted(): sorter index out of range");
    }
  }
  return search(sorted, v, sorter, right, out_int32);
}
Tensor bucketize(const Operand &values, const Tensor &boundaries, bool out_int32, bool right) {
  HD_CHECK(boundaries.dim() == 1, runtime, "boundaries tensor must be 1 dimension, but got dim(%ld)",
           long(boundaries.dim()));
  return search(boundaries, values.t, {}, right, out_int32);
}

Tensor isin(const Operand &elements, const Operand &among, bool, bool invert) {
  for (auto *t : {&elements.t, &among.t})
    HD_CHECK(!t->is_complex() && t->dtype() != DType::Bool, runtime,
             "Unsupported input type encountered for isin(): %s", scalar_name(*t));
  check_numbers("isin", {elements.t, among.t});
  const Tensor pair[] = {elements.t, among.t};
  DType t = result_type(pair, 2);
  NoGrad no;
  Tensor x = to(elements.t, t), set = reshape(to(among.t, t), {-1});
  if (!set.numel()) return full(x.shape(), Scalar(invert), DType::Bool, x.device());
  set = std::get<0>(sort(set, 0, false));
  // Found where the place before which it would go holds it.
  Tensor at = minimum(search(set, x, {}, false, false), number(Scalar(set.numel() - 1)));
  Tensor found = index(set, {at}) == x;
  return invert ? logical_not(found) : found;
}

// ---- counts

Tensor bincount(const Tensor &x, const Tensor &weights, int64_t minlength) {
  check_numbers("bincount", {x, weights});
  HD_CHECK(minlength >= 0, runtime, "minlength should be >= 0");
  HD_CHECK(dtype_in(x.dtype(), integers), not_implemented, "\"bincount_cpu\" not implemented for '%s'", scalar_name(x));
  if (x.dim() == 1 && !x.numel()) return zeros({minlength}, DType::I64);
  HD_CHECK(x.dim() == 1, runtime, "bincount only supports 1-d non-negative integral inputs.");
  NoGrad no;
  Tensor i = contiguous(to(x, DType::I64));
  const int64_t *p = i.data<int64_t>();
  int64_t low = 0, high = 0;
  for (int64_t k = 0; k < i.numel(); ++k) {
    low = std::min(low, p[k]);
    high = std::max(high, p[k]);
  }
  HD_CHECK(low >= 0, runtime, "bincount only supports 1-d non-negative integral inputs.");
  HD_CHECK(!weights || (weights.dim() == 1 && weights.numel() == x.numel()), runtime,
           "weights should be 1-d and have the same length as input");
  HD_CHECK(high < INT64_MAX, runtime, "numel: integer multiplication overflow");
  int64_t n = std::max(minlength, high + 1);
  if (!weights) {
    Tensor y = zeros({n}, DType::I64);
    for (int64_t k = 0; k < i.numel(); ++k) ++y.data<int64_t>()[p[k]];
    return y;
  }
  DType t = weights.dtype() == DType::F32 ? DType::F32 : DType::F64;
  Tensor w = contiguous(to(weights, t)), y = zeros({n}, t);
  if (t == DType::F32)
    for (int64_t k = 0; k < i.numel(); ++k) y.data<float>()[p[k]] += w.data<float>()[k];
  else
    for (int64_t k = 0; k < i.numel(); ++k) y.data<double>()[p[k]] += w.data<double>()[k];
  return y;
}

Tensor histc(const Tensor &x, int64_t bins, const Scalar &min, const Scalar &max) {
  check_numbers("histc", {x});
  HD_CHECK(x.is_float(), not_implemented, "\"%s\" not implemented for '%s'",
           x.dtype() == DType::Bool                          ? "linspace_cpu"
           : min.re == max.re && x.is_complex() && x.numel() ? "aminmax_cpu"
                                                             : "histogram_cpu",
           scalar_name(x));
  HD_CHECK(bins > 0, runtime, "torch.histogram(): bins must be > 0, but got %ld for dimension 0", long(bins));
  NoGrad no;
  double low = min.re, high = max.re;
  Tensor v = contiguous(to(x, DType::F64));
  const double *p = v.data<double>();
  if (low == high && x.numel()) {
    low = p[0];
    high = p[0];
    for (int64_t i = 0; i < v.numel(); ++i) {
      low = p[i] < low || p[i] != p[i] ? p[i] : low;
      high = p[i] > high || p[i] != p[i] ? p[i] : high;
    }
  }
  HD_CHECK(std::isfinite(low) && std::isfinite(high), runtime, "torch.histc: range of [%g, %g] is not finite", low,
           high);
  if (low == high) {
    low -= 1;
    high += 1;
  }
  HD_CHECK(low < high, runtime, "torch.histc: max must be larger than min");
  Tensor count = zeros({bins}, DType::I64);
  for (int64_t i = 0; i < v.numel(); ++i)
    if (p[i] >= low && p[i] <= high) {
      int64_t k = int64_t((p[i] - low) / (high - low) * double(bins));
      ++count.data<int64_t>()[std::min(k, bins - 1)];
    }
  return to(count, x.dtype());
}
} // namespace
} // namespace ops

const OpTable &sort_ops() {
  using namespace ops;
  static const OpTable t = {
      def<sort>("sort", "input, dim=-1, descending=False, *, out=None -> (values, indices)"),
      def<sort_stable>("sort", "input, *, stable, dim=-1, descending=False, out=None -> (values, indices)"),
      def<argsort>("argsort", "input, dim=-1, descending=False"),
      def<argsort_stable>("argsort", "input, *, stable, dim=-1, descending=False"),
      def<msort>("msort", "input, *, out=None"),
      def<topk>("topk", "input, k, dim=-1, largest=True, sorted=True, *, out=None -> (values, indices)"),
      def<kthvalue>("kthvalue", "input, k, dim=-1, keepdim=False, *, out=None -> (values, indices)"),
      def<median_all<Order::median>>("median", "input"),
      def<median_dim<Order::median>>("median", "input, dim, keepdim=False, *, out=None -> (values, indices)"),
      def<median_all<Order::nanmedian>>("nanmedian", "input"),
      def<median_dim<Order::nanmedian>>("nanmedian", "input, dim, keepdim=False, *, out=None -> (values, indices)"),
      def<mode>("mode", "input, dim=-1, keepdim=False, *, out=None -> (values, indices)"),
      def<unique>("unique", "input, sorted=True, return_inverse=False, return_counts=False, dim=None"),
      def<unique_consecutive>("unique_consecutive", "input, return_inverse=False, return_counts=False, dim=None"),
      def<searchsorted>("searchsorted",
                        "sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None, out=None",
                        function),
      def<bucketize>("bucketize", "input, boundaries, *, out_int32=False, right=False, out=None", function),
      def<isin>("isin", "elements, test_elements, *, assume_unique=False, invert=False, out=None", function),
      def<bincount>("bincount", "input, weights=None, minlength=0"),
      def<histc>("histc", "input, bins=100, min=0, max=0, *, out=None"),
  };
  return t;
}

} // namespace hadamard
