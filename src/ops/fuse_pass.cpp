// The passes of fuse(): dimensions, tiles and slots are decided on once, then every tile runs through the kernels.
#include "ops/fuse_pass.h"

#include <algorithm>

#include "cpu/fused.h"
#include "cpu/threads.h"
#include "ops/all.h"

namespace hadamard {

constinit thread_local FuseHook fuse_hook = nullptr;

namespace fusing {
namespace {
constexpr long tile_bytes = 8192;    // of one operand in a tile
constexpr long short_bytes = 1024;   // where memory is far, so that it is read while there is something to compute
constexpr double far = 8 << 20;      // bytes of a pass, from which on memory is
constexpr long lone_bytes = 1 << 18; // where nothing but operands in memory is in it
constexpr long chunk = 8192;         // what a reduction kernel sums up before it adds to its total
constexpr long grain = 65536;        // elements times steps that a thread should get at least
constexpr int tile_workspace = 7;
constexpr size_t longest_vector = 128; // bytes

// Bytes of an operand in memory: what is repeated is read once.
double touched(const Dims &stride, const Dims &shape, int64_t size) {
  double n = double(size);
  for (size_t d = 0; d < shape.size(); ++d)
    if (stride[d]) n *= double(shape[d]);
  return n;
}

// What a chain does in place of a step; none where a chain cannot.
Linked link_of(const Loop &loop) {
  const DType t = loop.result;
  if (t != DType::F32 && t != DType::F64) return Linked::none;
  const Loop *const *rows = level().elementwise;
#define X(op)                                                                                                          \
  if (&loop == rows[ops::op_id<ops::op>] + int(t)) return Linked::op;
  CHAIN_UNARY(X)
  CHAIN_BINARY(X)
#undef X
#define X(op)                                                                                                          \
  if (&loop == rows[ops::find_slope<bare<decltype(ops::op)>>('a')] + int(t)) return Linked::op##_slope;
  CHAIN_SLOPES(X)
#undef X
  return Linked::none;
}
// The same where the number in the register is the second operand.
Linked turned(Linked k) {
  switch (k) {
#define X(op)                                                                                                          \
  case Linked::op: return Linked::op##_second;
    CHAIN_BINARY(X)
#undef X
  default: return Linked::none;
  }
}
} // namespace

Pass::Pass(const std::vector<Step> &steps, const std::vector<Part> &parts, const std::vector<int> &mine)
    : shape_(steps[mine[0]].shape) {
  long itemsize = 1, partials = 0;
  std::vector<int> place(steps.size(), -1); // of a step's result among the operands
  for (int i : mine)
    if (const Step &s = steps[i]; !s.loop && !row_) { // its operand's rows follow each other: that is the order
      row_ = s.row;
      operands_.push_back({s.result->data, -1, s.stride});
    }
  // Results in front: the order of the dimensions follows them.
  for (int i : mine)
    if (const Step &s = steps[i]; s.loop && parts[i].written) {
      place[i] = int(operands_.size());
      operands_.push_back({s.result->data, -1, s.stride});
    }
  size_t numbers = 0;
  for (int i : mine)
    for (int k = 0; k < steps[i].sources; ++k) numbers += steps[i].in[k].is_number();
  numbers_.reserve(numbers * longest_vector * chain_vectors); // operands point there
  std::vector<int> free;
  for (int i : mine) {
    const Step &s = steps[i];
    for (int k = 0; k <= s.sources; ++k) itemsize = std::max<long>(itemsize, s.size(k));
    Instruction c{&s, {}};
    for (int k = 0; k < s.sources; ++k) {
      const Source &in = s.in[k];
      int &p = c.operand[k + 1];
      if (in.inside && parts[in.step].pass == parts[i].pass) {
        p = place[in.step];
        continue;
      }
      if (in.is_number()) {
        p = int(operands_.size());
        operands_.push_back(repeated(in, *s.loop, s.size(k + 1)));
      } else {                       // once, however many steps read it
        const bool made = in.inside; // by another pass
        p = in_memory(made ? steps[in.step].result->data : in.memory->data + in.offset,
                      made ? steps[in.step].stride : in.stride);
      }
    }
    // A slot is free again behind the last step that reads it, or for that step's own result of the same size.
    auto give_back = [&](bool same_size) {
      for (int k = 0; k < s.sources; ++k) {
        int j = s.in[k].step;
        if (!s.in[k].inside || parts[j].pass != parts[i].pass || parts[j].written || parts[j].last_use != i) continue;
        if (place[j] < 0 || (s.size(k + 1) == s.size(0)) != same_size) continue;
        free.push_back(operands_[place[j]].slot);
        place[j] = -1;
      }
    };
    if (s.loop) {
      give_back(true);
      if (!parts[i].written) {
        if (free.empty()) free.push_back(int(slots_++));
        place[i] = int(operands_.size());
        operands_.push_back({nullptr, free.back(), {}});
        free.pop_back();
      }
      c.operand[0] = place[i];
      give_back(false);
    } else if (s.row == s.numel()) {
      c.partial = partials++;
    } else { // that the dimensions of a row stay apart from the others
      c.operand[0] = int(operands_.size());
      Dims stride(shape_.size(), 0);
      int64_t step = s.size(0), rows = 1;
      for (size_t d = shape_.size(); d-- > 0; rows *= shape_[d])
        if (rows >= s.row) {
          stride[d] = step;
          step *= shape_[d];
        }
      operands_.push_back({s.result->data, -1, stride});
    }
    code_.push_back(std::move(c));
  }
  order_dims();
  double bytes = 0; // in memory
  for (auto &o : operands_)
    if (o.slot < 0) bytes += touched(o.stride, shape_, itemsize);
  const bool dense = code_.size() > 1 && !row_ && bytes > far && cut(short_bytes, itemsize);
  if (!dense) cut(code_.size() == 1 ? lone_bytes : tile_bytes, itemsize);
  link();
  // One chain of all steps needs no short tiles.
  if (dense && code_[0].covers == int(code_.size()) && !cut(tile_bytes, itemsize)) cut(short_bytes, itemsize);
  partials_.resize(size_t(partials * tiles_) * 16);
}

int Pass::in_memory(char *data, const Dims &stride) {
  auto same = [&](const Operand &o) { return o.data == data && o.stride == stride; };
  auto found = std::find_if(operands_.begin(), operands_.end(), same);
  if (found == operands_.end()) found = operands_.insert(found, {data, -1, stride});
  return int(found - operands_.begin());
}

Pass::Operand Pass::repeated(const Source &number, const Loop &loop, int64_t size) {
  size_t at = numbers_.size();
  const size_t one = size_t(size), all = one * loop.lanes * chain_vectors; // a power of two apart
  numbers_.resize(at + all);
  std::memcpy(&numbers_[at], number.number, one);
  for (size_t done = one; done < all; done *= 2) std::memcpy(&numbers_[at + done], &numbers_[at], done);
  return {numbers_.data() + at, -1, Dims(shape_.size(), 0), true};
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
  if (shape.empty()) {
    shape.push_back(1);
    for (auto &s : stride) s.push_back(0);
  }
  shape_ = shape;
  for (size_t k = 0; k < operands_.size(); ++k) operands_[k].stride = stride[k];
}

// Decides on tiles of so many bytes for each operand, and on what each step's grid on a tile is. Returns whether no
// step needs one.
bool Pass::cut(long bytes, long itemsize) {
  const int n = int(shape_.size());
  const bool whole = row_ && row_ == numel(shape_);
  const long wanted = whole ? chunk : bytes / itemsize;
  bool dense = true;
  inner_ = 1;
  for (split_ = n - 1; split_ > 0; --split_) {
    if (inner_ * shape_[split_] > wanted && (whole || inner_ >= row_)) break;
    inner_ *= shape_[split_];
  }
  const long length = shape_[split_], unit = inner_ == 1 ? 64 : 1;
  if (whole) part_ = std::max<long>(1, chunk / inner_);
  else {
    parts_ = std::max<long>(1, (length * inner_ + wanted - 1) / wanted);
    part_ = ((length + parts_ - 1) / parts_ + unit - 1) / unit * unit;
  }
  parts_ = (length + part_ - 1) / part_;
  tiles_ = parts_;
  for (int d = 0; d < split_; ++d) tiles_ *= shape_[d];
  slot_bytes_ = (part_ * inner_ * itemsize + 63) / 64 * 64 + 64;
  for (auto &c : code_) {
    if (!c.step->loop) continue;
    c.ndim = 0;
    c.shape.clear();
    c.stride.clear();
    auto stride_of = [&](int d, int k) -> long {
      const Operand &o = operands_[c.operand[k]];
      if (o.slot < 0) return o.stride[d];
      long step = c.step->size(k);
      for (int e = d + 1; e < n; ++e) step *= shape_[e];
      return step;
    };
    for (int d = split_; d < n; ++d) {
      bool joined = d > split_;
      for (int k = 0; k <= c.step->sources && joined; ++k)
        joined = c.stride[size_t(c.ndim - 1) * max_operands + k] == shape_[d] * stride_of(d, k);
      if (!joined) {
        c.shape.push_back(d == split_ ? 1 : shape_[d]);
        for (int k = 0; k < max_operands; ++k) c.stride.push_back(0);
        ++c.ndim;
      } else {
        c.shape.back() *= shape_[d];
      }
      for (int k = 0; k <= c.step->sources; ++k) c.stride[size_t(c.ndim - 1) * max_operands + k] = stride_of(d, k);
    }
    c.factor = c.shape[0];
    c.dense = c.ndim == 1;
    for (int k = 0; k <= c.step->sources; ++k)
      c.dense &= operands_[c.operand[k]].number || c.stride[size_t(k)] == c.step->size(k);
    for (int k = 0; k <= c.step->sources; ++k) c.vector[k] = c.stride[size_t(k)] * c.step->loop->lanes;
    dense &= c.dense;
  }
  for (auto &o : operands_)
    if (o.slot < 0) o.move = part_ * o.stride[split_];
  return dense;
}

// Whether a step behind that one reads it.
bool Pass::is_read_behind(int operand, size_t i) const {
  for (++i; i < code_.size(); ++i)
    for (int k = 1; k <= code_[i].step->sources; ++k)
      if (code_[i].operand[k] == operand) return true;
  return false;
}

// Finds the chains: three or more cheap steps that follow each other, each of which reads the result of the one before.
void Pass::link() {
  auto add = [&](Linked kind, const Instruction &c, int k) {
    links_.push_back({kind, nullptr, c.vector[k]});
    link_operands_.push_back(c.operand[k]);
  };
  auto what = [](const Instruction &c) { return c.step->loop && c.dense ? link_of(*c.step->loop) : Linked::none; };
  for (size_t first = 0; first < code_.size();) {
    Instruction &head = code_[first];
    size_t last = first;
    const size_t begin = links_.size();
    Linked kind = what(head);
    if (kind != Linked::none) {
      add(Linked::load, head, 1);
      add(kind, head, head.step->sources);
    }
    for (; kind != Linked::none && last + 1 < code_.size(); ++last) {
      const Instruction &c = code_[last + 1];
      const int x = code_[last].operand[0];
      const bool one = c.operand[1] == x, two = c.step->sources == 2 && c.operand[2] == x;
      kind = c.step->type == head.step->type ? what(c) : Linked::none;
      if (one && two) kind = kind == Linked::mul ? Linked::square : Linked::none;
      else if (two) kind = turned(kind);
      if (kind == Linked::none || !(one || two)) break;
      if (operands_[x].slot < 0 || is_read_behind(x, last + 1)) add(Linked::store, code_[last], 0);
      add(kind, c, two ? 1 : c.step->sources);
    }
    if (last - first < 2) links_.resize(begin), link_operands_.resize(begin);
    else {
      add(Linked::store, code_[last], 0);
      head.covers = int(last - first) + 1;
      head.first_link = int(begin), head.last_link = int(links_.size());
    }
    first = last + 1;
  }
}

bool Pass::fits() const {
  if (!row_) return true;
  for (auto &c : code_)
    if (!c.step->loop && c.step->row != row_) return false;
  if (row_ == numel(shape_)) return part_ * inner_ == chunk && (split_ == 0 || shape_[split_] % part_ == 0);
  return inner_ % row_ == 0;
}

void Pass::run_fold(const Instruction &c, const char *from, long index, long elements) {
  const Step &s = *c.step;
  Reduction r;
  r.in = from;
  r.reduced = 1;
  r.reduced_shape[0] = c.partial >= 0 ? elements : row_;
  r.reduced_stride[0] = s.size(1);
  DType type = s.type;
  if (c.partial >= 0) {
    r.kept = 0;
    r.out = partials_.data() + (c.partial * tiles_ + index) * 16;
    if (dtype_in(type, floats)) type = DType::F64; // in which sums of chunks are added up
  } else {
    r.kept = 1;
    r.kept_shape[0] = elements / row_;
    r.in_stride[0] = row_ * s.size(1);
    r.out_stride[0] = s.size(0);
    // Tiles follow each other as the rows do.
    long first = index / parts_ * shape_[split_] + index % parts_ * part_;
    r.out = s.result->data + first * inner_ / row_ * s.size(0);
  }
  level().reduce[int(s.fold)][int(s.from)][int(type)](r);
}

// Adds up the chunks of a reduction to one number, in their order.
void Pass::finish(const Instruction &c) const {
  const Step &s = *c.step;
  const char *p = partials_.data() + c.partial * tiles_ * 16;
  auto add_up = [&]<class T>(T total, auto &&f) {
    for (long i = 0; i < tiles_; ++i) {
      T x;
      std::memcpy(&x, p + i * 16, sizeof x);
      total = f(total, x);
    }
    return total;
  };
  if (s.fold == Fold::any) *s.result->data = add_up(false, [](bool a, bool b) { return a || b; });
  else if (s.fold == Fold::all) *s.result->data = add_up(true, [](bool a, bool b) { return a && b; });
  else if (dtype_in(s.type, floats))
    store(s.result->data, s.type, Scalar(add_up(0.0, [](double a, double b) { return a + b; })));
  else
    store(s.result->data, s.type, Scalar(int64_t(add_up(uint64_t(0), [](uint64_t a, uint64_t b) { return a + b; }))));
}

// Where each operand is in a tile that does not follow the one before.
void Pass::place(long index, char *scratch, char **at) const {
  const long outside = index / parts_, from = index % parts_ * part_;
  for (size_t k = 0; k < operands_.size(); ++k) {
    const Operand &o = operands_[k];
    if (o.slot >= 0) {
      at[k] = scratch + o.slot * slot_bytes_;
      continue;
    }
    at[k] = o.data + from * o.stride[split_];
    for (long d = split_ - 1, outer = outside; d >= 0; --d) {
      at[k] += outer % shape_[d] * o.stride[d];
      outer /= shape_[d];
    }
  }
}

void Pass::run_tiles(long begin, long end, char *scratch) {
  const Level &l = level();
  Grid g;
  SmallVec<char *, 32> at(operands_.size());
  std::vector<Link> links = links_;
  for (long index = begin, part = begin % parts_; index < end; ++index, ++part) {
    if (part == parts_) part = 0;
    if (index == begin || part == 0) place(index, scratch, at.begin());
    else
      for (size_t k = 0; k < operands_.size(); ++k) at[k] += operands_[k].move;
    const long length = std::min<long>(part_, shape_[split_] - part * part_);
    for (size_t i = 0; i < code_.size(); ++i) {
      const Instruction &c = code_[i];
      if (!c.step->loop) {
        run_fold(c, at[c.operand[1]], index, length * inner_);
        continue;
      }
      const Loop &loop = *c.step->loop;
      const long n = c.factor * length;
      if (c.dense && !(n & (loop.lanes - 1))) {
        if (c.covers) {
          for (int k = c.first_link; k < c.last_link; ++k) links[k].at = at[link_operands_[k]];
          const Chain run = loop.result == DType::F32 ? l.fused->single.chain : l.fused->real.chain;
          run(&links[c.first_link], &links[c.first_link] + (c.last_link - c.first_link),
              n >> __builtin_ctz(loop.lanes));
          i += size_t(c.covers) - 1;
          continue;
        }
        char *data[max_operands];
        for (int k = 0; k < loop.operands; ++k) data[k] = at[c.operand[k]];
        loop.vectors(data, c.vector, n >> __builtin_ctz(loop.lanes));
        continue;
      }
      g.ndim = c.ndim;
      for (int d = 0; d < c.ndim; ++d) {
        g.shape[d] = c.shape[d];
        for (int k = 0; k <= c.step->sources; ++k) g.stride[d][k] = c.stride[size_t(d) * max_operands + k];
      }
      g.shape[0] = n;
      for (int k = 0; k <= c.step->sources; ++k) g.data[k] = at[c.operand[k]];
      l.map(loop, g);
    }
  }
}

void Pass::run() {
  int64_t n = numel(shape_);
  LongWork unlocked(n);
  long work = std::max<long>(1, n / tiles_ * long(code_.size()));
  parallel_for(tiles_, (grain + work - 1) / work, [&](long begin, long end) {
    auto *scratch = static_cast<char *>(workspace(tile_workspace, std::max<long>(1, slots_ * slot_bytes_)));
    run_tiles(begin, end, scratch);
  });
  for (auto &c : code_)
    if (c.partial >= 0) finish(c);
}

void Pass::tell(const std::vector<Step> &steps, const std::vector<Part> &parts, const std::vector<int> &mine) const {
  FusedPass p{steps[mine[0]].shape, part_ * inner_, tiles_, slots_, {}, {}, 0, 0, 0};
  for (int i : mine) {
    const Step &s = steps[i];
    const bool written = !s.loop || parts[i].written;
    FusedStep told{s.name, s.type, written ? s.result->data : nullptr, s.sources, {-1, -1, -1}, {}};
    double result = double(s.numel() / std::max<int64_t>(1, s.row)) * double(s.size(0));
    p.alone += result;
    if (written) p.bytes_written += result;
    for (int k = 0; k < s.sources; ++k) {
      const Source &in = s.in[k];
      if (in.is_number()) {
        told.number[k] = load(in.number, s.size(k + 1) == size_of(s.from) ? s.from : DType::Bool);
        continue;
      }
      const Dims &stride = in.inside ? steps[in.step].stride : in.stride;
      double read = touched(stride, s.shape, s.size(k + 1));
      p.alone += read;
      if (in.inside && parts[in.step].pass == parts[i].pass) {
        told.of[k] = int(std::find(mine.begin(), mine.end(), in.step) - mine.begin());
        continue;
      }
      FusedRead what{s.shape, in.inside ? steps[in.step].result->data : in.memory->data + in.offset};
      for (size_t d = 0; d < what.shape.size(); ++d)
        if (!stride[d]) what.shape[d] = 1;
      auto same = std::find_if(p.read.begin(), p.read.end(),
                               [&](auto &r) { return r.data == what.data && r.shape == what.shape; });
      told.of[k] = -2 - int(same - p.read.begin());
      if (same != p.read.end()) continue;
      p.bytes_read += read;
      p.read.push_back(what);
    }
    p.steps.push_back(told);
  }
  fuse_hook(p);
}

} // namespace fusing
} // namespace hadamard
