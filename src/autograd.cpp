// Recording, in-place histories, and the engine.
#include "autograd.h"
#include "cpu/threads.h"
#include "engine.h"

#include <algorithm>
#include <cctype>
#include <mutex>
#include <new>
#include <pthread.h>

#include "call.h"
#include "ops/all.h"
#include "ops/fuse.h"
#include "saved.h"

namespace hadamard {

// ---- modes

constinit thread_local Modes modes;

namespace {
std::atomic<bool> anomaly{false};
std::atomic<uint64_t> next_sequence{0};
} // namespace

bool anomaly_enabled() { return anomaly; }
void set_anomaly_enabled(bool on) { anomaly = on; }
std::shared_ptr<void> (*note_call)();
void (*tell_of_anomaly)(const Node &);

// ---- nodes

Node::Node() : sequence(next_sequence.fetch_add(1, std::memory_order_relaxed)) {
  if (anomaly.load(std::memory_order_relaxed) && note_call) watched().call = note_call();
}

void destroy(Node *n) noexcept {
  // Edges and saved tensors lead to further nodes: take them one at a time instead of by recursion. What waits is
  // linked through `python`, which is null by now: the Python object would hold the node.
  static constinit thread_local Node *waiting HD_INITIAL_EXEC = nullptr;
  static constinit thread_local bool draining HD_INITIAL_EXEC = false;
  if (draining) {
    n->python = waiting;
    waiting = n;
    return;
  }
  draining = true;
  delete n;
  while (waiting) {
    n = waiting;
    waiting = static_cast<Node *>(n->python);
    delete n;
  }
  draining = false;
}

void destroy(AutogradMeta *m) noexcept {
  m->~AutogradMeta();
  release(m, sizeof(AutogradMeta));
}

AutogradMeta &meta(const Tensor &t) {
  if (!t->meta) t->meta = Ref<AutogradMeta>::adopt(new (allocate(sizeof(AutogradMeta))) AutogradMeta);
  return *t->meta;
}

namespace {
// Whether g alone has its storage; steps that wait hold theirs too, but run before anybody writes there.
bool sole_owner(const Tensor &g) { return g->storage->refs.load() - g->storage->waiting.load() == 1; }
} // namespace

Accumulate::Accumulate(const Tensor &v) : variable(v) {
  sequence = UINT64_MAX;
  fused = false;
}

TensorList Accumulate::apply(const TensorList &grads) {
  if (!grads[0]) return {};
  AutogradMeta &m = meta(variable);
  Tensor changed;
  if (!m.hooks.empty()) {
    TensorList list{grads[0]};
    for (auto &h : m.hooks) h.call(list, {});
    changed = std::move(list[0]);
    if (!changed) return {};
  }
  const Tensor &g = changed ? changed : grads[0];
  if (!m.grad) {
    const uint32_t here = changed && changed.is(grads[0]) ? 2 : 1; // handles of this pass
    bool owned = !grad_enabled() && g->refs.load() == here && sole_owner(g) && !g->base &&
                 !overlaps_itself(g.shape(), g.strides()) && g.strides() == variable.strides();
    if (grad_enabled()) m.grad = g;
    else if (owned) m.grad = g;
    else {
      Tensor fresh = empty_like(variable, g.dtype());
      copy_data(fresh, g);
      m.grad = fresh;
    }
  } else if (grad_enabled()) {
    m.grad = add_grads(m.grad, g);
  } else {
    Tensor grad = m.grad; // another thread may drop it while this one adds
    run_inplace(about(ops::add), Borrowed<2>(grad, g).list(), 2);
    grad.bump();
  }
  for (auto &h : m.post_accumulate_hooks) {
    TensorList v{variable};
    h.call(v, {});
  }
  return {};
}

Tensor add_grads(const Tensor &a, const Tensor &b) {
  if (!a) return b;
  if (!b) return a;
  return ops::add(a, b);
}

// ---- where gradients go

namespace {
// What a view with this geometry shows of `whole`, whose first number lies at `begin` in the view's storage. The view
// may show the parts of complex numbers, or pairs as complex numbers; offsets count each dtype's own numbers.
Tensor part_of(const Tensor &whole, int64_t begin, DType t, Dims shape, Dims strides, int64_t offset) {
  if (t == whole.dtype()) return as_strided(whole, shape, strides, offset - begin);
  if (whole.is_complex()) return as_strided(ops::view_as_real(whole), shape, strides, offset - 2 * begin);
  for (auto &s : strides) s *= 2;
  shape.push_back(2);
  strides.push_back(1);
  return ops::view_as_complex(as_strided(whole, shape, strides, 2 * offset - begin));
}

// The part of an in-place write that a view's base records: fn acts on the slice, the rest passes through.
struct CopySlices : Node {
  Ref<Node> fn;
  Dims base_shape, base_strides, shape, strides;
  int64_t base_offset, offset;
  DType dtype, slice_dtype;
  bool freed = false;
  const char *name() const override { return label ? label : "CopySlices"; }
  TensorList apply(const TensorList &grads) override {
    if (freed) throw_released();
    TensorList r(next.size());
    if (!grads[0]) return r;
    Tensor whole = empty_strided(base_shape, base_strides, dtype);
    copy_(whole, grads[0]);
    auto slice_of = [&](const Tensor &t) { return part_of(t, base_offset, slice_dtype, shape, strides, offset); };
    Tensor part = clone(slice_of(whole));
    TensorList inner = fn->apply({part});
    for (size_t i = 0; i < inner.size() && i < r.size(); ++i)
      if (i) r[i] = inner[i];
    Tensor slice = slice_of(whole);
    if (!inner.empty() && inner[0]) copy_(slice, inner[0]);
    else zero_(slice);
    r[0] = whole;
    return r;
  }
  void release() override {
    fn->release();
    freed = fn->released();
  }
  bool released() const override { return freed; }
};

// Puts g back where as_strided read it: a flat buffer of n elements, contributions to one place summed.
Tensor strided_scatter(const Tensor &g, int64_t n, const Dims &shape, const Dims &strides, int64_t offset) {
  Tensor flat = zeros({n}, g.dtype(), g.device());
  if (!g.is_meta() && g.numel()) {
    Tensor window = alias(flat, shape, strides, offset);
    bool unique = true;
    { // strides sorted: each must step over all the smaller ones
      SmallVec<int, 8> order;
      for (int i = 0; i < int(shape.size()); ++i)
        if (shape[i] > 1) order.push_back(i);
      std::sort(order.begin(), order.end(), [&](int a, int b) { return strides[a] < strides[b]; });
      int64_t reach = 0;
      for (int i : order) {
        unique &= strides[i] > reach;
        reach += (shape[i] - 1) * strides[i];
      }
    }
    if (unique) {
      copy_data(window, g);
    } else {
      Tensor src = empty(shape, g.dtype());
      copy_data(src, g);
      Dims at(shape.size(), 0);
      const char *from = src.raw();
      for (int64_t k = 0; k < g.numel(); ++k, from += g.itemsize()) {
        int64_t place = offset;
        for (size_t d = 0; d < shape.size(); ++d) place += at[d] * strides[d];
        char *to = flat.raw() + place * g.itemsize();
        Scalar x = load(to, g.dtype()), y = load(from, g.dtype());
        store(to, g.dtype(), Scalar(std::complex<double>(x.re + y.re, x.im + y.im)));
        for (size_t d = shape.size(); d-- > 0;) {
          if (++at[d] < shape[d]) break;
          at[d] = 0;
        }
      }
    }
  }
  return record(flat, "AsStridedScatterBackward0", {g}, {}, [=](const Backward &b) -> TensorList {
    return {as_strided(contiguous(b.grad()), shape, strides, offset)};
  });
}
} // namespace

Tensor as_strided(const Tensor &x, const Dims &shape, const Dims &strides, std::optional<int64_t> offset) {
  HD_CHECK(shape.size() == strides.size(), runtime, "mismatch in length of strides and shape");
  int64_t at = offset ? *offset : x->offset, last = at;
  HD_CHECK(at >= 0, runtime, "Tensor: invalid storage offset %ld", long(at));
  bool any = true;
  for (size_t i = 0; i < shape.size(); ++i) {
    HD_CHECK(strides[i] >= 0, runtime, "as_strided: Negative strides are not supported at the moment, got strides: %s",
             brackets(strides).c_str());
    any &= shape[i] > 0;
    int64_t span;
    HD_CHECK(shape[i] < 1 || (!__builtin_mul_overflow(shape[i] - 1, strides[i], &span) &&
                              !__builtin_add_overflow(last, span, &last)),
             runtime, "Storage size calculation overflowed with sizes=%s and strides=%s", brackets(shape).c_str(),
             brackets(strides).c_str());
  }
  HD_CHECK(!any || size_t(last + 1) <= x->storage->bytes / size_t(x.itemsize()), runtime,
           "setStorage: sizes %s, strides %s, storage offset %ld, and itemsize %ld requiring a storage size of %ld are "
           "out of bounds for storage of size %zu",
           brackets(shape).c_str(), brackets(strides).c_str(), long(at), long(x.itemsize()),
           long((last + 1) * x.itemsize()), x->storage->bytes);
  Dims in_shape = x.shape(), in_strides = x.strides();
  int64_t in_at = x->offset;
  return make_view(x, shape, strides, at, "AsStridedBackward0", [=](const Backward &b) -> TensorList {
    int64_t low = std::min(in_at, at);
    int64_t in_last = in_at, out_last = at;
    for (size_t i = 0; i < in_shape.size(); ++i) in_last += in_shape[i] ? (in_shape[i] - 1) * in_strides[i] : 0;
    for (size_t i = 0; i < shape.size(); ++i) out_last += shape[i] ? (shape[i] - 1) * strides[i] : 0;
    int64_t high = std::max(in_last, out_last);
    Tensor flat = strided_scatter(b.grad(), high - low + 1, shape, strides, at - low);
    return {as_strided(flat, in_shape, in_strides, in_at - low)};
  });
}

void link_base(const Tensor &view, const Tensor &of) {
  if (!grad_enabled() || of->untracked) return;
  TensorImpl *base = of->base ? of->base : of.impl();
  base->refs.fetch_add(1, std::memory_order_relaxed);
  view->base = base;
  view->grad_version = view.version();
}

Node *fn_of_view(const Tensor &t) {
  if (t->grad_version != t.version()) {
    // The storage was written to since: if the base has a history now, this view's follows from it.
    Tensor base{Ref<TensorImpl>(t->base)};
    t->grad_version = t.version();
    if (base.requires_grad()) {
      GradMode on(true);
      Tensor again = part_of(base, 0, t.dtype(), t.shape(), t.strides(), t->offset);
      set_fn(t, again->fn, 0);
    }
  }
  return t->fn.get();
}

void set_fn(const Tensor &t, Ref<Node> fn, uint32_t output) {
  if (t->meta && t->meta->retains_grad && t->fn) {
    std::erase(t->fn->watched().retain, t.impl());
    if (fn) fn->watched().retain.push_back(t.impl());
  }
  t->fn = std::move(fn);
  t->output = output;
}

Edge accumulator_of(const Tensor &t) {
  if (!t->asks_grad) return {};
  AutogradMeta &m = meta(t);
  if (m.accumulator) {
    // It may be on its way out in another thread: revive only while it is still counted.
    uint32_t n = m.accumulator->refs.load();
    while (n && !m.accumulator->refs.compare_exchange_weak(n, n + 1)) {}
    if (n) return {Ref<Node>::adopt(m.accumulator), 0};
  }
  struct Owned : Accumulate {
    explicit Owned(const Tensor &t) : Accumulate(t) { revivable = true; }
    ~Owned() override {
      if (variable->meta && variable->meta->accumulator == this) variable->meta->accumulator = nullptr;
    }
  };
  auto *a = new Owned(t);
  m.accumulator = a;
  return {Ref<Node>::adopt(a), 0};
}

void set_requires_grad(const Tensor &t, bool on) {
  HD_CHECK(!on || differentiable(t), runtime, "only Tensors of floating point dtype can require gradients");
  HD_CHECK(!(on && t->inference && !inference_enabled()), runtime,
           "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
  if (grad_fn(t)) {
    HD_CHECK(on, runtime,
             "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
             "subgraph that doesn't require differentiation use var_no_grad = var.detach().");
    return;
  }
  t->asks_grad = on;
}

bool needs_grad(const Tensors &ts) {
  if (!grad_enabled()) return false;
  for (auto &t : ts)
    if (Tensor_requires_grad(t)) return true;
  return false;
}

void connect(Node &node, const Tensor *inputs, size_t n) {
  node.next.reserve(n);
  for (size_t i = 0; i < n; ++i)
    node.next.push_back(Tensor_requires_grad(inputs[i]) ? gradient_edge(inputs[i]) : Edge{});
}

void connect(Node &node, std::initializer_list<Keep> inputs) {
  node.next.reserve(inputs.size());
  for (auto &in : inputs) node.next.push_back(Tensor_requires_grad(in.t) ? gradient_edge(in.t) : Edge{});
}

void set_history(const Tensor &y, Ref<Node> node) {
  if (differentiable(y)) set_fn(y, std::move(node), 0);
}
void set_history(const Tensors &results, Ref<Node> node) {
  for (size_t i = 0; i < results.size(); ++i)
    if (results[i] && differentiable(results[i])) set_fn(results[i], node, uint32_t(i));
}
void share_history(const Tensor &copy, const Tensor &of) {
  if (!of.requires_grad()) return;
  Edge e = gradient_edge(of);
  set_fn(copy, std::move(e.node), e.input);
}

// ---- saved tensors

constinit SavedHooks saved_hooks{};

// Gives `kept` t's place in the graph without its numbers.
static Tensor packed(const Tensor &t, bool output) {
  Tensor kept = saved_hooks.pack(output ? alias(t) : t);
  if (!output) share_history(kept, t);
  return kept;
}

Saved::Saved(const Tensor &t, bool output, uint32_t nr)
    : version_(t ? t.version() : 0), output_(output), output_nr_(nr) {
  if (!t) return;
  HD_CHECK(
      !t->inference || inference_enabled(), runtime,
      "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
      "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it "
      "in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`.");
  if (modes.packing) {
    t_ = packed(t, output);
    version_ = 0;
  } else if (output) {
    t_ = alias(t);
    t_->wrapped = t->wrapped;
  } else {
    t_ = t;
  }
}

static std::string legacy_type(const Tensor &t) { return std::string("torch.") + info(t.dtype()).legacy; }

// The name without "Backward0", which torch leaves out of its messages.
static std::string kind_of(Node *fn) {
  std::string name = fn->name();
  return name.substr(0, name.find("Backward"));
}

const Tensor &Saved::get(Node *owner, Tensor &room) const {
  if (!t_) return t_;
  if (t_.version() != version_) {
    std::string what = "[" + legacy_type(t_) + " " + brackets(t_.shape()) + "]";
    Node *fn = output_ ? owner : grad_fn(t_);
    std::string by = fn ? kind_of(fn) : "";
    if (fn) what += ", which is output " + std::to_string(output_ ? output_nr_ : t_->output) + " of " + by + ",";
    throw Error(Raises::runtime,
                "one of the variables needed for gradient computation has been modified by an inplace operation: " +
                    what + " is at version " + std::to_string(t_.version()) + "; expected version " +
                    std::to_string(version_) + " instead. Hint: " +
                    (anomaly_enabled()
                         ? "the backtrace further above shows the operation that failed to compute its gradient. The "
                           "variable in question was changed in there or anywhere later. Good luck!"
                         : "enable anomaly detection to find the operation that failed to compute its gradient, with "
                           "torch.autograd.set_detect_anomaly(True, check_nan=False)."),
                "inplace_saved")
        .in(owner ? owner->name() : "")
        .arg("saved", t_);
  }
  bool unpack = saved_hooks.is_packed && saved_hooks.is_packed(t_);
  if (!unpack && (!output_ || !owner)) return t_;
  room = alias(unpack ? saved_hooks.unpack(t_) : t_);
  if (!output_ || !owner) share_history(room, t_);
  else set_fn(room, Ref<Node>(owner), output_nr_);
  return room;
}

void throw_released() {
  throw Error(Raises::runtime,
              "Trying to backward through the graph a second time (or directly access saved tensors after they have "
              "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
              "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or "
              "if you need to access saved tensors after calling backward.",
              "released");
}

// ---- in-place writes

void check_overlap(const Tensor &written) {
  if (overlaps_itself(written.shape(), written.strides()))
    throw Error(Raises::runtime,
                "unsupported operation: more than one element of the written-to tensor refers to a single memory "
                "location. Please clone() the tensor before performing the operation.",
                "overlap")
        .arg("self", written);
}

void check_inplace(const Tensor &self) {
  if (modes.fusing) run_before_write(self);
  check_overlap(self);
  HD_CHECK(
      !self->inference || inference_enabled(), runtime,
      "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal "
      "tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details.");
  if (!grad_enabled() || !self.requires_grad()) return;
  if (self->one_of_many && self->fn)
    throw Error(
        Raises::runtime,
        text("Output %u of %s is a view and is being modified inplace. This view is the output of a function that "
             "returns multiple views. Such functions do not allow the output views to be modified inplace. You "
             "should replace the inplace operation by an out-of-place one.",
             self->output, kind_of(self->fn.get()).c_str()),
        "inplace_views");
  if (self->base) {
    Tensor base{Ref<TensorImpl>(self->base)};
    if (!grad_fn(base) && base.requires_grad())
      throw Error(Raises::runtime,
                  "a view of a leaf Variable that requires grad is being used in an in-place operation.", "leaf");
  }
  if (!grad_fn(self))
    throw Error(Raises::runtime, "a leaf Variable that requires grad is being used in an in-place operation.", "leaf");
}

void rebase_history(const Tensor &self, Ref<Node> node) {
  if (!differentiable(self)) return;
  if (!self->base) return set_fn(self, std::move(node), 0);
  Tensor base{Ref<TensorImpl>(self->base)};
  auto *slices = new CopySlices;
  Ref<Node> holder = Ref<Node>::adopt(slices);
  slices->dtype = base.dtype();
  slices->slice_dtype = self.dtype();
  slices->base_shape = base.shape();
  slices->base_strides = is_dense(base.shape(), base.strides()) ? base.strides() : contiguous_strides(base.shape());
  slices->base_offset = base->offset;
  slices->shape = self.shape();
  slices->strides = self.strides();
  slices->offset = self->offset;
  slices->next.push_back(gradient_edge(base));
  for (size_t i = 1; i < node->next.size(); ++i) slices->next.push_back(node->next[i]);
  // Inside, input 0 is the slice: its gradient is always wanted, it becomes part of the base's.
  if (!node->next.empty() && !node->next[0].node) node->next[0] = Edge{Ref<Node>(new Accumulate(detach(self))), 0};
  slices->fn = std::move(node);
  set_fn(base, holder, 0);
  self->grad_version = self.version() - 1; // stale: made anew from the base when asked for
}

void assign(const Tensor &self, const Tensor &y) {
  check_inplace(self);
  Broadcast b = broadcast(self.shape(), y.shape());
  if (b.clash >= 0 || !(b.shape == self.shape()))
    throw Error(Raises::runtime,
                text("output with shape %s doesn't match the broadcast shape %s", brackets(self.shape()).c_str(),
                     brackets(y.shape()).c_str()),
                "inplace_shape");
  HD_CHECK(can_cast(y.dtype(), self.dtype()), runtime, "result type %s can't be cast to the desired output type %s",
           info(y.dtype()).scalar, info(self.dtype()).scalar);
  Tensor cast; // owns the node until self does
  if (grad_enabled() && y.requires_grad()) cast = to(y, self.dtype());
  Node *fn = cast ? grad_fn(cast) : nullptr;
  copy_data(self, y);
  self.bump();
  if (!grad_enabled()) return;
  if (fn && self->base) {
    // The base records "the slice was replaced by y": y's own history already leads back to the old slice.
    auto *node =
        new FormulaNode("CopyBackwards", {}, [](const Backward &g) -> TensorList { return {Tensor(), g.grad()}; });
    Ref<Node> holder = Ref<Node>::adopt(node);
    node->next.push_back({});
    node->next.push_back(gradient_edge(y));
    rebase_history(self, holder);
  } else if (fn) {
    rebase_history(self, Ref<Node>(fn));
  } else if (self.requires_grad()) {
    rebase_history(self, Ref<Node>::adopt(new FormulaNode("CopyBackwards", {}, [](const Backward &) -> TensorList {
                     return {Tensor(), Tensor()};
                   })));
  }
}

// ---- the engine

namespace {

struct State {
  Node *node;
  uint64_t outer_task;
  uint32_t outer_slot;
  uint32_t waits = 0; // consumers that have not run yet
  bool needed = true;
  TensorList in; // gradients so far, one per output of the op
  explicit State(Node *n) : node(n), outer_task(n->task), outer_slot(n->slot), in(n->outputs) {}
};
// States whose gradients are complete: what was recorded last comes first. The first lies apart, for in a chain there
// is no other.
class Ready {
  State *first_ = nullptr;
  ShortList<State *, 8> others_; // a heap
  static bool later(const State *a, const State *b) { return a->node->sequence < b->node->sequence; }

public:
  void add(State *s) {
    if (!first_) {
      first_ = s;
      return;
    }
    if (later(first_, s)) std::swap(first_, s);
    others_.push_back(s);
    std::push_heap(others_.begin(), others_.end(), later);
  }
  State *take() { // nullptr: there are no more
    State *s = first_;
    first_ = nullptr;
    if (!others_.empty()) {
      std::pop_heap(others_.begin(), others_.end(), later);
      first_ = others_.back();
      others_.pop_back();
    }
    return s;
  }
};
struct Capture {
  Node *node;
  uint32_t input;
  size_t index;
};

std::recursive_mutex engine_lock;
uint64_t last_task = 0;

struct EngineGuard {
  EngineGuard() {
    // A thread that held the lock at a fork is not in the child.
    static const int once = pthread_atfork(nullptr, nullptr, [] { new (&engine_lock) std::recursive_mutex; });
    (void)once;
    if (engine_lock.try_lock()) return;
    bool held = release_host_lock && release_host_lock();
    engine_lock.lock();
    if (held) acquire_host_lock();
  }
  ~EngineGuard() { engine_lock.unlock(); }
};

struct Run {
  static Run *&running() { // in this thread
    static constinit thread_local Run *run HD_INITIAL_EXEC = nullptr;
    return run;
  }
  Run *outer = running();
  uint64_t task;
  ShortList<State, 8> states;

  State *find(Node *n) { return n->task == task ? &states[n->slot] : nullptr; }
  State &reach(Node *n) {
    if (State *known = find(n)) return *known;
    State &s = states.emplace_back(n);
    n->task = task;
    n->slot = uint32_t(states.size() - 1);
    return s;
  }
  Run() { running() = this; }
  ~Run() { // nodes go back to the run around this one
    running() = outer;
    for (auto &s : states) {
      s.node->task = s.outer_task;
      s.node->slot = s.outer_slot;
    }
  }
};

// Gradients of what was recorded inside of fuse() wait for each other too.
class FusedPart {
  bool before_ = modes.fusing, any_ = false;

public:
  void set(bool on) {
    modes.fusing = on || before_;
    any_ |= on;
  }
  void end() {
    modes.fusing = before_;
    if (any_ && !before_) run_waiting();
    any_ = false;
  }
  ~FusedPart() {
    try {
      end();
    } catch (...) { // an error is under way already; who asks for a gradient that still waits gets this one
    }
  }
};

void check_nan(const TensorList &grads, const Node &node) {
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!grads[i] || !differentiable(grads[i]) || grads[i].is_meta()) continue;
    GradMode off(false);
    Tensor bad = ops::any(ops::isnan(grads[i]), std::nullopt, false);
    if (!item(bad).is_zero() && tell_of_anomaly) tell_of_anomaly(node);
    HD_CHECK(item(bad).is_zero(), runtime, "Function '%s' returned nan values in its %zuth output.", node.name(), i);
  }
}

} // namespace

uint64_t current_task() {
  Run *run = Run::running();
  return run ? run->task : 0;
}
bool will_run(const Node &n) {
  Run *run = Run::running();
  State *s = run ? run->find(const_cast<Node *>(&n)) : nullptr;
  return s && s->needed;
}

Tensors run_backward(std::span<const Tensor> outputs, std::span<const Tensor> given, std::span<const Tensor> inputs,
                     BackwardOptions o) {
  TensorList seeds;
  ShortList<Edge, 2> roots;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor &y = outputs[i];
    Tensor g = i < given.size() ? given[i] : Tensor();
    Edge e = gradient_edge(y);
    if (!g) {
      if (e.node || !given.empty()) {
        if (y.numel() != 1)
          throw Error(Raises::runtime, "grad can be implicitly created only for scalar outputs", "scalar_backward")
              .arg("tensor", y);
        HD_CHECK(!y.is_complex(), runtime,
                 "grad can be implicitly created only for real scalar outputs but got torch.%s", info(y.dtype()).name);
      }
      g = y.dim() || y.is_meta() ? full(y.shape(), Scalar(1), y.dtype(), y.device()) : scalar(Scalar(1), y.dtype());
    } else if (!(g.shape() == y.shape())) {
      auto size = [](const Tensor &t) { return "torch.Size(" + brackets(t.shape()) + ")"; };
      throw Error(Raises::runtime,
                  text("Mismatch in shape: grad_output[%zu] has a shape of %s and output[%zu] has a shape of %s.", i,
                       size(g).c_str(), i, size(y).c_str()),
                  "backward_shape")
          .arg("grad_output", g)
          .arg("output", y);
    } else if (g.dtype() != y.dtype()) {
      g = to(g, y.dtype());
    }
    if (!e.node)
      throw Error(Raises::runtime, text("element %zu of tensors does not require grad and does not have a grad_fn", i),
                  "no_grad")
          .arg("tensor", y);
    roots.push_back(std::move(e));
    seeds.push_back(std::move(g));
  }

  EngineGuard guard;
  Run run;
  run.task = ++last_task;
  for (auto &e : roots) run.reach(e.node.get());
  for (size_t i = 0; i < run.states.size(); ++i) // of which there are more and more
    for (auto &e : run.states[i].node->next)
      if (e.node) ++run.reach(e.node.get()).waits;

  std::vector<Capture> captures;
  std::vector<Edge> held; // keeps accumulators of inputs alive for the run
  if (!inputs.empty()) {
    for (auto &s : run.states) s.needed = false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      HD_CHECK(inputs[i].requires_grad(), runtime, "One of the differentiated Tensors does not require grad");
      Edge e = gradient_edge(inputs[i]);
      held.push_back(e);
      if (State *s = run.find(e.node.get())) {
        captures.push_back({e.node.get(), e.input, i});
        s->needed = true;
      }
    }
    std::vector<uint32_t> order(run.states.size());
    for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    // Inputs were recorded before what uses them; accumulators (the last number) come first.
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return run.states[a].node->sequence + 1 < run.states[b].node->sequence + 1;
    });
    for (uint32_t i : order)
      for (auto &e : run.states[i].node->next)
        if (e.node) run.states[i].needed |= run.find(e.node.get())->needed;
  }

  Tensors captured(inputs.size());
  GradMode mode(o.create_graph);
  FusedPart fusing;
  Ready ready;
  auto receive = [&](Tensor &slot, Tensor &&g) {
    if (!g) return;
    if (!slot) slot = std::move(g);
    else if (!o.create_graph && !modes.fusing && is_ours(slot) && slot.dtype() == g.dtype() &&
             slot.shape() == g.shape()) {
      run_inplace(about(ops::add), Borrowed<2>(slot, g).list(), 2);
    } else slot = add_grads(slot, g);
  };
  for (size_t i = 0; i < roots.size(); ++i)
    receive(run.find(roots[i].node.get())->in[roots[i].input], std::move(seeds[i]));
  seeds.clear();
  for (auto &e : roots) {
    State *s = run.find(e.node.get());
    if (s->waits == 0 && s->needed) {
      s->waits = UINT32_MAX; // queued
      ready.add(s);
    }
  }
  unsigned visited = 0;
  while (State *s = ready.take()) {
    if (++visited % 8 == 0) poll(); // which reads the clock; long work polls by itself
    Node *node = s->node;           // the roots hold it
    TensorList &in = s->in;
    if (node->watchers) {
      for (size_t h = 0; h < node->watchers->before.size(); ++h) {
        Hook hook = node->watchers->before[h]; // a hook may take itself off
        hook.call(in, {});
      }
      for (TensorImpl *t : node->watchers->retain)
        if (const Tensor &g = in[t->output]) {
          Tensor &grad = t->meta->grad;
          if (!grad) grad = o.create_graph ? g : clone(g);
          else grad = add_grads(grad, g);
        }
    }
    bool capture_only = false;
    for (auto &c : captures)
      if (c.node == node) {
        Tensor g = in[c.input];
        if (Accumulate *a = node->as_accumulate()) {
          capture_only = !o.accumulate;
          if (capture_only && g) {
            TensorList list{g};
            for (auto &h : meta(a->variable).hooks) h.call(list, {});
            g = list[0];
          }
        }
        captured[c.index] = g;
      }
    if (!inputs.empty() && !capture_only) {
      bool leads = node->as_accumulate() != nullptr;
      for (auto &e : node->next)
        if (e.node) leads |= run.find(e.node.get())->needed;
      capture_only = !leads;
    }
    if (capture_only) {
      in.clear();
      continue;
    }
    fusing.set(node->fused);
    uint64_t first = next_sequence.load(std::memory_order_relaxed);
    TensorList out = node->apply(in);
    if (o.create_graph) name_second(*node, out, first);
    if (anomaly_enabled()) check_nan(out, *node);
    if (node->watchers)
      for (size_t h = 0; h < node->watchers->after.size(); ++h) {
        Hook hook = node->watchers->after[h];
        hook.call(out, in);
      }
    if (!o.keep_graph) node->release();
    in.clear();
    for (size_t i = 0; i < node->next.size(); ++i) {
      const Edge &e = node->next[i];
      if (!e.node) continue;
      State &t = *run.find(e.node.get());
      if (t.needed && i < out.size()) receive(t.in[e.input], std::move(out[i]));
      if (--t.waits == 0 && t.needed) ready.add(&t);
    }
  }
  fusing.end();
  if (!inputs.empty()) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!o.accumulate)
        HD_CHECK(captured[i] || o.allow_unused, runtime,
                 "The differentiated Tensor at index %zu appears to not have been used in the graph. Set "
                 "allow_unused=True if this is the desired behavior.",
                 i);
      else if (captured[i] && grad_fn(inputs[i])) {
        AutogradMeta &m = meta(inputs[i]);
        m.grad = m.grad ? add_grads(m.grad, captured[i]) : captured[i];
      }
    }
  }
  return captured;
}

} // namespace hadamard
