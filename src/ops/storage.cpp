// Storages as tensors of bytes, what saving, loading and copying are made of; and out= for what Python computed.
#include "moved.h"
#include "ops/all.h"

namespace hadamard {
namespace ops {
namespace {

// What Python computed goes where out= says, under the rules of write_out().
Tensor write_out_op(const std::string &op, const Tensor &to, const Tensor &y) { return write_out(op.c_str(), to, y); }

// The whole storage of x: uint8, one dimension.
Tensor storage_bytes(const Tensor &x) {
  Tensor y = alias(x, {int64_t(x->storage->bytes)}, {1}, 0);
  y->dtype = DType::U8;
  return y;
}

// A part of a storage as a storage of its own, in the same memory.
Tensor slice_storage(const Tensor &bytes, int64_t start, int64_t length) {
  Storage &whole = *bytes->storage;
  HD_CHECK(bytes.dtype() == DType::U8 && start >= 0 && length >= 0 && size_t(start) <= whole.bytes &&
               size_t(length) <= whole.bytes - size_t(start),
           runtime, "a slice of %ld bytes at %ld is out of bounds for storage of size %ld", long(length), long(start),
           long(whole.bytes));
  Ref<Storage> kept = bytes->storage;
  Ref<Storage> part = borrow_storage(whole.data + start, size_t(length), kept.detach(),
                                     [](void *s) { Ref<Storage>::adopt(static_cast<Storage *>(s)); });
  Tensor y = alias(bytes, {length}, {1}, 0);
  y->storage = std::move(part);
  return y;
}

// A tensor without history over the storage that `bytes` shows; offset in elements.
Tensor tensor_over(const Tensor &bytes, DType t, const Dims &size, const Dims &stride, int64_t offset) {
  const Storage &storage = *bytes->storage;
  HD_CHECK(size.size() == stride.size() && offset >= 0, runtime, "mismatch in length of strides and shape");
  int64_t n = numel(size), extent = n ? offset + 1 : 0, need;
  bool over = false;
  for (size_t i = 0; i < size.size(); ++i) {
    int64_t span;
    over |= stride[i] < 0;
    if (n)
      over |= __builtin_mul_overflow(size[i] - 1, stride[i], &span) || __builtin_add_overflow(extent, span, &extent);
  }
  over |= __builtin_mul_overflow(extent, size_of(t), &need);
  HD_CHECK(!over && size_t(need) <= storage.bytes, runtime,
           "setStorage: sizes %s, strides %s, storage offset %ld, and itemsize %ld requiring a storage size of %ld are "
           "out of bounds for storage of size %ld",
           brackets(size).c_str(), brackets(stride).c_str(), long(offset), size_of(t), over ? -1L : long(need),
           long(storage.bytes));
  HD_CHECK(reinterpret_cast<uintptr_t>(storage.data) % uintptr_t(size_of(real_of(t))) == 0, runtime,
           "the storage is not aligned for dtype %s", info(t).name);
  Tensor y = alias(bytes, size, stride, offset);
  y->dtype = t;
  return y;
}

// x's storage moves to the memory of `bytes`; all tensors over it go along.
void storage_to(const Tensor &x, const Tensor &bytes) { move_storage(*x->storage, bytes->storage); }

} // namespace
} // namespace ops

const OpTable &storage_ops() {
  using namespace ops;
  static const OpTable t = {
      def<write_out_op>("_write_out", "op, to, y", function),
      def<storage_bytes>("_storage_bytes", "input", function),
      def<slice_storage>("_slice_storage", "input, start, length", function),
      def<storage_to>("_move_storage", "input, bytes", function),
      def<tensor_over>("_tensor_over", "input, dtype, size, stride, offset", function),
  };
  return t;
}

} // namespace hadamard
