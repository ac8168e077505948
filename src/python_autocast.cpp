// torch.autocast: which ops compute in the lower dtype, which in float32, and the casts of their arguments.
#include <cstring>

#include "python.h"

namespace hadamard::python {
namespace {

thread_local DType lower = DType::BF16;

constexpr const char *in_lower[] = {"mm",
                                    "bmm",
                                    "addmm",
                                    "matmul",
                                    "linear",
                                    "inner",
                                    "baddbmm",
                                    "addbmm",
                                    "conv1d",
                                    "conv2d",
                                    "conv3d",
                                    "conv_transpose1d",
                                    "conv_transpose2d",
                                    "conv_transpose3d",
                                    "_einsum",
                                    "_tensordot",
                                    "_attention",
                                    "_recurrent"};
constexpr const char *in_float32[] = {"prod",
                                      "trace",
                                      "cdist",
                                      "quantile",
                                      "nanquantile",
                                      "mse_loss",
                                      "l1_loss",
                                      "smooth_l1_loss",
                                      "huber_loss",
                                      "nll_loss",
                                      "nll_loss2d",
                                      "nll_loss_nd",
                                      "cross_entropy_loss",
                                      "kl_div",
                                      "binary_cross_entropy",
                                      "binary_cross_entropy_with_logits",
                                      "ctc_loss"};

void cast(Tensor &x, DType t) {
  if (x && x.is_float() && x.dtype() != DType::F64 && x.dtype() != t) x = to(x, t);
}

// _set_autocast(enabled, dtype): of this thread.
PyObject *set_autocast(PyObject *, PyObject *args) {
  return guarded([&]() -> PyObject * {
    int enabled;
    PyObject *dtype;
    if (!PyArg_ParseTuple(args, "pO", &enabled, &dtype)) return nullptr;
    DType t;
    if (!as_dtype(dtype, t)) throw Error(Raises::type, "set_autocast expects a dtype");
    modes.autocasting = enabled;
    lower = t;
    Py_RETURN_NONE;
  });
}
PyObject *get_autocast(PyObject *, PyObject *) {
  return guarded([&] { return Py_BuildValue("(NO)", PyBool_FromLong(modes.autocasting), dtype_object(lower)); });
}

PyMethodDef functions[] = {
    {"_set_autocast", set_autocast, METH_VARARGS, nullptr}, {"_get_autocast", get_autocast, METH_NOARGS, nullptr}, {}};

} // namespace

Autocast autocast_rule(const char *op) {
  for (auto *name : in_lower)
    if (!std::strcmp(name, op)) return Autocast::lower;
  for (auto *name : in_float32)
    if (!std::strcmp(name, op)) return Autocast::float32;
  return Autocast::none;
}

void autocast(Autocast rule, Tensor *x) { cast(*x, rule == Autocast::lower ? lower : DType::F32); }

void autocast(Autocast rule, Value *arguments, int count) {
  for (int i = 0; i < count; ++i)
    if (auto *t = std::get_if<Tensor>(&arguments[i])) autocast(rule, t);
    else if (auto *ts = std::get_if<Tensors>(&arguments[i]))
      for (auto &t : *ts) autocast(rule, &t);
}

void init_autocast(PyObject *module) {
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

} // namespace hadamard::python
