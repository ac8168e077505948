// The graph of recorded ops and the engine that runs it backwards.
#pragma once
#include <functional>
#include <memory>
#include <span>

#include "tensor.h"

namespace hadamard {

struct Edge {
  Ref<Node> node;
  uint32_t input = 0;
};

struct Hook { // a callback of the host language
  int64_t id;
  std::function<void(TensorList &grads, const TensorList &outputs)> call;
};

struct Node {
  std::atomic<uint32_t> refs{1};
  bool revivable = false;    // a leaf finds its accumulator again as long as a graph holds it
  bool fused = modes.fusing; // recorded inside of fuse(): so is its gradient
  uint32_t outputs = 1;      // how many gradients it receives
  uint64_t sequence;         // later ops run first
  ShortList<Edge, 2> next;   // where its gradients go, one per input of the op
  struct Watchers {          // what few nodes have
    std::vector<Hook> before, after;
    std::vector<TensorImpl *> retain; // results whose .grad is kept (retain_grad); they take themselves off
    std::shared_ptr<void> call;       // where it was recorded, for the host language: only in anomaly mode
  };
  std::unique_ptr<Watchers> watchers;
  void *python = nullptr;      // the Python object that wraps this, not counted
  const char *label = nullptr; // a name other than the op's own
  // The engine's own fields, valid while `task` is the run's number.
  uint64_t task = 0;
  uint32_t slot = 0;

  Node();
  virtual ~Node() = default;
  static void *operator new(size_t bytes) { return hadamard::allocate(bytes); }
  static void operator delete(void *p, size_t bytes) { hadamard::release(p, bytes); }
  Watchers &watched() {
    if (!watchers) watchers = std::make_unique<Watchers>();
    return *watchers;
  }
  virtual const char *name() const = 0;
  // One gradient per output (some undefined) to one per input (may be undefined).
  virtual TensorList apply(const TensorList &grads) = 0;
  virtual void release() {} // drops what was saved
  virtual bool released() const { return false; }
  // What the derivative reads. 0…3: operands a, b, c and result of an element-wise op; from 4 on: as a formula's
  // kept[0], kept[1], …; nullptr where there is no such thing.
  virtual const class Saved *kept(size_t) const { return nullptr; }
  virtual struct Accumulate *as_accumulate() { return nullptr; }
  bool wants(size_t i) const { return i < next.size() && next[i].node; }
};
void destroy(Node *n) noexcept; // iterative: a chain of a million nodes does not overflow the stack

struct Accumulate : Node { // the end of a path: adds to a leaf's .grad
  Tensor variable;
  explicit Accumulate(const Tensor &v);
  const char *name() const override { return "AccumulateGrad"; }
  TensorList apply(const TensorList &grads) override;
  Accumulate *as_accumulate() override { return this; }
};

struct AutogradMeta {
  std::atomic<uint32_t> refs{1};
  bool retains_grad = false;
  Tensor grad;
  Node *accumulator = nullptr;             // not counted
  std::vector<Hook> hooks;                 // on the gradient of this tensor
  std::vector<Hook> post_accumulate_hooks; // after it was added to .grad
};

// ---- modes
inline bool grad_enabled() { return modes.grad; }
inline void set_grad_enabled(bool on) { modes.grad = on; }
inline bool inference_enabled() { return modes.inference; }
inline void set_inference_enabled(bool on) { modes.inference = on; }
bool anomaly_enabled();
void set_anomaly_enabled(bool on);
extern std::shared_ptr<void> (*note_call)();  // in anomaly mode, for each node
extern void (*tell_of_anomaly)(const Node &); // before the error of a gradient that is NaN
struct NoGrad {
  bool before = grad_enabled();
  NoGrad() { set_grad_enabled(false); }
  ~NoGrad() { set_grad_enabled(before); }
};
struct GradMode {
  bool before = grad_enabled();
  explicit GradMode(bool on) { set_grad_enabled(on); }
  ~GradMode() { set_grad_enabled(before); }
};

// ---- recording
AutogradMeta &meta(const Tensor &t); // made where there is none
Node *fn_of_view(const Tensor &t);   // made anew after an in-place write
inline Node *grad_fn(const Tensor &t) { return t->base ? fn_of_view(t) : t->fn.get(); } // nullptr for a leaf
// Gives t another place in the graph; who keeps its gradient moves along.
void set_fn(const Tensor &t, Ref<Node> fn, uint32_t output);
Edge accumulator_of(const Tensor &t);        // of a leaf; nothing where it does not require grad
inline Edge gradient_edge(const Tensor &t) { // where its gradient goes, if anywhere
  if (Node *fn = grad_fn(t)) return {Ref<Node>(fn), t->output};
  return accumulator_of(t);
}
void set_requires_grad(const Tensor &t, bool on);

inline bool Tensor_requires_grad(const Tensor &t) { return t && t.requires_grad(); }
template <class... T> bool needs_grad(const T &...t) { return grad_enabled() && (Tensor_requires_grad(t) || ...); }
bool needs_grad(const Tensors &ts);

// A tensor kept for backward, with the version it had.
class Saved {
  Tensor t_;
  uint32_t version_ = 0;
  bool output_ = false; // the op's own result: kept without history, which would be a cycle
  uint32_t output_nr_ = 0;

public:
  Saved() = default;
  Saved(const Tensor &t, bool output, uint32_t output_nr = 0);
  // Throws where it was written to since. `room` is for a tensor that has to be made anew.
  const Tensor &get(Node *owner, Tensor &room) const;
  Tensor get(Node *owner) const {
    Tensor room;
    return get(owner, room);
  }
  void clear() { t_ = Tensor(); }
  bool defined() const { return bool(t_); }
};

using SavedList = ShortList<Saved, 2>;

// What a gradient formula sees.
struct Backward {
  Node &node;
  const TensorList &grads;
  const SavedList &kept;
  const Tensor &grad(size_t i = 0) const { return grads[i]; }
  Tensor saved(size_t i) const { return kept[i].get(&node); }
  bool wants(size_t i) const { return node.wants(i); }
};

void throw_released();

template <class F> struct FormulaNode : Node {
  const char *name_;
  SavedList saved;
  F f;
  bool had_saved, freed = false;
  FormulaNode(const char *name, SavedList s, F f)
      : name_(name), saved(std::move(s)), f(std::move(f)), had_saved(!saved.empty()) {}
  const char *name() const override { return label ? label : name_; }
  TensorList apply(const TensorList &grads) override {
    if (freed) throw_released();
    bool any = false;
    for (auto &g : grads) any |= bool(g);
    if (!any) return TensorList(next.size());
    return f(Backward{*this, grads, saved});
  }
  void release() override {
    if (had_saved) {
      freed = true;
      for (auto &s : saved) s.clear();
    }
  }
  bool released() const override { return freed; }
  const Saved *kept(size_t i) const override { return i >= 4 && i - 4 < saved.size() ? &saved[i - 4] : nullptr; }
};

// What to save: inputs, then results (marked so). Not counted, since most calls record nothing.
struct Keep {
  const Tensor &t;
  bool output = false;
  uint32_t output_nr = 0;
  Keep(const Tensor &t, bool output = false, uint32_t nr = 0) : t(t), output(output), output_nr(nr) {}
};
struct Kept { // the same in a list that outlives a call
  Tensor t;
  bool output = false;
  uint32_t output_nr = 0;
  Kept(const Tensor &t, bool output = false, uint32_t nr = 0) : t(t), output(output), output_nr(nr) {}
  Kept(const Keep &k) : Kept(k.t, k.output, k.output_nr) {}
};
inline Keep result(const Tensor &y, uint32_t nr = 0) { return {y, true, nr}; }

// Attaches `node` to results: they require grad and name it as their grad_fn.
void set_history(const Tensors &results, Ref<Node> node);
void set_history(const Tensor &y, Ref<Node> node);
void connect(Node &node, const Tensor *inputs, size_t n);
void connect(Node &node, std::initializer_list<Keep> inputs);

// Records that `y` came from `inputs`: f(Backward) gives one gradient per input. Does nothing (and saves nothing)
// where no gradient is asked for. Returns y.
template <class F>
const Tensor &record(const Tensor &y, const char *name, std::initializer_list<Keep> inputs,
                     std::initializer_list<Keep> keep, F f) {
  bool any = false;
  if (grad_enabled())
    for (auto &in : inputs) any |= Tensor_requires_grad(in.t);
  if (!any) return y;
  SavedList saved;
  saved.reserve(keep.size());
  for (auto &k : keep) saved.emplace_back(k.t, k.output, k.output_nr);
  auto *node = new FormulaNode<F>(name, std::move(saved), std::move(f));
  connect(*node, inputs);
  set_history(y, Ref<Node>::adopt(node));
  return y;
}
// The same for several results (undefined entries and integer results are passed over) or a list of inputs.
template <class F>
void record_many(const Tensors &results, const char *name, const Tensors &inputs, const std::vector<Kept> &keep, F f) {
  if (!needs_grad(inputs)) return;
  SavedList saved;
  for (auto &k : keep) saved.emplace_back(k.t, k.output, k.output_nr);
  auto *node = new FormulaNode<F>(name, std::move(saved), std::move(f));
  node->outputs = uint32_t(results.size());
  connect(*node, inputs.data(), inputs.size());
  set_history(results, Ref<Node>::adopt(node));
}

// y, fresh from an op, with torch's name for what made it where that is not the op's own; `name` lives for ever.
inline const Tensor &named(const Tensor &y, const char *name) {
  if (y->fn) y->fn->label = name;
  return y;
}

// ---- in-place writes
void check_overlap(const Tensor &written);               // no element may share its place with another
void check_inplace(const Tensor &self);                  // leaf, inference and overlap rules
void rebase_history(const Tensor &self, Ref<Node> node); // node's input 0 is self as it was

// ---- views
void link_base(const Tensor &view, const Tensor &of);
// A view of x with history: f(Backward) gives the gradient of x.
template <class F>
Tensor make_view(const Tensor &x, const Dims &shape, const Dims &strides, int64_t offset, const char *name, F f) {
  Tensor y = alias(x, shape, strides, offset);
  link_base(y, x);
  record(y, name, {x}, {}, std::move(f));
  return y;
}
Tensor as_strided(const Tensor &x, const Dims &shape, const Dims &strides, std::optional<int64_t> offset);

// ---- running
struct BackwardOptions {
  bool keep_graph = false, create_graph = false, allow_unused = false, accumulate = true;
};
// Gradients of `outputs` seeded with `grads` (undefined: ones for a single element). With `inputs`: returns their
// gradients (accumulate = false) or adds only to theirs (accumulate = true); without: adds to every leaf's .grad.
Tensors run_backward(std::span<const Tensor> outputs, std::span<const Tensor> grads, std::span<const Tensor> inputs,
                     BackwardOptions o);
// Gradients that meet are summed; used by the engine and by Accumulate.
Tensor add_grads(const Tensor &a, const Tensor &b);

} // namespace hadamard
