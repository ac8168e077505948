// The passes of fuse(): dimensions, tiles and slots are decided on once, then every tile runs through the kernels.
#include "ops/fuse_pass.h"

#include <algorithm>

#include "cpu/threads.h"

namespace hadamard {

constinit thread_local FuseHook fuse_hook = nullptr;

namespace fusing {
namespace {
constexpr long tile_bytes = 8192;    // of one operand in a tile
constexpr long dense_bytes = 1024;   // where every step runs straight through it: memory and arithmetic overlap
constexpr long lone_bytes = 1 << 18; // where nothing but operands in memory is in it
constexpr long chunk = 8192;         // what a reduction kernel sums up before it adds to its total
constexpr long grain = 65536;        // elements times steps that a thread should get at least
constexpr int tile_workspace = 7;
constexpr size_t longest_vector = 128; // bytes
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
  numbers_.reserve(mine.size() * 3 * longest_vector); // operands point there
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
      p = int(operands_.size());
      if (in.inside) operands_.push_back({steps[in.step].result->data, -1, steps[in.step].stride});
      else if (in.is_number()) operands_.push_back(repeated(in, *s.loop, s.size(k + 1)));
      else operands_.push_back({in.memory->data + in.offset, -1, in.stride});
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
  const bool dense = code_.size() > 1 && !row_ && cut(dense_bytes, itemsize);
  if (!dense) cut(code_.size() == 1 ? lone_bytes : tile_bytes, itemsize);
  partials_.resize(size_t(partials * tiles_) * 16);
}

Pass::Operand Pass::repeated(const Source &number, const Loop &loop, int64_t size) {
  size_t at = numbers_.size();
  for (int i = 0; i < loop.lanes; ++i) numbers_.insert(numbers_.end(), number.number, number.number + size);
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
  for (long index = begin, part = begin % parts_; index < end; ++index, ++part) {
    if (part == parts_) part = 0;
    if (index == begin || part == 0) place(index, scratch, at.begin());
    else
      for (size_t k = 0; k < operands_.size(); ++k) at[k] += operands_[k].move;
    const long length = std::min<long>(part_, shape_[split_] - part * part_);
    for (auto &c : code_) {
      if (!c.step->loop) {
        run_fold(c, at[c.operand[1]], index, length * inner_);
        continue;
      }
      const Loop &loop = *c.step->loop;
      const long n = c.factor * length;
      if (c.dense && !(n & (loop.lanes - 1))) {
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
  auto bytes = [](const Dims &stride, const Dims &shape, int64_t size) { // what is repeated is read once
    double n = double(size);
    for (size_t d = 0; d < shape.size(); ++d)
      if (stride[d]) n *= double(shape[d]);
    return n;
  };
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
      double read = bytes(stride, s.shape, s.size(k + 1));
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
