// The dispatcher of element-wise ops: check, promote, allocate, run, record the gradient.
#pragma once
#include <memory>
#include <span>

#include "autograd.h"
#include "cpu/level.h"
#include "op.h"
#include "tensor.h"

namespace hadamard {

// What run() needs to know of an op; made once per op from its paragraph.
struct Elementwise {
  int id;
  const char *name;
  std::string node; // "MulBackward0"
  Set dtypes;
  Promotes promotes;
  bool condition;
  uint8_t saves[3]; // per operand: which of a, b, c, y (bits 0…3) its derivative reads
  bool has_grad[3];
  std::unique_ptr<const Elementwise> slope[3]; // per operand: its derivative in one pass, where that has a kernel
};
std::string node_name(const char *op); // "logical_and" → "LogicalAndBackward0"
int op_index(const char *name);        // the op's row in a level's table

// Computes without history. `out`, where given, receives the result (resized with a warning, cast where allowed).
Tensor run(const Elementwise &op, const Tensor *in, int n, const Tensor &out = {});
// A derivative in one pass: g, and those of v that `reads` names. Nothing where it has to be composed of ops, for
// the sake of gradients of gradients or because of the dtypes. Where `ours`, g may take the result if nobody else has
// it.
Tensor run_slope(const Elementwise &slope, unsigned reads, const Tensor &g, const Tensor *const *v, bool ours);
// Whether nobody but its one owner sees t: it may be written to.
bool is_ours(const Tensor &t);
// In place: the result goes to in[0], whose shape and dtype stay.
void run_inplace(const Elementwise &op, const Tensor *in, int n);
// Throws where a - b, or -a of one operand, meets bool.
void check_minus(std::span<const Tensor> operands);
// The error of two shapes that do not go together; `where` says at which dimension.
Error clash(const char *op, const Dims &a, const Dims &b, const Broadcast &where);
// Throws as torch does when out= meets a gradient.
void check_out(const char *op, const Tensor &out, bool any_requires_grad);
// Puts y where the caller asked: into `out`, resized with torch's warning, cast where allowed.
Tensor write_out(const char *op, const Tensor &out, const Tensor &y);

// Lets other threads of the host language run while a kernel of this many elements works.
class LongWork {
  bool on_;

public:
  explicit LongWork(int64_t elements);
  ~LongWork();
};
extern bool (*release_host_lock)(); // true where it was held and is now released
extern void (*acquire_host_lock)();

// Runs a loop over a strided iteration: coalesces dimensions, splits over threads.
void run_grid(const Loop &loop, Grid &grid);
// dst = src, cast and broadcast; no history, no version.
void copy_data(const Tensor &dst, const Tensor &src);
void fill_data(const Tensor &t, const Scalar &v);

// With history.
Tensor to(const Tensor &x, DType t);
Tensor to(const Tensor &x, Device d);
Tensor clone(const Tensor &x);                    // same layout
Tensor contiguous(const Tensor &x);               // x itself where it is
Tensor detach(const Tensor &x);                   // a view without history
void copy_(const Tensor &dst, const Tensor &src); // in place, with history
void fill_(const Tensor &t, const Tensor &value);
void zero_(const Tensor &t);
// The rule for an op in place that has no kernel of its own: self takes y's values and y's history.
void assign(const Tensor &self, const Tensor &y);
// Sums what broadcasting repeated, and casts: the gradient of an operand of that shape and dtype.
Tensor sum_to(const Tensor &g, const Dims &shape);
Tensor reduce_grad(Tensor g, const Dims &shape, DType t);
// The common device (a 0-d CPU tensor goes with any); throws in torch's words.
Device common_device(const Tensor *t, int n, const char *op);

// ---- an op paragraph called on tensors
namespace ops {
template <class O> constexpr int find_slope(char letter); // elementwise.h
}
template <class Op> const Elementwise &about(const Op &op) {
  static const std::string slope_name = std::string(op.name) + "_backward";
  static const Elementwise e = [&] {
    Elementwise r{op_index(op.name), op.name, node_name(op.name), op.dtypes, op.promotes, op.condition, {}, {}, {}};
    auto note = [&](const auto &d) {
      if constexpr (requires { d.operand; }) {
        int i = d.operand[0] - 'a';
        r.has_grad[i] = true;
        r.saves[i] = uint8_t(reads(d.source));
        if (int row = ops::find_slope<Op>(d.operand[0]); row >= 0)
          r.slope[i].reset(new Elementwise{row, slope_name.c_str(), "", set_of(DType::F32) | set_of(DType::F64)});
      }
    };
    note(op.d0);
    note(op.d1);
    note(op.d2);
    return r;
  }();
  return e;
}

template <class Op> struct ElementwiseNode : Node {
  static constexpr int N = Op::arity;
  const Op &op;
  bool had_saved = false, freed = false;
  Saved saved[4];
  DType dtype[N];
  std::unique_ptr<Dims> shape[N]; // only where broadcasting changed it

  explicit ElementwiseNode(const Op &op) : op(op) {}
  const char *name() const override { return label ? label : about(op).node.c_str(); }
  TensorList apply(const TensorList &grads) override {
    if (freed) throw_released();
    TensorList r(N);
    const Tensor &g = grads[0];
    if (!g) return r;
    Tensor room[4];
    const Tensor *v[4] = {&room[0], &room[1], &room[2], &room[3]};
    const auto &e = about(op);
    unsigned need = 0;
    int last = -1;
    for (int i = 0; i < N; ++i)
      if (wants(i)) need |= e.saves[i], last = i;
    for (int i = 0; i < 4; ++i)
      if (need >> i & 1) v[i] = &saved[i].get(this, room[i]);
    auto one = [&](const auto &d) {
      if constexpr (requires { d.operand; }) {
        int i = d.operand[0] - 'a';
        if (!wants(i)) return;
        const bool ours = i == last && !watchers; // nothing else will look at g
        Tensor x = e.slope[i] ? run_slope(*e.slope[i], e.saves[i], g, v, ours) : Tensor();
        if (!x) x = d.formula(g, *v[0], *v[1], *v[2], *v[3]);
        r[i] = reduce_grad(std::move(x), shape[i] ? *shape[i] : g.shape(), dtype[i]);
      }
    };
    one(op.d0);
    one(op.d1);
    one(op.d2);
    return r;
  }
  void release() override {
    if (had_saved) {
      freed = true;
      for (auto &s : saved) s.clear();
    }
  }
  bool released() const override { return freed; }
  const Saved *kept(size_t i) const override { // a, b, c, y
    const auto &e = about(op);
    return i < 4 && (e.saves[0] | e.saves[1] | e.saves[2]) >> i & 1 ? &saved[i] : nullptr;
  }
};

// Gradients flow only through floating and complex results.
inline bool differentiable(const Tensor &y) { return dtype_in(y.dtype(), floats | complexes); }
// Gives `copy` the place of `of` in the graph, so that gradients of gradients find it.
void share_history(const Tensor &copy, const Tensor &of);

inline const Tensor &as_operand(const Tensor &t) { return t; }
inline Tensor as_operand(const Scalar &s) { return number(s); }

template <class Op>
void record_elementwise(const Op &op, const Tensor *in, const Tensor &y, bool inplace = false, uint8_t cloned = 0,
                        const Tensor *original = nullptr) {
  const auto &e = about(op);
  auto *node = new ElementwiseNode<Op>(op);
  Ref<Node> holder = Ref<Node>::adopt(node);
  unsigned need = 0;
  for (int i = 0; i < Op::arity; ++i) {
    bool wanted = e.has_grad[i] && in[i].requires_grad();
    node->next.push_back(wanted ? gradient_edge(in[i]) : Edge{});
    if (wanted) need |= e.saves[i];
    node->dtype[i] = in[i].dtype();
    if (!(in[i].shape() == y.shape())) node->shape[i] = std::make_unique<Dims>(in[i].shape());
  }
  for (int i = 0; i < Op::arity; ++i)
    if (need >> i & 1) node->saved[i] = Saved(cloned >> i & 1 ? *original : in[i], false);
  node->had_saved = need;
  if (inplace) {
    y.bump();
    if (need & 8) node->saved[3] = Saved(y, true);
    rebase_history(y, holder);
  } else {
    if (need & 8) node->saved[3] = Saved(y, true);
    set_history(y, holder);
  }
}

template <class Op> Tensor apply_to(const Op &op, const Tensor *in) {
  const auto &e = about(op);
  Tensor y = run(e, in, Op::arity);
  if constexpr (requires { op.d0.operand; })
    if (grad_enabled()) {
      bool any = false;
      for (int i = 0; i < Op::arity; ++i) any |= e.has_grad[i] && in[i].requires_grad();
      if (any && differentiable(y)) record_elementwise(op, in, y);
    }
  return y;
}
template <class Op, class... R> Tensor apply(const Op &op, const Tensor &a, const R &...r) {
  static_assert(Op::arity == 1 + sizeof...(R));
  return apply_to(op, Borrowed<Op::arity>(a, as_operand(r)...).list());
}

template <class Op> void apply_out_to(const Op &op, const Tensor &out, const Tensor *in) {
  bool any = out.requires_grad();
  for (int i = 0; i < Op::arity; ++i) any |= in[i].requires_grad();
  check_out(op.name, out, any);
  run(about(op), in, Op::arity, out);
  out.bump();
}
template <class Op, class... R> void apply_out(const Op &op, const Tensor &out, const Tensor &a, const R &...r) {
  apply_out_to(op, out, Borrowed<Op::arity>(a, as_operand(r)...).list());
}

template <class Op> void apply_inplace_to(const Op &op, const Tensor *in) {
  const auto &e = about(op);
  const Tensor &self = in[0];
  check_inplace(self);
  bool any = false;
  unsigned need = 0;
  if (grad_enabled())
    for (int i = 0; i < Op::arity; ++i)
      if (in[i].requires_grad()) {
        any = true;
        need |= e.saves[i];
      }
  // A derivative that reads the old value of self needs a copy of it.
  Tensor original;
  uint8_t cloned = 0;
  if (any && (need & 1)) {
    GradMode off(false);
    original = clone(self);
    cloned = 1;
    for (int i = 1; i < Op::arity; ++i)
      if (in[i].is(self)) cloned |= uint8_t(1 << i);
  }
  run_inplace(e, in, Op::arity);
  if (any) {
    if (original) share_history(original, self);
    record_elementwise(op, in, self, true, cloned, &original);
  } else {
    self.bump();
  }
}
template <class Op, class... R> void apply_inplace(const Op &op, const Tensor &self, const R &...r) {
  apply_inplace_to(op, Borrowed<Op::arity>(self, as_operand(r)...).list());
}

} // namespace hadamard
