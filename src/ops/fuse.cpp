// Element-wise ops and reductions put off inside of fuse(), and when they run.
//
// An op in a fused function checks, promotes and decides on its result as ever, but its result has no memory: the step
// waits in the thread's program. Whoever asks for the address of a tensor (Tensor::raw) that a waiting step is to write
// or to read has the program run first, so nothing outside sees a difference. A result goes to memory only where
// somebody still holds it.
#include "ops/fuse.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "ops/fuse_pass.h"
#include "patient_lock.h"

namespace hadamard {
namespace {

using namespace fusing;

constexpr int64_t least = 32768;       // elements of a result that waits
constexpr size_t most_steps = 64;      // that wait for each other
constexpr int64_t longest_row = 16384; // of which a tile holds at least one where rows are reduced

Dims in_bytes(const Tensor &t, const Dims &to) {
  Dims r(to.size(), 0);
  size_t lead = to.size() - t.shape().size();
  for (size_t d = lead; d < to.size(); ++d)
    if (t.shape()[d - lead] != 1 || to[d] == 1) r[d] = t.strides()[d - lead] * t.itemsize();
  return r;
}

bool lacks_memory(const Tensor &t) { return t->storage->waiting.load() && !t->storage->data; }

class Program {
  std::mutex lock_;
  std::vector<Step> steps_;
  bool foreign_ = false; // a step reads memory that is not only ours

public:
  std::mutex &lock() { return lock_; }
  bool empty() const { return steps_.empty(); }
  bool reads_foreign() const { return foreign_; }
  void run_if_concerned(const Storage &s) {
    PatientLock guard(lock_);
    if (concerns(s)) run();
  }
  void run_all() {
    PatientLock guard(lock_);
    run();
  }
  void make_room() {
    PatientLock guard(lock_);
    if (steps_.size() + 4 > most_steps) run();
  }

  // The rest under the lock.
  Source source(const Tensor &x, const Dims &shape, const Dims &stride) const {
    Source r;
    r.step = find(*x->storage);
    if (r.step >= 0) {
      const Step &s = steps_[size_t(r.step)];
      r.inside = s.loop && !x->offset && s.shape == shape && x.shape() == shape && s.stride == stride;
    }
    if (!r.inside) {
      r.memory = x->storage;
      r.offset = x->offset * x.itemsize();
      r.stride = stride;
    }
    return r;
  }
  void add(Step &&s) {
    s.result->waiting.fetch_add(1);
    for (int k = 0; k < s.sources; ++k)
      if (Storage *m = s.in[k].memory.get()) {
        m->waiting.fetch_add(1);
        foreign_ |= m->free_owner != nullptr;
      }
    steps_.push_back(std::move(s));
  }
  // Whether x is all of what a step will write, and that step and x are all who know the memory.
  bool owns(const Tensor &x) const {
    int i = find(*x->storage);
    return i >= 0 && x->storage->refs.load() == 2 && source(x, x.shape(), in_bytes(x, x.shape())).inside;
  }
  void give_up(const Storage &s) { // the step that was to write it keeps its value to the program
    Step &step = steps_[size_t(find(s))];
    step.result->waiting.fetch_sub(1);
    step.result = nullptr;
  }

private:
  bool concerns(const Storage &s) const {
    for (auto &step : steps_) {
      if (step.result.get() == &s) return true;
      for (int k = 0; k < step.sources; ++k)
        if (step.in[k].memory.get() == &s) return true;
    }
    return false;
  }
  // The step whose result lies in s, or -1.
  int find(const Storage &s) const {
    for (size_t i = steps_.size(); i-- > 0;)
      if (steps_[i].result.get() == &s) return int(i);
    return -1;
  }
  void run();
};

// Steps that can run together: of one shape, none of which needs another's result in memory.
struct Members {
  int level;
  std::vector<int> steps;
};

std::vector<Members> group(const std::vector<Step> &steps, std::vector<Part> &parts) {
  const int n = int(steps.size());
  for (int i = n; i-- > 0;) {
    parts[i].needed |= steps[i].result && steps[i].result->refs.load() > 1;
    if (!parts[i].needed) continue;
    for (int k = 0; k < steps[i].sources; ++k)
      if (int j = steps[i].in[k].step; j >= 0) parts[j].needed = true;
  }
  std::vector<Members> passes;
  for (int i = 0; i < n; ++i) {
    Part &p = parts[i];
    if (!p.needed) continue;
    const Step &s = steps[i];
    for (int k = 0; k < s.sources; ++k)
      if (int j = s.in[k].step; j >= 0) p.level = std::max(p.level, parts[j].level + !s.in[k].inside);
    auto fits = [&](const Members &m) { return m.level == p.level && steps[m.steps[0]].shape == s.shape; };
    auto pass = std::find_if(passes.begin(), passes.end(), fits);
    if (pass == passes.end()) pass = passes.insert(pass, {p.level, {}});
    pass->steps.push_back(i);
    p.pass = int(pass - passes.begin());
    p.written = s.result && s.result->refs.load() > 1;
    for (int k = 0; k < s.sources; ++k)
      if (int j = s.in[k].step; j >= 0) {
        parts[j].last_use = i;
        if (parts[j].pass != p.pass) parts[j].written = true;
      }
  }
  std::stable_sort(passes.begin(), passes.end(), [](auto &a, auto &b) { return a.level < b.level; });
  return passes;
}

void allocate_results(std::vector<Step> &steps, const std::vector<Part> &parts, const std::vector<int> &mine) {
  for (int i : mine) {
    Step &s = steps[size_t(i)];
    if (s.loop && !parts[i].written) continue;
    if (!s.result) { // overwritten, but another pass reads it
      s.result = new_storage(size_t(s.numel() * s.size(0)), {DeviceKind::meta});
      s.result->device = {};
      s.result->waiting = 1;
    }
    if (!s.result->data) s.result->data = static_cast<char *>(allocate(s.result->bytes));
  }
}

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
  try {
    std::vector<Part> parts(steps.size());
    for (Members &m : group(steps, parts)) {
      std::vector<Members> one{m};
      allocate_results(steps, parts, m.steps);
      auto pass = std::make_unique<Pass>(steps, parts, m.steps);
      if (!pass->fits()) { // its reductions follow, each alone, when their operands are in memory
        one = {{0, {}}};
        for (int i : m.steps) {
          if (steps[i].loop) {
            one[0].steps.push_back(i);
            continue;
          }
          parts[i].pass = -2 - i;
          if (const Source &in = steps[i].in[0]; in.inside) parts[in.step].written = true;
          one.push_back({0, {i}});
        }
        allocate_results(steps, parts, m.steps);
        if (one[0].steps.empty()) one.erase(one.begin());
        pass = nullptr;
      }
      for (auto &some : one) {
        if (!pass) pass = std::make_unique<Pass>(steps, parts, some.steps);
        if (fuse_hook) pass->tell(steps, parts, some.steps);
        pass->run();
        pass = nullptr;
      }
    }
  } catch (...) {
    steps_ = std::move(steps);
    foreign_ = true; // for all that is known
    throw;
  }
  for (auto &s : steps) {
    if (s.result) s.result->waiting.fetch_sub(1);
    for (int k = 0; k < s.sources; ++k)
      if (s.in[k].memory) s.in[k].memory->waiting.fetch_sub(1);
  }
}

// Every thread's program, also of a thread that has ended, where an interrupt left something to do.
std::mutex programs_lock;
std::vector<std::shared_ptr<Program>> &programs() {
  static auto *all = new std::vector<std::shared_ptr<Program>>;
  return *all;
}
struct Owner {
  std::shared_ptr<Program> program = std::make_shared<Program>();
  Owner() {
    std::lock_guard guard(programs_lock);
    programs().push_back(program);
  }
  ~Owner() {
    std::lock_guard guard(programs_lock);
    if (program->empty()) std::erase(programs(), program);
  }
};
Program &mine() {
  static thread_local Owner owner;
  return *owner.program;
}

// The operands of a step, each cast to its dtype.
struct Operands {
  Tensor x[max_operands - 1];
  bool number[max_operands - 1] = {};
  Operands(Step &s, DType operands, int conditions, const Tensor *in) {
    s.from = operands;
    NoGrad no;
    for (int i = 0; i < s.sources; ++i) {
      DType need = i < conditions ? DType::Bool : operands;
      number[i] = in[i].dim() == 0 && !lacks_memory(in[i]);
      if (number[i]) store(s.in[i].number, need, load(in[i].raw(), in[i].dtype()));
      else x[i] = to(in[i], need);
    }
  }
  // The casts may have been put off themselves, or have run what waited: only now is it known where things come from.
  void find(Step &s, const Program &program) const {
    for (int i = 0; i < s.sources; ++i)
      if (!number[i]) s.in[i] = program.source(x[i], s.shape, in_bytes(x[i], s.shape));
  }
};

Step element_wise(const char *name, const Loop &loop, int n, const Tensor &y) {
  Step s;
  s.name = name;
  s.loop = &loop;
  s.shape = y.shape();
  s.stride = in_bytes(y, y.shape());
  s.result = y->storage;
  s.sources = n;
  s.type = loop.result;
  return s;
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

bool waits(const Dims &shape, const Tensor *in, int n) {
  if (!modes.fusing) return false;
  bool any = numel(shape) >= least;
  for (int i = 0; i < n; ++i) any |= lacks_memory(in[i]);
  return any && numel(shape);
}

void put_off(const char *name, const Loop &loop, DType operands, int conditions, const Tensor *in, int n,
             const Tensor &y) {
  Program &program = mine();
  program.make_room();
  Step s = element_wise(name, loop, n, y);
  Operands given(s, operands, conditions, in);
  PatientLock guard(program.lock());
  given.find(s, program);
  y->storage->device = {};
  program.add(std::move(s));
}

bool put_off_inplace(const char *name, const Loop &loop, DType operands, int conditions, const Tensor *in, int n) {
  const Tensor &self = in[0];
  if (!modes.fusing || !lacks_memory(self)) return false;
  Program &program = mine();
  program.make_room();
  Step s = element_wise(name, loop, n, self);
  Operands given(s, operands, conditions, in);
  s.result = nullptr;
  PatientLock guard(program.lock());
  if (!program.owns(self)) return false;
  given.find(s, program);
  for (int k = 0; k < n; ++k)
    if (s.in[k].memory.get() == self->storage.get()) return false; // another view of it
  program.give_up(*self->storage);
  s.result = self->storage;
  program.add(std::move(s));
  return true;
}

Tensor put_off_copy(const Tensor &x, DType t) {
  if (x.is_meta() || !waits(x.shape(), &x, 1) || !is_dense(x.shape(), x.strides())) return {};
  constexpr Device meta{DeviceKind::meta};
  Tensor y = x.is_contiguous() ? empty(x.shape(), t, meta) : empty_strided(x.shape(), x.strides(), t, meta);
  put_off(t == x.dtype() ? "copy" : "to", level().cast[int(x.dtype())][int(t)], x.dtype(), 0, &x, 1, y);
  return y;
}

Tensor put_off_fold(const char *name, Fold f, const Tensor &x, int dims, const Dims &shape, DType result) {
  if (!modes.fusing || x.is_meta() || !x.is_contiguous() || x.numel() < least) return {};
  if (!level().reduce[int(f)][int(x.dtype())][int(result)]) return {};
  int64_t row = 1;
  for (int d = 0; d < dims; ++d) row *= x.shape()[size_t(x.dim() - 1 - d)];
  if (row == x.numel()) {
    bool sum = f == Fold::sum && (dtype_in(result, set_of(DType::F32) | set_of(DType::F64)) || result == DType::I64);
    if (!sum && f != Fold::any && f != Fold::all) return {};
    if (sum && dtype_in(result, floats) && result != x.dtype()) return {};
  } else if (row < 2 || row > longest_row) {
    return {};
  }
  Program &program = mine();
  program.make_room();
  Tensor y = empty(shape, result, {DeviceKind::meta});
  Step s;
  s.name = name;
  s.loop = nullptr;
  s.shape = x.shape();
  s.stride = in_bytes(x, x.shape());
  s.result = y->storage;
  s.type = result;
  s.from = x.dtype();
  s.fold = f;
  s.row = row;
  PatientLock guard(program.lock());
  s.in[0] = program.source(x, s.shape, s.stride);
  y->storage->device = {};
  program.add(std::move(s));
  return y;
}

} // namespace hadamard
