// Tensor: a counted handle on a strided window into a storage. Views share the storage and its version.
#pragma once
#include <atomic>
#include <complex>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "dtype.h"
#include "error.h"
#include "memory.h"
#include "shape.h"

namespace hadamard {

// Gives up one reference. The last owner may say so without an atomic exchange, unless others revive what it leaves.
template <class T> void drop(T *p) {
  bool last = true;
  if constexpr (requires { p->revivable; }) last = !p->revivable;
  if (last && p->refs.load(std::memory_order_acquire) == 1) return destroy(p);
  if (p->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(p);
}

// Ref<T>: an intrusive pointer; T has `refs` and the free function destroy(T*).
template <class T> class Ref {
  T *p_ = nullptr;

public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T *p) : p_(p) { // takes a new reference
    if (p_) p_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  static Ref adopt(T *p) { // takes over a reference
    Ref r;
    r.p_ = p;
    return r;
  }
  Ref(const Ref &o) : Ref(o.p_) {}
  Ref(Ref &&o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  Ref &operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_) drop(p_);
  }
  T *get() const { return p_; }
  T *detach() {
    T *p = p_;
    p_ = nullptr;
    return p;
  }
  T *operator->() const { return p_; }
  T &operator*() const { return *p_; }
  explicit operator bool() const { return p_; }
  friend bool operator==(const Ref &a, const Ref &b) { return a.p_ == b.p_; }
};

enum class DeviceKind : uint8_t { cpu, meta, cuda }; // cuda can be named, but holds no tensors yet
struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int8_t index = -1;
  friend bool operator==(const Device &a, const Device &b) { return a.kind == b.kind; }
};
std::string name(Device d); // "cpu", "meta"
Device device_from(const std::string &name);

// Bytes shared by views. `owner` keeps foreign memory (NumPy, DLPack, a mapped file) alive until `free_owner`.
struct Storage {
  std::atomic<uint32_t> refs{1};
  std::atomic<uint32_t> version{0};
  std::atomic<uint32_t> waiting{0}; // ops put off by fuse() that are to write or read this
  Device device;
  char *data = nullptr;
  size_t bytes = 0;
  void *owner = nullptr;
  void (*free_owner)(void *) = nullptr;
};
void destroy(Storage *s) noexcept;
Ref<Storage> new_storage(size_t bytes, Device device);
Ref<Storage> borrow_storage(void *data, size_t bytes, void *owner, void (*free_owner)(void *));
void resize_storage(Storage &s, size_t bytes); // grows in place, keeping the contents
void settle(Storage &s);                       // runs the ops that wait for it (ops/fuse.cpp)

// A Python number, before it has a dtype.
struct Scalar {
  enum Kind : uint8_t { boolean, integer, floating, complex_ } kind = integer;
  int64_t i = 0;
  double re = 0, im = 0;
  Scalar() = default;
  Scalar(bool b) : kind(boolean), i(b), re(b) {}
  Scalar(int v) : Scalar((long long)v) {}
  Scalar(long v) : Scalar((long long)v) {} // int64_t is one or the other
  Scalar(long long v) : kind(integer), i(v), re(double(v)) {}
  Scalar(double v) : kind(floating), i(0), re(v) {}
  Scalar(std::complex<double> v) : kind(complex_), re(v.real()), im(v.imag()) {}
  bool is_zero() const { return kind <= integer ? i == 0 : re == 0 && im == 0; }
  int64_t to_int() const; // truncates
};
// Writes a number as an element of dtype t (integers wrap, as torch's casts do), and reads one.
void store(char *to, DType t, const Scalar &s);
Scalar load(const char *from, DType t);

// The switches of a thread. They are read in every call, so without the detour of dynamic thread-local storage.
struct Modes {
  bool grad = true, inference = false;
  bool fusing = false;  // element-wise ops wait for each other
  bool packing = false; // hooks see what is saved for backward (saved.h)
  bool autocasting = false;
  DType default_dtype = DType::F32;
};
extern constinit thread_local Modes modes HD_INITIAL_EXEC;

struct AutogradMeta;
struct Node;
class Tensor;
void destroy(AutogradMeta *) noexcept;
void destroy(Node *) noexcept;

struct TensorImpl {
  std::atomic<uint32_t> refs{1};
  DType dtype = DType::F32;
  bool contiguous = true;
  bool wrapped = false;      // a Python number: weak in promotion
  bool untracked = false;    // .data: writes do not raise the version
  bool inference = false;    // made under inference_mode
  bool one_of_many = false;  // a view that an op made together with others: not written to in place
  bool asks_grad = false;    // a leaf that requires grad
  uint32_t grad_version = 0; // of a view: the version its fn was made at
  uint32_t output = 0;       // which of fn's results this is
  Ref<Storage> storage;
  int64_t offset = 0; // in elements
  int64_t numel = 0;
  Dims shape, strides;
  Ref<Node> fn;               // the recorded op that made this; of a view ask grad_fn()
  Ref<AutogradMeta> meta;     // what leaves and few others have
  TensorImpl *base = nullptr; // of a view: the tensor whose history an in-place write rewrites (counted)
  void *python = nullptr;     // the Python object that wraps this, not counted
};
void destroy(TensorImpl *t) noexcept;

class Tensor {
  Ref<TensorImpl> p_;

public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> p) : p_(std::move(p)) {}
  explicit operator bool() const { return bool(p_); }
  TensorImpl *impl() const { return p_.get(); }
  TensorImpl *detach_impl() { return p_.detach(); }
  TensorImpl *operator->() const { return p_.get(); }
  bool is(const Tensor &o) const { return p_ == o.p_; }

  DType dtype() const { return p_->dtype; }
  Device device() const { return p_->storage->device; }
  bool is_meta() const { return device().kind == DeviceKind::meta; }
  const Dims &shape() const { return p_->shape; }
  const Dims &strides() const { return p_->strides; }
  int64_t dim() const { return int64_t(p_->shape.size()); }
  int64_t size(int64_t d) const { return dim() ? p_->shape[wrap_dim(d, dim())] : throw_size(d); }
  int64_t stride(int64_t d) const { return p_->strides[wrap_dim(d, dim())]; }
  int64_t numel() const { return p_->numel; }
  int64_t itemsize() const { return size_of(p_->dtype); }
  bool is_contiguous() const { return p_->contiguous; }
  [[gnu::always_inline]] char *raw() const {
    Storage &s = *p_->storage;
    if (s.waiting.load(std::memory_order_acquire)) settle(s);
    return s.data + p_->offset * size_of(p_->dtype);
  }
  template <class T> T *data() const { return reinterpret_cast<T *>(raw()); }
  uint32_t version() const { return p_->storage->version.load(std::memory_order_relaxed); }
  void bump() const {
    if (p_->untracked) return;
    auto &version = p_->storage->version; // only who may write there at all raises it: no exchange is needed
    version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  bool is_float() const { return dtype_in(dtype(), floats); }
  bool is_complex() const { return dtype_in(dtype(), complexes); }
  bool requires_grad() const { return p_->fn || p_->asks_grad || (p_->base && view_requires_grad()); }

private:
  bool view_requires_grad() const;
  static int64_t throw_size(int64_t d);
};
using Tensors = std::vector<Tensor>;

// A list with room for its first N elements in itself. T is moved as bytes, as handles can be.
template <class T, int N> class ShortList {
  uint32_t size_ = 0, capacity_ = N;
  union {
    T *heap_;
    alignas(T) char inline_[N * sizeof(T)];
  };

public:
  ShortList() {}
  explicit ShortList(size_t n) { resize(n); }
  // {a, b}: moved in where they may be, which an initializer_list would not.
  template <class... U>
    requires(sizeof...(U) > 0 && (std::is_convertible_v<U, T> && ...))
  ShortList(U &&...each) {
    reserve(sizeof...(U));
    (new (begin() + size_++) T(std::forward<U>(each)), ...);
  }
  template <class I>
    requires requires(I i) { *i; }
  ShortList(I begin, I end) {
    reserve(size_t(end - begin));
    for (; begin != end; ++begin) push_back(*begin);
  }
  ShortList(const std::vector<T> &v) : ShortList(v.begin(), v.end()) {}
  ShortList(const ShortList &o) : ShortList(o.begin(), o.end()) {}
  ShortList(ShortList &&o) noexcept { steal(o); }
  ShortList &operator=(ShortList o) noexcept {
    free();
    steal(o);
    return *this;
  }
  ~ShortList() { free(); }

  T *begin() { return capacity_ > N ? heap_ : reinterpret_cast<T *>(inline_); }
  const T *begin() const { return const_cast<ShortList *>(this)->begin(); }
  T *data() { return begin(); }
  const T *data() const { return begin(); }
  T *end() { return begin() + size_; }
  const T *end() const { return begin() + size_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T &operator[](size_t i) { return begin()[i]; }
  const T &operator[](size_t i) const { return begin()[i]; }
  T &back() { return end()[-1]; }
  void reserve(size_t n) {
    if (n <= capacity_) return;
    T *p = static_cast<T *>(::operator new(n * sizeof(T)));
    std::memcpy(static_cast<void *>(p), begin(), size_ * sizeof(T));
    if (capacity_ > N) ::operator delete(heap_);
    heap_ = p;
    capacity_ = uint32_t(n);
  }
  void push_back(T v) { emplace_back(std::move(v)); }
  template <class... A> T &emplace_back(A &&...a) {
    if (size_ == capacity_) reserve(size_t(capacity_) * 2);
    return *new (begin() + size_++) T(std::forward<A>(a)...);
  }
  void resize(size_t n) {
    reserve(n);
    while (size_ < n) new (begin() + size_++) T();
    while (size_ > n) begin()[--size_].~T();
  }
  void pop_back() { resize(size_ - 1); }
  void clear() { resize(0); }

private:
  void free() {
    for (T &t : *this) t.~T();
    if (capacity_ > N) ::operator delete(heap_);
  }
  void steal(ShortList &o) {
    size_ = o.size_;
    capacity_ = o.capacity_;
    if (capacity_ > N) heap_ = o.heap_;
    else
      for (uint32_t i = 0; i < size_; ++i)
        std::memcpy(static_cast<void *>(begin() + i), static_cast<const void *>(o.begin() + i), sizeof(T));
    o.size_ = 0;
    o.capacity_ = N;
  }
};
using TensorList = ShortList<Tensor, 3>; // gradients of a node, mostly one to three

// Tensors side by side for the length of a call, not counted.
template <int N> class Borrowed {
  alignas(Tensor) char bytes_[N * sizeof(Tensor)];

public:
  template <class... T> explicit Borrowed(const T &...t) {
    static_assert(sizeof...(T) == N);
    int i = 0;
    (std::memcpy(bytes_ + sizeof(Tensor) * size_t(i++), static_cast<const void *>(&t), sizeof(Tensor)), ...);
  }
  Borrowed(const Borrowed &) = delete;
  const Tensor *list() const { return reinterpret_cast<const Tensor *>(bytes_); }
};

inline DType default_dtype() { return modes.default_dtype; }
void set_default_dtype(DType t);

// New memory, not initialised; contiguous.
Tensor empty(const Dims &shape, DType t, Device d = {});
// New memory laid out like x (same strides where x is dense), as torch's preserve_format.
Tensor empty_like(const Tensor &x, DType t);
Tensor empty_like(const Tensor &x);
// The same for x without gaps and on the CPU, by the shortest way.
Tensor empty_as(const Tensor &x, DType t);
Tensor empty_strided(const Dims &shape, const Dims &strides, DType t, Device d = {});
Tensor full(const Dims &shape, const Scalar &value, DType t, Device d = {});
Tensor zeros(const Dims &shape, DType t, Device d = {});
Tensor number(const Scalar &value);          // 0-d, weak in promotion
Tensor scalar(const Scalar &value, DType t); // 0-d

// A window into x's storage without history; offset in elements from the storage's start.
Tensor alias(const Tensor &x, const Dims &shape, const Dims &strides, int64_t offset);
Tensor alias(const Tensor &x);
// Changes the geometry of t in place (resize_, set_, out=); grows its storage where it must.
void resize(const Tensor &t, const Dims &shape);
void set_geometry(const Tensor &t, const Dims &shape, const Dims &strides, int64_t offset);

Scalar item(const Tensor &x); // of a one-element tensor; throws otherwise

// Promotion as torch's result_type: tensors with dimensions before 0-d tensors before numbers, kind before width.
DType promote(DType a, DType b);
inline int category(DType t) { // bool, integers, floats, complex
  return t == DType::Bool ? 0 : dtype_in(t, integers) ? 1 : dtype_in(t, floats) ? 2 : 3;
}
DType result_type(const Tensor *operands, int n);
bool can_cast(DType from, DType to);
DType real_of(DType t);    // complex64 → float32
DType complex_of(DType t); // float32 → complex64
DType compute_of(DType t); // f16, bf16 → f32

std::string describe(const Tensor &t); // "float32 (2, 3)"

} // namespace hadamard
