// Storage, geometry, numbers and promotion.
#include "tensor.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <new>

#include "autograd.h"
#include "call.h"
#include "half.h"
#include "moved.h"

namespace hadamard {

// ---- errors

std::string text(const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = std::vsnprintf(nullptr, 0, format, args);
  va_end(args);
  std::string s(size_t(n > 0 ? n : 0), '\0');
  std::vsnprintf(s.data(), s.size() + 1, format, again);
  va_end(again);
  return s;
}
void (*warning_hook)(const std::string &) = nullptr;
void warn(const std::string &message) {
  if (warning_hook) warning_hook(message);
}
Error &Error::arg(const char *n, const Tensor &t) {
  if (t) args.push_back({n, t.shape(), t.dtype(), name(t.device())});
  return *this;
}
std::string describe(const Tensor &t) {
  std::string s = std::string(info(t.dtype()).name) + " (";
  for (size_t i = 0; i < t.shape().size(); ++i) s += (i ? ", " : "") + std::to_string(t.shape()[i]);
  return s + ")";
}

// ---- devices

std::string name(Device d) { return d.kind == DeviceKind::cpu ? "cpu" : d.kind == DeviceKind::meta ? "meta" : "cuda"; }
Device device_from(const std::string &s) {
  auto colon = s.find(':');
  std::string kind = s.substr(0, colon);
  Device d;
  if (kind == "cpu") d.kind = DeviceKind::cpu;
  else if (kind == "meta") d.kind = DeviceKind::meta;
  else if (kind == "cuda") d.kind = DeviceKind::cuda;
  else
    throw Error(Raises::runtime,
                "Expected one of cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, "
                "vulkan, mps, meta, hpu, mtia, privateuseone device type at start of device string: " +
                    s,
                "device");
  if (colon != std::string::npos) {
    HD_CHECK(colon + 1 < s.size() && s.find_first_not_of("0123456789", colon + 1) == std::string::npos, runtime,
             "Invalid device string: '%s'", s.c_str());
    d.index = int8_t(std::stoi(s.substr(colon + 1, 2)));
  }
  return d;
}

// ---- storage

namespace {
constexpr size_t inline_limit = 1024; // small storages hold their data behind the header, in one block
constexpr size_t header = (sizeof(Storage) + 63) / 64 * 64;
bool is_inline(const Storage &s) { return s.data == reinterpret_cast<const char *>(&s) + header; }
} // namespace

Ref<Storage> new_storage(size_t bytes, Device device) {
  if (device.kind == DeviceKind::cuda) throw Error(Raises::assertion, "Torch not compiled with CUDA enabled", "cuda");
  size_t extra = device.kind == DeviceKind::meta ? 0 : bytes;
  bool small = extra <= inline_limit;
  void *block = allocate(small ? header + extra : header);
  auto *s = new (block) Storage;
  s->device = device;
  s->bytes = bytes;
  if (device.kind == DeviceKind::meta) return Ref<Storage>::adopt(s);
  if (small) {
    s->data = static_cast<char *>(block) + header;
  } else {
    try {
      s->data = static_cast<char *>(allocate(bytes));
    } catch (...) {
      s->~Storage();
      release(block, header);
      throw;
    }
  }
  return Ref<Storage>::adopt(s);
}
Ref<Storage> borrow_storage(void *data, size_t bytes, void *owner, void (*free_owner)(void *)) {
  modes.fusing = false; // others may write there, unseen
  auto *s = new (allocate(header)) Storage;
  s->data = static_cast<char *>(data);
  s->bytes = bytes;
  s->owner = owner;
  s->free_owner = free_owner;
  return Ref<Storage>::adopt(s);
}
namespace {
struct Moved { // what a storage was before its bytes moved
  Ref<Storage> to;
  char *data;
  size_t bytes;
  void *owner;
  void (*free_owner)(void *);
};
void leave(void *) {} // marks a storage that owns a Moved; destroy() looks after it
} // namespace

void move_storage(Storage &s, Ref<Storage> to) {
  if (s.waiting.load()) settle(s);
  modes.fusing = false; // others may write there, unseen
  HD_CHECK(s.device.kind == DeviceKind::cpu && to->bytes >= s.bytes, runtime, "no room for a storage of %ld bytes",
           long(s.bytes));
  std::memcpy(to->data, s.data, s.bytes);
  char *data = to->data;
  s.owner = new Moved{std::move(to), s.data, s.bytes, s.owner, s.free_owner};
  s.data = data;
  s.free_owner = leave;
}

void destroy(Storage *s) noexcept {
  if (s->free_owner == leave) {
    auto *moved = static_cast<Moved *>(s->owner);
    s->data = moved->data;
    s->owner = moved->owner;
    s->free_owner = moved->free_owner;
    delete moved;
  }
  bool small = is_inline(*s);
  size_t block = header;
  if (s->free_owner) s->free_owner(s->owner);
  else if (s->owner) block = reinterpret_cast<size_t>(s->owner); // an inline block that was outgrown
  if (!s->free_owner && s->device.kind == DeviceKind::cpu) {
    if (small) block = header + s->bytes;
    else release(s->data, s->bytes);
  }
  s->~Storage();
  release(s, block);
}
void resize_storage(Storage &s, size_t bytes) {
  if (s.waiting.load()) settle(s);
  if (s.device.kind == DeviceKind::meta) {
    s.bytes = bytes;
    return;
  }
  HD_CHECK(!s.free_owner, runtime, "Trying to resize storage that is not resizable");
  char *fresh = static_cast<char *>(allocate(bytes));
  std::memcpy(fresh, s.data, s.bytes < bytes ? s.bytes : bytes);
  if (is_inline(s)) s.owner = reinterpret_cast<void *>(header + s.bytes); // remembers the block's size
  else release(s.data, s.bytes);
  s.data = fresh;
  s.bytes = bytes;
}

// ---- numbers

int64_t Scalar::to_int() const {
  if (kind <= integer) return i;
  if (std::isnan(re)) return INT64_MIN;
  if (re >= 9223372036854775808.0 || re < -9223372036854775808.0) return INT64_MIN;
  return int64_t(re);
}

void store(char *to, DType t, const Scalar &s) {
  visit(t, [&]<class T>(Type<T>) {
    T v;
    if constexpr (std::is_same_v<T, bool>) v = !s.is_zero();
    else if constexpr (std::is_same_v<T, f16>) v = to_f16(float(s.re));
    else if constexpr (std::is_same_v<T, bf16>) v = to_bf16(float(s.re));
    else if constexpr (std::is_same_v<T, c64>) v = {float(s.re), float(s.im)};
    else if constexpr (std::is_same_v<T, c128>) v = {s.re, s.im};
    else if constexpr (std::is_floating_point_v<T>) v = s.kind <= Scalar::integer ? T(s.i) : T(s.re);
    else v = T(s.to_int());
    std::memcpy(to, &v, sizeof v);
  });
}
Scalar load(const char *from, DType t) {
  return visit(t, [&]<class T>(Type<T>) -> Scalar {
    T v;
    std::memcpy(&v, from, sizeof v);
    if constexpr (std::is_same_v<T, bool>) return Scalar(bool(v));
    else if constexpr (std::is_same_v<T, f16>) return Scalar(double(to_float(v)));
    else if constexpr (std::is_same_v<T, bf16>) return Scalar(double(to_float(v)));
    else if constexpr (std::is_same_v<T, c64> || std::is_same_v<T, c128>)
      return Scalar(std::complex<double>(v.re, v.im));
    else if constexpr (std::is_floating_point_v<T>) return Scalar(double(v));
    else return Scalar(int64_t(v));
  });
}

// ---- tensors

namespace {
TensorImpl *new_impl() { return new (allocate(sizeof(TensorImpl))) TensorImpl; }
} // namespace

void destroy(TensorImpl *t) noexcept {
  TensorImpl *base = t->base;
  if (t->meta && t->meta->retains_grad && t->fn) std::erase(t->fn->watched().retain, t);
  t->~TensorImpl();
  release(t, sizeof(TensorImpl));
  if (base && base->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(base);
}

void set_default_dtype(DType t) {
  HD_CHECK(dtype_in(t, floats), type, "only floating-point types are supported as the default type");
  modes.default_dtype = t;
}

int64_t Tensor::throw_size(int64_t d) {
  throw Error(Raises::index, text("Dimension specified as %ld but tensor has no dimensions", long(d)));
}

Tensor empty_strided(const Dims &shape, const Dims &strides, DType t, Device d) {
  int64_t n = numel(shape), extent = n ? 1 : 0, bytes;
  bool over = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    HD_CHECK(strides[i] >= 0, runtime, "as_strided: Negative strides are not supported at the moment, got strides: %s",
             brackets(strides).c_str());
    int64_t span;
    if (n)
      over |= __builtin_mul_overflow(shape[i] - 1, strides[i], &span) || __builtin_add_overflow(extent, span, &extent);
  }
  over |= __builtin_mul_overflow(extent, size_of(t), &bytes);
  HD_CHECK(!over, runtime, "Storage size calculation overflowed with sizes=%s and strides=%s", brackets(shape).c_str(),
           brackets(strides).c_str());
  Ref<Storage> storage = new_storage(size_t(bytes), d);
  TensorImpl *p = new_impl();
  p->dtype = t;
  p->storage = std::move(storage);
  p->numel = n;
  p->shape = shape;
  p->strides = strides;
  p->contiguous = is_contiguous(shape, strides);
  p->inference = inference_enabled();
  return Tensor(Ref<TensorImpl>::adopt(p));
}

namespace {
void make_contiguous(TensorImpl &p, const Dims &shape) {
  p.shape = shape;
  p.strides = shape;
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    p.strides[i] = step;
    step = next_stride(step, shape[i]);
  }
}
} // namespace

Tensor empty(const Dims &shape, DType t, Device d) {
  int64_t bytes = size_of(t), n = 1;
  bool over = false, odd = shape.size() > max_dims;
  for (int64_t s : shape) {
    odd |= s <= 0;
    over |= s > 0 && __builtin_mul_overflow(bytes, s, &bytes);
    n = int64_t(uint64_t(n) * uint64_t(s)); // it overflows only where the bytes do
  }
  const bool none = odd && !numel(shape); // which throws where there are too many, or negative ones
  HD_CHECK(none || !over, runtime, "Storage size calculation overflowed with sizes=%s", brackets(shape).c_str());
  if (none) bytes = n = 0;
  Ref<Storage> storage = new_storage(size_t(bytes), d);
  TensorImpl *p = new_impl();
  p->dtype = t;
  p->storage = std::move(storage);
  p->numel = n;
  make_contiguous(*p, shape);
  p->inference = inference_enabled();
  return Tensor(Ref<TensorImpl>::adopt(p));
}

Tensor empty_as(const Tensor &x, DType t) {
  Ref<Storage> storage = new_storage(size_t(x.numel() * size_of(t)), {});
  TensorImpl *p = new_impl();
  p->dtype = t;
  p->storage = std::move(storage);
  p->numel = x.numel();
  make_contiguous(*p, x.shape());
  p->inference = inference_enabled();
  return Tensor(Ref<TensorImpl>::adopt(p));
}

Tensor empty_like(const Tensor &x, DType t) {
  if (x.is_contiguous()) return empty(x.shape(), t, x.device());
  if (is_dense(x.shape(), x.strides())) return empty_strided(x.shape(), x.strides(), t, x.device());
  // Not dense: dense in the order of x's strides.
  SmallVec<int, 8> order;
  for (int i = 0; i < int(x.dim()); ++i) {
    int at = int(order.size());
    while (at > 0 && x.strides()[order[at - 1]] < x.strides()[i]) --at;
    order.insert(at, i);
  }
  Dims strides(x.shape().size(), 1);
  int64_t step = 1;
  for (size_t k = order.size(); k-- > 0;) {
    strides[order[k]] = step;
    step = next_stride(step, x.shape()[order[k]]);
  }
  return empty_strided(x.shape(), strides, t, x.device());
}
Tensor empty_like(const Tensor &x) { return empty_like(x, x.dtype()); }

Tensor full(const Dims &shape, const Scalar &value, DType t, Device d) {
  Tensor r = empty(shape, t, d);
  fill_data(r, value);
  return r;
}
Tensor zeros(const Dims &shape, DType t, Device d) {
  Tensor r = empty(shape, t, d);
  const size_t bytes = size_t(r.numel() * r.itemsize());
  if (bytes > 4096 || r.is_meta()) fill_data(r, Scalar(0));
  else std::memset(r.raw(), 0, bytes); // of which all dtypes make zeros
  return r;
}
Tensor scalar(const Scalar &value, DType t) {
  Tensor r = empty({}, t);
  store(r.raw(), t, value);
  return r;
}
Tensor number(const Scalar &value) {
  static constexpr DType kinds[] = {DType::Bool, DType::I64, DType::F64, DType::C128};
  Tensor r = scalar(value, kinds[value.kind]);
  r->wrapped = true;
  return r;
}

Tensor alias(const Tensor &x, const Dims &shape, const Dims &strides, int64_t offset) {
  TensorImpl *p = new_impl();
  p->dtype = x.dtype();
  p->storage = x->storage;
  p->offset = offset;
  p->numel = numel(shape);
  p->shape = shape;
  p->strides = strides;
  p->contiguous = is_contiguous(shape, strides);
  p->untracked = x->untracked;
  p->inference = x->inference;
  return Tensor(Ref<TensorImpl>::adopt(p));
}
Tensor alias(const Tensor &x) { return alias(x, x.shape(), x.strides(), x->offset); }

void set_geometry(const Tensor &t, const Dims &shape, const Dims &strides, int64_t offset) {
  int64_t n = numel(shape), extent = n ? offset + 1 : 0;
  for (size_t i = 0; i < shape.size() && n; ++i) {
    int64_t span;
    HD_CHECK(!__builtin_mul_overflow(shape[i] - 1, strides[i], &span) && !__builtin_add_overflow(extent, span, &extent),
             runtime, "Storage size calculation overflowed with sizes=%s", brackets(shape).c_str());
  }
  int64_t bytes;
  HD_CHECK(!__builtin_mul_overflow(extent, size_of(t.dtype()), &bytes), runtime,
           "Storage size calculation overflowed with sizes=%s", brackets(shape).c_str());
  if (size_t(bytes) > t->storage->bytes) resize_storage(*t->storage, size_t(bytes));
  t->shape = shape;
  t->strides = strides;
  t->offset = offset;
  t->numel = n;
  t->contiguous = is_contiguous(shape, strides);
}
void resize(const Tensor &t, const Dims &shape) {
  if (!(t.shape() == shape)) set_geometry(t, shape, contiguous_strides(shape), t->offset);
}

Scalar item(const Tensor &x) {
  if (x.numel() != 1)
    throw Error(Raises::runtime, text("a Tensor with %ld elements cannot be converted to Scalar", long(x.numel())),
                "item")
        .in("item")
        .arg("self", x);
  HD_CHECK(!x.is_meta(), runtime, "Tensor.item() cannot be called on meta tensors");
  return load(x.raw(), x.dtype());
}

bool Tensor::view_requires_grad() const { return fn_of_view(*this); }

// ---- promotion

DType real_of(DType t) { return t == DType::C64 ? DType::F32 : t == DType::C128 ? DType::F64 : t; }
DType complex_of(DType t) { return t == DType::F64 || t == DType::C128 ? DType::C128 : DType::C64; }
DType compute_of(DType t) { return t == DType::F16 || t == DType::BF16 ? DType::F32 : t; }

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b); // a comes first in the list
  if (a == DType::Bool) return b;
  if (dtype_in(b, complexes)) return a == DType::F64 || a == DType::C128 || b == DType::C128 ? DType::C128 : b;
  if (dtype_in(b, floats)) {
    if (dtype_in(a, integers)) return b;
    return a == DType::F16 && b == DType::BF16 ? DType::F32 : b;
  }
  if (a == DType::U8) return b == DType::I8 ? DType::I16 : b;
  return b;
}

namespace {
struct Best {
  bool any = false;
  DType t = DType::Bool;
  void add(DType d) {
    t = any ? promote(t, d) : d;
    any = true;
  }
};
DType combine(const Best &higher, const Best &lower) {
  if (!higher.any) return lower.any ? lower.t : DType::F32;
  if (!lower.any || category(higher.t) >= category(lower.t)) return higher.t;
  if (dtype_in(higher.t, floats)) return complex_of(higher.t); // the number of bits stays the higher operand's
  return promote(higher.t, lower.t);
}
} // namespace

DType result_type(const Tensor *operands, int n) {
  if (n == 2 && operands[0].dtype() == operands[1].dtype() && !operands[0]->wrapped && !operands[1]->wrapped)
    return operands[0].dtype();
  Best dims, zero, wrapped;
  for (int i = 0; i < n; ++i) {
    DType t = operands[i].dtype();
    if (operands[i]->wrapped) {
      // A number is as wide as the defaults: float → default dtype, complex → its complex.
      if (t == DType::C128) t = complex_of(default_dtype());
      else if (t == DType::F64) t = default_dtype();
      wrapped.add(t);
    } else {
      (operands[i].dim() ? dims : zero).add(t);
    }
  }
  Best inner;
  if (zero.any || wrapped.any) inner.add(combine(zero, wrapped));
  return combine(dims, inner);
}

bool can_cast(DType from, DType to) {
  int f = category(from), t = category(to);
  return f <= t || (f == 1 && t == 1);
}

} // namespace hadamard
