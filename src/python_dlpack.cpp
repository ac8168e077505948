// DLPack (versions 0 and 1.0): tensors handed to and taken from other libraries without a copy. The structs follow
// dlpack.h of the DLPack specification, https://dmlc.github.io/dlpack/latest/.
#include "python.h"

#include <memory>

namespace hadamard::python {
namespace {

struct DLDevice {
  int32_t type, id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor t;
  void *context;
  void (*deleter)(DLManagedTensor *);
};
struct DLManagedTensorVersioned {
  uint32_t major, minor;
  void *context;
  void (*deleter)(DLManagedTensorVersioned *);
  uint64_t flags;
  DLTensor t;
};
constexpr uint64_t read_only = 1, is_copied = 2;
enum Code : uint8_t { signed_int = 0, unsigned_int = 1, floating = 2, brain = 4, complex_ = 5, boolean_ = 6 };

DLDataType type_of(DType t) {
  Code c = t == DType::Bool         ? boolean_
           : t == DType::U8         ? unsigned_int
           : t == DType::BF16       ? brain
           : dtype_in(t, floats)    ? floating
           : dtype_in(t, complexes) ? complex_
                                    : signed_int;
  return {c, uint8_t(size_of(t) * 8), 1};
}
bool dtype_from(DLDataType d, DType &t) {
  for (int i = 0; i < dtype_count; ++i) {
    DLDataType known = type_of(DType(i));
    if (known.code == d.code && known.bits == d.bits && d.lanes == 1) {
      t = DType(i);
      return true;
    }
  }
  return false;
}

// What an exported tensor lives on until its consumer is done.
template <class Managed> struct Export {
  Managed managed;
  Tensor t;
  Dims shape, strides;
};
template <class Managed> Managed *export_tensor(const Tensor &t) {
  modes.fusing = false; // the consumer may write there, unseen
  auto *e = new Export<Managed>{{}, t, t.shape(), t.strides()};
  // A dimension of size 1 has no step; some consumers compare it with that of a contiguous array.
  Dims plain = contiguous_strides(e->shape);
  for (size_t d = 0; d < e->shape.size(); ++d)
    if (e->shape[d] < 2) e->strides[d] = plain[d];
  e->managed.t = {t.raw(), {1, 0}, int32_t(t.dim()), type_of(t.dtype()), e->shape.begin(), e->strides.begin(), 0};
  e->managed.context = e;
  e->managed.deleter = [](Managed *m) { delete static_cast<Export<Managed> *>(m->context); };
  return &e->managed;
}
template <class Managed> void drop(PyObject *capsule, const char *name) {
  if (!PyCapsule_IsValid(capsule, name)) return; // renamed: its consumer owns it
  auto *m = static_cast<Managed *>(PyCapsule_GetPointer(capsule, name));
  if (m->deleter) m->deleter(m);
}

template <class Managed> Tensor import_tensor(PyObject *capsule, const char *name, const char *used) {
  auto *m = static_cast<Managed *>(PyCapsule_GetPointer(capsule, name));
  if (!m) throw PythonError{};
  const DLTensor &d = m->t;
  DType t;
  if (d.device.type != 1 && d.device.type != 3)
    throw Error(Raises::runtime, text("from_dlpack: device type %d is not the CPU", int(d.device.type)));
  if (!dtype_from(d.dtype, t))
    throw Error(Raises::runtime, text("from_dlpack: unsupported dtype (code %d, %d bits, %d lanes)", int(d.dtype.code),
                                      int(d.dtype.bits), int(d.dtype.lanes)));
  Dims shape, strides;
  for (int i = 0; i < d.ndim; ++i) shape.push_back(d.shape[i]);
  strides = contiguous_strides(shape);
  int64_t n = numel(shape), last = 0;
  if (d.strides)
    for (int i = 0; i < d.ndim; ++i) {
      HD_CHECK(d.strides[i] >= 0, value, "from_dlpack: negative strides are not supported");
      strides[size_t(i)] = d.strides[i];
    }
  for (int i = 0; i < d.ndim && n; ++i) last += (shape[size_t(i)] - 1) * strides[size_t(i)];
  Tensor r = empty({0}, t);
  r->storage = borrow_storage(static_cast<char *>(d.data) + d.byte_offset,
                              size_t(n ? last + 1 : 0) * size_t(size_of(t)), m, [](void *p) {
                                auto *m = static_cast<Managed *>(p);
                                PyGILState_STATE s = PyGILState_Ensure();
                                if (m->deleter) m->deleter(m);
                                PyGILState_Release(s);
                              });
  PyCapsule_SetName(capsule, used);
  PyCapsule_SetDestructor(capsule, nullptr);
  r->shape = shape;
  r->strides = strides;
  r->numel = n;
  r->contiguous = is_contiguous(shape, strides);
  return r;
}

// _to_dlpack(tensor, versioned, copied) -> capsule
PyObject *to_capsule(PyObject *, PyObject *args) {
  PyObject *o;
  int versioned, copied;
  if (!PyArg_ParseTuple(args, "O!pp", tensor_type, &o, &versioned, &copied)) return nullptr;
  return guarded([&]() -> PyObject * {
    const Tensor &t = unwrap(o);
    if (versioned) {
      auto *m = export_tensor<DLManagedTensorVersioned>(t);
      m->major = 1;
      m->minor = 0;
      m->flags = copied ? is_copied : 0;
      return PyCapsule_New(m, "dltensor_versioned",
                           [](PyObject *c) { drop<DLManagedTensorVersioned>(c, "dltensor_versioned"); });
    }
    return PyCapsule_New(export_tensor<DLManagedTensor>(t), "dltensor",
                         [](PyObject *c) { drop<DLManagedTensor>(c, "dltensor"); });
  });
}

// _from_dlpack(capsule) -> (tensor, read only)
PyObject *from_capsule(PyObject *, PyObject *capsule) {
  return guarded([&]() -> PyObject * {
    if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
      auto *m = static_cast<DLManagedTensorVersioned *>(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
      HD_CHECK(m->major <= 1, runtime, "from_dlpack: DLPack version %u.%u is not supported", m->major, m->minor);
      bool fixed = m->flags & read_only;
      Object t(wrap(import_tensor<DLManagedTensorVersioned>(capsule, "dltensor_versioned", "used_dltensor_versioned")));
      return Py_BuildValue("(OO)", t.get(), fixed ? Py_True : Py_False);
    }
    if (PyCapsule_IsValid(capsule, "dltensor")) {
      Object t(wrap(import_tensor<DLManagedTensor>(capsule, "dltensor", "used_dltensor")));
      return Py_BuildValue("(OO)", t.get(), Py_False);
    }
    throw Error(Raises::runtime,
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only "
                "once, so you might have already constructed a tensor from it once.");
  });
}
PyMethodDef functions[] = {
    {"_to_dlpack", to_capsule, METH_VARARGS, nullptr}, {"_from_dlpack", from_capsule, METH_O, nullptr}, {}};
} // namespace

void init_dlpack(PyObject *module) {
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

} // namespace hadamard::python
