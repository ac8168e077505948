// Shapes and strides: a small vector and pure functions for broadcasting and stride arithmetic.
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace hadamard {

// A vector of trivially copyable values that stays off the heap up to N of them.
template <class T, int N> class SmallVec {
  T *data_ = inline_;
  uint32_t size_ = 0, capacity_ = N;
  T inline_[N];

  void grow(size_t n) {
    if (n > size_t(1) << 31) throw std::bad_alloc();
    T *p = static_cast<T *>(::operator new(n * sizeof(T)));
    std::memcpy(static_cast<void *>(p), data_, size_ * sizeof(T));
    if (data_ != inline_) ::operator delete(data_);
    data_ = p;
    capacity_ = uint32_t(n);
  }

public:
  SmallVec() {}
  explicit SmallVec(size_t n, T value = T()) { resize(n, value); }
  SmallVec(std::initializer_list<T> l) { assign(l.begin(), l.end()); }
  template <class I> SmallVec(I begin, I end) { assign(begin, end); }
  SmallVec(const SmallVec &o) { copy(o); }
  SmallVec(SmallVec &&o) noexcept { steal(o); }
  SmallVec &operator=(const SmallVec &o) {
    if (this != &o) copy(o);
    return *this;
  }
  SmallVec &operator=(SmallVec &&o) noexcept {
    if (this != &o) {
      if (data_ != inline_) ::operator delete(data_);
      data_ = inline_;
      capacity_ = N;
      steal(o);
    }
    return *this;
  }
  ~SmallVec() {
    if (data_ != inline_) ::operator delete(data_);
  }
  template <class I> void assign(I begin, I end) {
    size_ = 0;
    for (; begin != end; ++begin) push_back(*begin);
  }
  void push_back(T v) {
    if (size_ == capacity_) grow(size_t(capacity_) * 2);
    data_[size_++] = v;
  }
  void pop_back() { --size_; }
  void resize(size_t n, T value = T()) {
    if (n > capacity_) grow(n);
    for (size_t i = size_; i < n; ++i) data_[i] = value;
    size_ = uint32_t(n);
  }
  void clear() { size_ = 0; }
  void insert(size_t at, T v) {
    push_back(v);
    for (size_t i = size_ - 1; i > at; --i) data_[i] = data_[i - 1];
    data_[at] = v;
  }
  void erase(size_t at) {
    for (size_t i = at; i + 1 < size_; ++i) data_[i] = data_[i + 1];
    --size_;
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T &operator[](size_t i) { return data_[i]; }
  const T &operator[](size_t i) const { return data_[i]; }
  T *begin() { return data_; }
  T *end() { return data_ + size_; }
  const T *begin() const { return data_; }
  const T *end() const { return data_ + size_; }
  T &back() { return data_[size_ - 1]; }
  const T &back() const { return data_[size_ - 1]; }
  friend bool operator==(const SmallVec &a, const SmallVec &b) {
    if (a.size_ != b.size_) return false;
    for (uint32_t i = 0; i < a.size_; ++i)
      if (!(a.data_[i] == b.data_[i])) return false;
    return true;
  }

private:
  // What lies inline is copied whole: a few moves of known size cost less than to ask how much of it counts.
  static constexpr bool copied_whole = sizeof(T[N]) <= 64;
  void copy(const SmallVec &o) {
    if (copied_whole && o.size_ <= N) {
      std::memcpy(static_cast<void *>(data_), o.data_, sizeof(T[N]));
    } else {
      if (o.size_ > capacity_) grow(o.size_);
      std::memcpy(static_cast<void *>(data_), o.data_, o.size_ * sizeof(T));
    }
    size_ = o.size_;
  }
  void steal(SmallVec &o) {
    if (o.data_ == o.inline_) {
      std::memcpy(static_cast<void *>(inline_), o.inline_, copied_whole ? sizeof(T[N]) : o.size_ * sizeof(T));
      size_ = o.size_;
    } else {
      data_ = o.data_;
      size_ = o.size_;
      capacity_ = o.capacity_;
      o.data_ = o.inline_;
      o.capacity_ = N;
    }
    o.size_ = 0;
  }
};

// The next stride: it may overflow only where there are no elements.
inline int64_t next_stride(int64_t step, int64_t size) {
  return int64_t(uint64_t(step) * uint64_t(size > 1 ? size : 1));
}

using Dims = SmallVec<int64_t, 5>; // a shape, strides, or a list of dimensions
using OptDims = std::optional<Dims>;

// Number of elements; throws where the product overflows.
int64_t numel(const Dims &shape);
Dims contiguous_strides(const Dims &shape);
bool is_contiguous(const Dims &shape, const Dims &strides);
// True where every element has its own place and the places are one gapless block, in any order of dimensions.
bool is_dense(const Dims &shape, const Dims &strides);
// True where two indices can name one place (an expanded dimension; like torch, nothing subtler is looked for).
bool overlaps_itself(const Dims &shape, const Dims &strides);
// The broadcast shape, or the dimension (counted in the result) that clashes.
struct Broadcast {
  Dims shape;
  int clash = -1;
};
Broadcast broadcast(const Dims &a, const Dims &b);
// Strides that read a tensor of `shape` as if it had the (broadcast) shape `to`: 0 where repeated.
Dims expanded_strides(const Dims &shape, const Dims &strides, const Dims &to);
// Strides that show the same elements in another shape without a copy, if there are any.
std::optional<Dims> view_strides(const Dims &shape, const Dims &strides, const Dims &to);
// dim in [-n, n) to [0, n); a 0-d tensor counts as 1-d. Throws IndexError in torch's words.
int64_t wrap_dim(int64_t dim, int64_t ndim);
// One flag per dimension; none given means all. Throws where one is named twice.
SmallVec<bool, 8> dim_mask(const OptDims &dims, int64_t ndim);
// Replaces one -1 by what is left. Throws "shape '[..]' is invalid for input of size n".
Dims infer_shape(const Dims &shape, int64_t numel);

std::string brackets(const Dims &d); // "[2, 3]"

} // namespace hadamard
