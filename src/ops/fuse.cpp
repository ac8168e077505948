// Element-wise ops put off inside of fuse(), and the passes that run them tile by tile.
//
// An op in a fused function checks, promotes and decides on its result as ever, but its result has no memory: the step
// waits in the thread's program. Whoever asks for the address of a tensor (Tensor::raw) that a waiting step is to write
// or to read has the program run first, so nothing outside sees a difference. A pass runs all waiting steps of one
// shape for a tile of it, then for the next tile, by the same kernels as ever; a result goes to memory only where
// somebody still holds it.
#include "ops/fuse.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "cpu/threads.h"
#include "patient_lock.h"

namespace hadamard {

constinit thread_local FuseHook fuse_hook = nullptr;

namespace {

constexpr int64_t least = 8192;   // elements of a result that waits
constexpr size_t most_steps = 64; // that wait for each other
constexpr long tile_bytes = 8192; // of one operand in a tile
constexpr long grain = 65536;     // elements times steps that a thread should get at least
constexpr int tile_workspace = 7;

struct Source {
  int step = -1;       // the step that it is the result of
  bool inside = false; // as it comes from that step: same shape, same layout
  Ref<Storage> memory; // otherwise, where it lies
  int64_t offset = 0;
  Dims stride; // in bytes, 0 where repeated
  alignas(16) char number[16];

  bool is_number() const { return step < 0 && !memory; }
};

struct Step {
  const char *name;
  const Loop *loop;
  Dims shape, stride;  // of the result, in bytes
  Ref<Storage> result; // empty where it was overwritten
  int sources;
  Source in[3];
  int64_t numel = 0;
};

Dims in_bytes(const Tensor &t, const Dims &to) {
  Dims r(to.size(), 0);
  size_t lead = to.size() - t.shape().size();
  for (size_t d = lead; d < to.size(); ++d)
    if (t.shape()[d - lead] != 1 || to[d] == 1) r[d] = t.strides()[d - lead] * t.itemsize();
  return r;
}

// ---- a pass: steps of one shape

struct Operand {        // of the steps of a pass
  char *data = nullptr; // in memory, or of a number
  int slot = -1;        // in the tile
  Dims stride;          // over the dimensions of the pass
};
struct Instruction {
  const Loop *loop;
  int operand[max_operands];
  // Its grid on a tile, joined as far as its own operands allow; the first dimension is `factor` times as long as the
  // part of the tile's.
  int ndim;
  long factor;
  Dims shape;
  SmallVec<long, 4 * max_operands> stride; // [dim][operand]
};

class Pass {
  Dims shape_;
  std::vector<Operand> operands_;
  std::vector<Instruction> code_;
  int split_ = 0; // the dimension of which a tile has a part; whole behind it, one index before it
  long part_ = 1, parts_ = 1, tiles_ = 1, inner_ = 1;
  long slots_ = 0, slot_bytes_ = 0;

public:
  Pass(const std::vector<Step> &steps, const std::vector<int> &mine, const std::vector<bool> &written,
       const std::vector<int> &pass_of, const std::vector<int> &last_use);
  void run() const;
  void tell(const std::vector<Step> &steps, const std::vector<int> &mine, const std::vector<bool> &written) const;

private:
  void order_dims();
  void cut(int itemsize);
  void run_tile(long index, char *scratch) const;
};

Pass::Pass(const std::vector<Step> &steps, const std::vector<int> &mine, const std::vector<bool> &written,
           const std::vector<int> &pass_of, const std::vector<int> &last_use)
    : shape_(steps[mine[0]].shape) {
  int itemsize = 1;
  for (int i : mine)
    for (int k = 0; k < steps[i].loop->operands; ++k) itemsize = std::max<int>(itemsize, steps[i].loop->size[k]);
  std::vector<int> place(steps.size(), -1); // of a step's result among the operands
  // Results first: the order of the dimensions follows them.
  for (int i : mine)
    if (written[i]) {
      place[i] = int(operands_.size());
      operands_.push_back({steps[i].result->data, -1, steps[i].stride});
    }
  std::vector<int> free;
  for (int i : mine) {
    const Step &s = steps[i];
    Instruction c{s.loop, {}, 0, 1, {}, {}};
    for (int k = 0; k < s.sources; ++k) {
      const Source &in = s.in[k];
      int &p = c.operand[k + 1];
      if (in.inside && pass_of[in.step] == pass_of[i]) {
        p = place[in.step];
        continue;
      }
      p = int(operands_.size());
      if (in.inside) operands_.push_back({steps[in.step].result->data, -1, steps[in.step].stride});
      else if (in.is_number()) operands_.push_back({const_cast<char *>(in.number), -1, Dims(shape_.size(), 0)});
      else operands_.push_back({in.memory->data + in.offset, -1, in.stride});
    }
    // A slot is free again behind the last step that reads it, or for that step's own result of the same size.
    auto give_back = [&](bool same_size) {
      for (int k = 0; k < s.sources; ++k) {
        int j = s.in[k].step;
        if (!s.in[k].inside || pass_of[j] != pass_of[i] || written[j] || last_use[j] != i || place[j] < 0) continue;
        if ((s.loop->size[k + 1] == s.loop->size[0]) != same_size) continue;
        free.push_back(operands_[place[j]].slot);
        place[j] = -1;
      }
    };
    give_back(true);
    if (!written[i]) {
      if (free.empty()) free.push_back(int(slots_++));
      place[i] = int(operands_.size());
      operands_.push_back({nullptr, free.back(), {}});
      free.pop_back();
    }
    c.operand[0] = place[i];
    give_back(false);
    code_.push_back(std::move(c));
  }
  order_dims();
  cut(itemsize);
}

// The innermost dimension gets the smallest strides; dimensions that follow each other everywhere become one.
void Pass::order_dims() {
  int n = int(shape_.size());
  SmallVec<int, 8> order;
  auto outside = [&](int a, int b) {
    for (auto &o : operands_) {
      if (o.slot >= 0) continue;
      int64_t x = o.stride[a], y = o.stride[b];
      if (x && y && x != y) return x > y;
    }
    return true;
  };
  for (int d = 0; d < n; ++d) {
    if (shape_[d] == 1) continue;
    int at = int(order.size());
    while (at > 0 && !outside(order[at - 1], d)) --at;
    order.insert(at, d);
  }
  Dims shape;
  std::vector<Dims> stride(operands_.size());
  for (int d : order) {
    bool joined = !shape.empty();
    for (size_t k = 0; k < operands_.size() && joined; ++k)
      if (operands_[k].slot < 0) joined = stride[k].back() == shape_[d] * operands_[k].stride[d];
    if (joined) shape.back() *= shape_[d];
    else shape.push_back(shape_[d]);
    for (size_t k = 0; k < operands_.size(); ++k) {
      if (operands_[k].slot >= 0) continue;
      if (joined) stride[k].back() = operands_[k].stride[d];
      else stride[k].push_back(operands_[k].stride[d]);
    }
  }
  shape_ = shape;
  for (size_t k = 0; k < operands_.size(); ++k) operands_[k].stride = stride[k];
}

// Decides on tiles, and on what each step's grid on a tile is.
void Pass::cut(int itemsize) {
  const long wanted = tile_bytes / itemsize;
  int n = int(shape_.size());
  for (split_ = n - 1; split_ > 0 && inner_ * shape_[split_] <= wanted; --split_) inner_ *= shape_[split_];
  long length = shape_[split_], unit = inner_ == 1 ? 64 : 1;
  parts_ = std::max<long>(1, (length * inner_ + wanted - 1) / wanted);
  part_ = (length + parts_ - 1) / parts_;
  part_ = (part_ + unit - 1) / unit * unit;
  parts_ = (length + part_ - 1) / part_;
  tiles_ = parts_;
  for (int d = 0; d < split_; ++d) tiles_ *= shape_[d];
  slot_bytes_ = (part_ * inner_ * itemsize + 63) / 64 * 64 + 64;
  for (auto &c : code_) {
    auto stride_of = [&](int d, int k) -> long {
      const Operand &o = operands_[c.operand[k]];
      if (o.slot < 0) return o.stride[d];
      long step = c.loop->size[k];
      for (int e = d + 1; e < n; ++e) step *= shape_[e];
      return step;
    };
    for (int d = split_; d < n; ++d) {
      bool joined = d > split_;
      for (int k = 0; k < c.loop->operands && joined; ++k)
        joined = c.stride[size_t(c.ndim - 1) * max_operands + k] == shape_[d] * stride_of(d, k);
      if (!joined) {
        c.shape.push_back(d == split_ ? 1 : shape_[d]);
        for (int k = 0; k < max_operands; ++k) c.stride.push_back(0);
        ++c.ndim;
      } else {
        c.shape.back() *= shape_[d];
      }
      for (int k = 0; k < c.loop->operands; ++k) c.stride[size_t(c.ndim - 1) * max_operands + k] = stride_of(d, k);
    }
    c.factor = c.shape[0];
  }
}

void Pass::run_tile(long index, char *scratch) const {
  const long from = index % parts_ * part_, length = std::min<long>(part_, shape_[split_] - from);
  SmallVec<char *, 32> at(operands_.size());
  for (size_t k = 0; k < operands_.size(); ++k) {
    const Operand &o = operands_[k];
    if (o.slot >= 0) {
      at[k] = scratch + o.slot * slot_bytes_;
      continue;
    }
    at[k] = o.data + from * o.stride[split_];
    long outer = index / parts_;
    for (int d = split_ - 1; d >= 0; --d) {
      at[k] += outer % shape_[d] * o.stride[d];
      outer /= shape_[d];
    }
  }
  const Level &l = level();
  Grid g;
  for (auto &c : code_) {
    g.ndim = c.ndim;
    for (int d = 0; d < c.ndim; ++d) {
      g.shape[d] = c.shape[d];
      for (int k = 0; k < c.loop->operands; ++k) g.stride[d][k] = c.stride[size_t(d) * max_operands + k];
    }
    g.shape[0] = c.factor * length;
    for (int k = 0; k < c.loop->operands; ++k) g.data[k] = at[c.operand[k]];
    l.map(*c.loop, g);
  }
}

void Pass::run() const {
  int64_t n = 1;
  for (int64_t s : shape_) n *= s;
  LongWork unlocked(n);
  long work = std::max<long>(1, n / tiles_ * long(code_.size()));
  parallel_for(tiles_, (grain + work - 1) / work, [&](long begin, long end) {
    auto *scratch = static_cast<char *>(workspace(tile_workspace, std::max<long>(1, slots_ * slot_bytes_)));
    for (long i = begin; i < end; ++i) run_tile(i, scratch);
  });
}

void Pass::tell(const std::vector<Step> &steps, const std::vector<int> &mine, const std::vector<bool> &written) const {
  FusedPass p{steps[mine[0]].shape, part_ * inner_, tiles_, slots_, {}, {}, 0, 0, 0};
  std::vector<std::pair<const void *, Dims>> seen;
  auto moved = [&](const Dims &stride, const Dims &shape, int size) { // what is repeated is read once
    double n = size;
    for (size_t d = 0; d < shape.size(); ++d)
      if (stride[d]) n *= double(shape[d]);
    return n;
  };
  for (size_t m = 0; m < mine.size(); ++m) {
    const Step &s = steps[mine[m]];
    FusedStep told{s.name, s.loop->result, written[mine[m]], s.sources, {-1, -1, -1}};
    double result = double(s.numel) * s.loop->size[0];
    p.alone += result;
    if (told.written) p.bytes_written += result;
    for (int k = 0; k < s.sources; ++k) {
      const Source &in = s.in[k];
      if (in.is_number()) continue;
      auto local = in.inside ? std::find(mine.begin(), mine.end(), in.step) : mine.end();
      const Dims &stride = in.inside ? steps[in.step].stride : in.stride;
      double bytes = moved(stride, s.shape, s.loop->size[k + 1]);
      p.alone += bytes;
      if (local != mine.end()) {
        told.of[k] = int(local - mine.begin());
        continue;
      }
      const void *what = in.inside ? steps[in.step].result->data : in.memory->data + in.offset;
      auto same = std::find(seen.begin(), seen.end(), std::pair<const void *, Dims>{what, stride});
      told.of[k] = -2 - int(same - seen.begin());
      if (same != seen.end()) continue;
      seen.push_back({what, stride});
      p.bytes_read += bytes;
      Dims shape = s.shape;
      for (size_t d = 0; d < shape.size(); ++d)
        if (!stride[d]) shape[d] = 1;
      p.read.push_back(shape);
    }
    p.steps.push_back(told);
  }
  fuse_hook(p);
}

// ---- the program of a thread

class Program {
  std::mutex lock_;
  std::vector<Step> steps_;
  bool foreign_ = false; // a step reads memory that is not only ours

public:
  bool reads_foreign() const { return foreign_; }
  bool concerns(const Storage &s) const {
    for (auto &step : steps_) {
      if (step.result.get() == &s) return true;
      for (int k = 0; k < step.sources; ++k)
        if (step.in[k].memory.get() == &s) return true;
    }
    return false;
  }
  bool run_if_concerned(const Storage &s) {
    PatientLock guard(lock_);
    bool mine = concerns(s);
    if (mine) run();
    return mine;
  }
  void run_all() {
    PatientLock guard(lock_);
    run();
  }
  // The step whose result lies in s, or -1.
  int find(const Storage &s) const {
    for (size_t i = steps_.size(); i-- > 0;)
      if (steps_[i].result.get() == &s) return int(i);
    return -1;
  }
  Source source(const Tensor &x, const Dims &shape, const Dims &stride) const {
    Source r;
    r.step = find(*x->storage);
    if (r.step >= 0) {
      const Step &s = steps_[r.step];
      r.inside = !x->offset && s.shape == shape && x.shape() == shape && s.stride == stride;
    }
    if (!r.inside) {
      r.memory = x->storage;
      r.offset = x->offset * x.itemsize();
      r.stride = stride;
    }
    return r;
  }
  void add(Step &&s) {
    s.numel = 1;
    for (int64_t n : s.shape) s.numel *= n;
    s.result->waiting.fetch_add(1);
    for (int k = 0; k < s.sources; ++k)
      if (Storage *m = s.in[k].memory.get()) {
        m->waiting.fetch_add(1);
        foreign_ |= m->free_owner != nullptr;
      }
    steps_.push_back(std::move(s));
  }
  void make_room() {
    PatientLock guard(lock_);
    if (steps_.size() + 4 > most_steps) run();
  }
  std::mutex &lock() { return lock_; }

private:
  void run();
};

void Program::run() {
  if (steps_.empty()) return;
  // What Python runs in between (the handler of a signal) is not to wait for what is being computed.
  struct Pause {
    bool before = modes.fusing;
    Pause() { modes.fusing = false; }
    ~Pause() { modes.fusing = before; }
  } pause;
  std::vector<Step> steps = std::move(steps_);
  steps_.clear();
  foreign_ = false;
  const int n = int(steps.size());
  try {
    std::vector<int> level(n, 0), pass_of(n, -1), last_use(n, -1);
    std::vector<bool> needed(n), written(n);
    for (int i = n; i-- > 0;) {
      needed[i] = needed[i] || (steps[i].result && steps[i].result->refs.load() > 1);
      if (needed[i])
        for (int k = 0; k < steps[i].sources; ++k)
          if (steps[i].in[k].step >= 0) needed[steps[i].in[k].step] = true;
    }
    struct Members {
      int level;
      std::vector<int> steps;
    };
    std::vector<Members> passes;
    for (int i = 0; i < n; ++i) {
      if (!needed[i]) continue;
      const Step &s = steps[i];
      for (int k = 0; k < s.sources; ++k)
        if (int j = s.in[k].step; j >= 0) level[i] = std::max(level[i], level[j] + !s.in[k].inside);
      auto fits = [&](const Members &p) { return p.level == level[i] && steps[p.steps[0]].shape == s.shape; };
      auto pass = std::find_if(passes.begin(), passes.end(), fits);
      if (pass == passes.end()) pass = passes.insert(pass, {level[i], {}});
      pass->steps.push_back(i);
      pass_of[i] = int(pass - passes.begin());
      written[i] = s.result && s.result->refs.load() > 1;
      for (int k = 0; k < s.sources; ++k)
        if (int j = s.in[k].step; j >= 0) {
          last_use[j] = i;
          if (pass_of[j] != pass_of[i]) written[j] = true;
        }
    }
    std::stable_sort(passes.begin(), passes.end(), [](auto &a, auto &b) { return a.level < b.level; });
    for (auto &p : passes) {
      for (int i : p.steps)
        if (written[i] && !steps[i].result->data)
          steps[i].result->data = static_cast<char *>(allocate(steps[i].result->bytes));
      Pass pass(steps, p.steps, written, pass_of, last_use);
      if (fuse_hook) pass.tell(steps, p.steps, written);
      pass.run();
    }
  } catch (...) {
    steps_ = std::move(steps);
    throw;
  }
  for (auto &s : steps) {
    if (s.result) s.result->waiting.fetch_sub(1);
    for (int k = 0; k < s.sources; ++k)
      if (s.in[k].memory) s.in[k].memory->waiting.fetch_sub(1);
  }
}

// Every thread's program, also of threads that have ended, where an interrupt left something to do.
std::mutex programs_lock;
std::vector<std::shared_ptr<Program>> &programs() {
  static auto *all = new std::vector<std::shared_ptr<Program>>;
  return *all;
}
Program &mine() {
  static thread_local std::shared_ptr<Program> p = [] {
    std::lock_guard guard(programs_lock);
    programs().push_back(std::make_shared<Program>());
    return programs().back();
  }();
  return *p;
}

} // namespace

void settle(Storage &s) {
  mine().run_if_concerned(s);
  if (!s.waiting.load()) return;
  std::vector<std::shared_ptr<Program>> others;
  {
    std::lock_guard guard(programs_lock);
    others = programs();
  }
  for (auto &p : others) p->run_if_concerned(s);
  HD_CHECK(s.data, runtime, "a tensor was asked for its numbers while fuse() was computing them");
}

void run_waiting() { mine().run_all(); }

void run_before_write(const Tensor &t) {
  if (t->storage->free_owner || mine().reads_foreign()) run_waiting();
}

bool waits(const Dims &shape) { return modes.fusing && numel(shape) >= least; }

void put_off(const char *name, const Loop &loop, DType operands, int conditions, const Tensor *in, int n,
             const Tensor &y) {
  Program &program = mine();
  program.make_room();
  Step s{name, &loop, y.shape(), in_bytes(y, y.shape()), y->storage, n, {}};
  NoGrad no;
  Tensor cast[3];
  for (int i = 0; i < n; ++i) {
    DType need = i < conditions ? DType::Bool : operands;
    if (in[i].dim() == 0) {
      store(s.in[i].number, need, load(in[i].raw(), in[i].dtype()));
      continue;
    }
    if (in[i].dtype() != need) cast[i] = to(in[i], need);
  }
  // The casts may have been put off themselves, or have run what waited: only now is it known where things come from.
  PatientLock guard(program.lock());
  for (int i = 0; i < n; ++i) {
    if (in[i].dim() == 0) continue;
    const Tensor &x = cast[i] ? cast[i] : in[i];
    s.in[i] = program.source(x, y.shape(), in_bytes(x, y.shape()));
  }
  y->storage->device = {};
  program.add(std::move(s));
}

Tensor put_off_copy(const Tensor &x, DType t) {
  if (!waits(x.shape()) || x.is_meta() || !is_dense(x.shape(), x.strides())) return {};
  constexpr Device meta{DeviceKind::meta};
  Tensor y = x.is_contiguous() ? empty(x.shape(), t, meta) : empty_strided(x.shape(), x.strides(), t, meta);
  put_off(t == x.dtype() ? "copy" : "to", level().cast[int(x.dtype())][int(t)], x.dtype(), 0, &x, 1, y);
  return y;
}

} // namespace hadamard
