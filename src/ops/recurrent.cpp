// Layers of recurrent networks: all steps of one direction in one op. What the input gives to the gates is one product;
// a step adds what the last state gives, with the weights laid out for it once, and one kernel does the rest of it.
#include <algorithm>

#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/fuse.h"
#include "ops/product.h"
#include "ops/reduce.h"
#include "ops/tiles.h"

namespace hadamard {
namespace ops {
// matmul.cpp
Tensor linear(const Tensor &x, const Tensor &w, const Tensor &bias);

namespace {

struct Recurrent {
  Cell cell;
  bool reverse;
  int64_t steps, batch, units;

  int64_t gates() const { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }
  int64_t place(int64_t step) const { return reverse ? steps - 1 - step : step; }
  // Rows of the batch for which the steps are worth a thread.
  long grain() const { return std::max<long>(1, 400000 / (steps * gates() * units * units) + 1); }
};
// Operands in the order of the op's inputs; of plain and GRU layers c is undefined, biases may be.
enum Operand_ { at_x, at_w_ih, at_w_hh, at_b_ih, at_b_hh, at_h, at_c, operands };

template <class T> View<T> matrix(const Tensor &t) {
  return {t.data<T>(), long(t.size(-2)), long(t.size(-1)), long(t.stride(-2)), long(t.stride(-1))};
}
// A contiguous tensor's dimensions but the last as rows.
template <class T> View<T> rows_of(const Tensor &t) {
  long n = long(t.size(-1));
  return {t.data<T>(), long(t.numel()) / n, n, n, 1};
}

// A right operand in panels of columns that a core's second cache holds.
template <class T> class Panels {
public:
  explicit Panels(const View<T> &b) : rows_(b.rows), columns_(b.columns) {
    constexpr long bytes = 128 << 10, least = 128 / sizeof(T);
    wide_ = std::clamp<long>(bytes / (long(sizeof(T)) * b.rows) / least * least, least, 256);
    stride_ = odd_lines<T>(wide_);
    Tensor room = empty({(columns_ + wide_ - 1) / wide_, rows_, stride_}, sizeof(T) == 8 ? DType::F64 : DType::F32);
    for (long j = 0; j < columns_; j += wide_) {
      Tensor to = narrow(select(room, 0, j / wide_), 1, 0, std::min(wide_, columns_ - j));
      Tensor from = alias(room, to.shape(), Dims{b.row, b.column}, 0);
      View<T> panel = b.across(j, to.size(-1));
      copy(panel, to.data<T>());
    }
    kept_ = room;
  }
  // c = a b, or c += a b; the bits of a row do not depend on the others.
  void multiply(const View<T> &a, const View<T> &c, bool add) const {
    for (long j = 0; j < columns_; j += wide_) {
      View<T> panel = {kept_.data<T>() + j / wide_ * rows_ * stride_, rows_, std::min(wide_, columns_ - j), stride_, 1};
      View<T> to = c.across(j, panel.columns);
      Contraction plan = plan_of(a, panel, to);
      plan.force(Route::direct);
      plan.run(reinterpret_cast<const char *>(a.at), reinterpret_cast<const char *>(panel.at),
               reinterpret_cast<char *>(to.at), {add, nullptr, Activation::none});
    }
  }

private:
  void copy(const View<T> &from, T *to) const {
    constexpr long block = 16; // of lines that are read or written at a time
    for (long i0 = 0; i0 < from.rows; i0 += block)
      for (long j = 0; j < from.columns; ++j)
        for (long i = i0; i < std::min(from.rows, i0 + block); ++i)
          to[i * stride_ + j] = from.at[i * from.row + j * from.column];
  }
  Tensor kept_;
  long rows_, columns_, wide_, stride_;
};

// gates: (steps, batch, gates · units), what the input gives, and then the gates; y, c and (GRU) of_new: (steps, batch,
// units).
template <class T>
void forward(const Recurrent &r, const Tensor &gates, const Tensor &of_new, const Tensor &y, const Tensor &c,
             const Tensor &w_hh, const Tensor &b_hh, const Tensor &h0, const Tensor &c0) {
  const auto kernel = of<T>(*level().fused).cell[int(r.cell)];
  const Panels<T> weights(matrix<T>(w_hh).t());
  const long units = long(r.units), wide = long(r.gates()) * units;
  parallel_for(r.batch, r.grain(), [&](long begin, long end) {
    const long rows = end - begin;
    T *products = r.cell == Cell::gru ? static_cast<T *>(workspace(4, long(sizeof(T)) * rows * wide)) : nullptr;
    auto from = [&](const Tensor &t, long step, long n) {
      return t ? t.data<T>() + (step * r.batch + begin) * n : nullptr;
    };
    T *h = from(h0, 0, units), *last = r.cell == Cell::lstm ? from(c0, 0, units) : h;
    for (long i = 0; i < r.steps; ++i) {
      const long t = r.place(i);
      CellStep<T> s = {};
      s.rows = rows, s.n = units, s.gates = from(gates, t, wide), s.hidden = products,
      s.of_new = from(of_new, t, units);
      s.before = last, s.c = from(c, t, units), s.h = from(y, t, units);
      T *to = products ? products : s.gates;
      for (long j = 0; products && j < rows; ++j) {
        if (b_hh) std::copy_n(b_hh.data<T>(), wide, products + j * wide);
        else std::fill_n(products + j * wide, wide, T(0));
      }
      weights.multiply({h, rows, units, units, 1}, {to, rows, wide, wide, 1}, true);
      kernel(s);
      h = s.h, last = r.cell == Cell::lstm ? s.c : h;
      poll();
    }
  });
}

// Gradients of the gates before their functions, (steps, batch, 4 · units) or of plain layers (steps, batch, units),
// from those of y (or undefined); gh and gc: of the last state, and then of the first one.
template <class T>
void backward(const Recurrent &r, const Tensor &gates, const Tensor &of_new, const Tensor &y, const Tensor &c,
              const Tensor &w_hh, const Tensor &h0, const Tensor &c0, const Tensor &gy, const Tensor &ggates,
              const Tensor &gh, const Tensor &gc) {
  const auto kernel = of<T>(*level().fused).cell_backward[int(r.cell)];
  const Panels<T> weights(matrix<T>(w_hh));
  const long units = long(r.units), wide = long(r.gates()) * units, all = long(ggates.size(-1));
  const bool gru = r.cell == Cell::gru;
  parallel_for(r.batch, r.grain(), [&](long begin, long end) {
    const long rows = end - begin;
    auto from = [&](const Tensor &t, long step, long n) {
      return t ? t.data<T>() + (step * r.batch + begin) * n : nullptr;
    };
    CellStep<T> s = {};
    s.rows = rows, s.n = units, s.gh = from(gh, 0, units), s.gc = from(gc, 0, units);
    for (long i = r.steps - 1; i >= 0; --i) {
      const long t = r.place(i);
      s.gates = from(gates, t, wide), s.of_new = from(of_new, t, units), s.c = from(c, t, units);
      s.gy = from(gy, t, units), s.ggates = from(ggates, t, all);
      const Tensor &state = r.cell == Cell::lstm ? c : y, &first = r.cell == Cell::lstm ? c0 : h0;
      s.before = i ? from(state, r.place(i - 1), units) : from(first, 0, units);
      kernel(s);
      weights.multiply({s.ggates + (gru ? units : 0), rows, wide, all, 1}, {s.gh, rows, units, units, 1}, gru);
      poll();
    }
  });
}

// Columns of the gates' gradients, and the rows of the input's weights that they belong to.
struct Part {
  long column, row, count;
};
SmallVec<Part, 2> input_parts(const Recurrent &r) {
  const long n = long(r.units);
  SmallVec<Part, 2> parts;
  if (r.cell == Cell::gru) parts.push_back({n, 0, 2 * n}), parts.push_back({0, 2 * n, n});
  else parts.push_back({0, 0, long(r.gates()) * n});
  return parts;
}

template <class T>
TensorList gradients(const Recurrent &r, const Backward &b, const Tensor &gates, const Tensor &of_new, const Tensor &y,
                     const Tensor &c) {
  Tensor in[operands];
  for (int i = 0; i < operands; ++i)
    if (Tensor t = b.saved(size_t(i))) in[i] = contiguous(t, Format::contiguous);
  const long units = long(r.units), wide = long(r.gates()) * units, rows = long(r.steps * r.batch);
  auto of_state = [&](size_t i) {
    Tensor g = empty({r.batch, r.units}, y.dtype());
    if (b.grad(i)) copy_data(g, b.grad(i));
    else fill_data(g, Scalar(0));
    return g;
  };
  Tensor gy = b.grad(0) ? contiguous(b.grad(0), Format::contiguous) : Tensor(), gh = of_state(1), gc;
  if (r.cell == Cell::lstm) gc = of_state(2);
  const bool gru = r.cell == Cell::gru;
  Tensor gg = empty({r.steps, r.batch, gru ? 4 * r.units : wide}, y.dtype());
  backward<T>(r, gates, of_new, y, c, in[at_w_hh], in[at_h], in[at_c], gy, gg, gh, gc);

  TensorList g(operands);
  const View<T> all = rows_of<T>(gg), to_hidden = all.across(gru ? units : 0, wide);
  auto like = [](const Tensor &t) { return empty(t.shape(), t.dtype()); };
  if (b.wants(at_x)) {
    g[at_x] = like(in[at_x]);
    bool add = false;
    for (const Part &p : input_parts(r)) {
      multiply(all.across(p.column, p.count), matrix<T>(in[at_w_ih]).part(p.row, p.count), rows_of<T>(g[at_x]), add);
      add = true;
    }
  }
  if (b.wants(at_w_ih)) {
    g[at_w_ih] = like(in[at_w_ih]);
    for (const Part &p : input_parts(r))
      multiply(all.across(p.column, p.count).t(), rows_of<T>(in[at_x]), matrix<T>(g[at_w_ih]).part(p.row, p.count),
               false);
  }
  if (b.wants(at_w_hh)) {
    g[at_w_hh] = like(in[at_w_hh]);
    const View<T> to = matrix<T>(g[at_w_hh]), states = rows_of<T>(y);
    const long batch = long(r.batch), others = rows - batch;
    multiply(to_hidden.part(long(r.place(0)) * batch, batch).t(), rows_of<T>(in[at_h]), to, false);
    if (others)
      multiply(to_hidden.part(r.reverse ? 0 : batch, others).t(), states.part(r.reverse ? batch : 0, others), to, true);
  }
  auto total = [&](long column, long count) {
    return sum(narrow(reshape(gg, {rows, gg.size(-1)}), 1, column, count), Dims{0}, false, std::nullopt);
  };
  if (b.wants(at_b_ih)) {
    Tensors parts;
    for (const Part &p : input_parts(r)) parts.push_back(total(p.column, p.count));
    g[at_b_ih] = parts.size() == 1 ? parts[0] : cat(parts, 0);
  }
  if (b.wants(at_b_hh)) g[at_b_hh] = total(gru ? units : 0, wide);
  if (b.wants(at_h)) g[at_h] = gh;
  if (b.wants(at_c)) g[at_c] = gc;
  return g;
}

// The same in single ops, for gradients of gradients: y and the last state.
Tensors composed(const Recurrent &r, const Tensor *in) {
  Tensor from_x = linear(in[at_x], in[at_w_ih], in[at_b_ih]), h = in[at_h], c = in[at_c];
  Tensors y(size_t(r.steps));
  for (int64_t i = 0; i < r.steps; ++i) {
    const int64_t t = r.place(i);
    Tensor x = select(from_x, 0, t), u = linear(h, in[at_w_hh], in[at_b_hh]);
    auto gate = [&](const Tensor &of, int64_t k) { return narrow(of, 1, k * r.units, r.units); };
    if (r.cell == Cell::lstm) {
      Tensor a = x + u;
      c = sigmoid(gate(a, 1)) * c + sigmoid(gate(a, 0)) * tanh(gate(a, 2));
      h = sigmoid(gate(a, 3)) * tanh(c);
    } else if (r.cell == Cell::gru) {
      Tensor z = sigmoid(gate(x, 1) + gate(u, 1));
      Tensor n = tanh(gate(x, 2) + sigmoid(gate(x, 0) + gate(u, 0)) * gate(u, 2));
      h = n + z * (h - n);
    } else {
      h = r.cell == Cell::tanh ? Tensor(tanh(x + u)) : Tensor(relu(x + u));
    }
    y[size_t(t)] = h;
  }
  return {stack(y, 0), h, c};
}
TensorList composed_gradients(const Recurrent &r, const Backward &b) {
  // Other names for the operands: what they themselves come from is not part of this.
  Tensor in[operands];
  for (int i = 0; i < operands; ++i)
    if (Tensor t = b.saved(size_t(i))) in[i] = view(t, t.shape());
  Tensors y = composed(r, in), results, grads, wanted;
  for (size_t i = 0; i < b.grads.size(); ++i)
    if (b.grad(i)) results.push_back(y[i]), grads.push_back(b.grad(i));
  for (int i = 0; i < operands; ++i)
    if (b.wants(size_t(i))) wanted.push_back(in[i]);
  Tensors found = run_backward(results, grads, wanted, {true, true, true, false});
  TensorList g(operands);
  for (int i = 0, k = 0; i < operands; ++i)
    if (b.wants(size_t(i))) g[size_t(i)] = found[size_t(k++)];
  return g;
}

bool suits(const Tensor &x, const Tensors &states, const Tensors &weights) {
  auto plain = [&](const Tensor &t) { return t.dtype() == x.dtype() && !t.is_meta() && t.numel(); };
  return dtype_in(x.dtype(), set_of(DType::F32) | set_of(DType::F64)) && x.dim() == 3 && !modes.fusing && !plan_hook &&
         plain(x) && std::all_of(states.begin(), states.end(), plain) &&
         std::all_of(weights.begin(), weights.end(), plain);
}

// y (steps, batch, units) and the last state, from x (steps, batch, n), the state (h, or h and c, (batch, units) each)
// and the weights (w_ih, w_hh and both biases or none); nothing where the operands are not of the kind that is computed
// here.
Tensors recurrent(const Tensor &x, const Tensors &states, const Tensors &weights, int64_t cell, bool reverse) {
  if (!suits(x, states, weights)) return {};
  const Recurrent r = {Cell(cell), reverse, x.size(0), x.size(1), states[0].size(-1)};
  const bool bias = weights.size() > 2;
  Tensors in = {x,
                weights[0],
                weights[1],
                bias ? weights[2] : Tensor(),
                bias ? weights[3] : Tensor(),
                states[0],
                states.size() > 1 ? states[1] : Tensor()};
  Tensor gates, of_new, y, c;
  Tensors results;
  {
    NoGrad no;
    Tensor b = in[at_b_ih];
    if (bias && r.cell != Cell::gru) b = b + in[at_b_hh];
    gates = linear(x, in[at_w_ih], b);
    const bool plain = r.gates() == 1;
    auto fresh = [&] { return empty({r.steps, r.batch, r.units}, x.dtype()); };
    y = plain ? gates : fresh();
    if (r.cell == Cell::lstm) c = fresh();
    if (r.cell == Cell::gru) of_new = fresh();
    auto whole = [](const Tensor &t) { return t ? contiguous(t, Format::contiguous) : t; };
    Tensor b_hh = whole(in[at_b_hh]), h0 = whole(in[at_h]), c0 = whole(in[at_c]);
    {
      LongWork unlocked(y.numel() * r.gates() * r.units / 8);
      auto run = [&](auto t) { forward<decltype(t)>(r, gates, of_new, y, c, in[at_w_hh], b_hh, h0, c0); };
      if (x.dtype() == DType::F64) run(double());
      else run(float());
    }
    results = {y};
    const int64_t last = r.place(r.steps - 1);
    results.push_back(clone(select(y, 0, last), Format::contiguous));
    if (c) results.push_back(clone(select(c, 0, last), Format::contiguous));
    if (plain) gates = Tensor();
  }
  if (!needs_grad(in)) return results;
  std::vector<Kept> keep(in.begin(), in.end());
  for (const Keep &k : {result(y), Keep{gates}, Keep{of_new}, Keep{c}}) keep.push_back(k);
  const char *node = r.cell == Cell::lstm ? "MkldnnRnnLayerBackward0" : "StackBackward0";
  record_many(results, node, in, keep, [r](const Backward &b) -> TensorList {
    if (grad_enabled()) return composed_gradients(r, b);
    Tensor y = b.saved(operands), gates = b.saved(operands + 1);
    if (!gates) gates = y;
    LongWork unlocked(y.numel() * r.gates() * r.units / 4);
    if (y.dtype() == DType::F64) return gradients<double>(r, b, gates, b.saved(operands + 2), y, b.saved(operands + 3));
    return gradients<float>(r, b, gates, b.saved(operands + 2), y, b.saved(operands + 3));
  });
  return results;
}
} // namespace
} // namespace ops

const OpTable &recurrent_ops() {
  using namespace ops;
  static const OpTable t = {
      def<recurrent>("_recurrent", "input, states, weights, cell, reverse", function),
  };
  return t;
}

} // namespace hadamard
