// What explain() and strict() ask of the core: the plans that a call makes, and to be asked before every op.
#include "python.h"

#include <array>
#include <utility>

#include "contraction.h"

namespace hadamard::python {
namespace {

thread_local PyObject *plans = nullptr; // the list that is filled, held by record_plans
int recorders = 0;                      // threads that record

void note(const Contraction &p) {
  if (!plans) return;
  PyGILState_STATE held = PyGILState_Ensure();
  Object row(Py_BuildValue("{s:s,s:s,s:l,s:l,s:l,s:l,s:O,s:O,s:s,s:i,s:d,s:d}", "route", p.name(), "why", p.reason(),
                           "batch", p.batch(), "rows", p.rows(), "columns", p.columns(), "depth", p.depth(),
                           "transposed", p.swapped() ? Py_True : Py_False, "sum_dtype", dtype_object(p.sum_type()),
                           "order", p.order(), "threads", p.threads(), "multiply_adds", p.multiply_adds(), "bytes",
                           p.bytes()));
  bool failed = !row || PyList_Append(plans, row.get()) < 0;
  row = Object();
  PyGILState_Release(held);
  if (failed) throw PythonError{};
}

// _record_plans(f, list): calls f() and returns its result; the list gets the plans of the products that this thread
// runs meanwhile, each before it runs.
PyObject *record_plans(PyObject *, PyObject *args) {
  PyObject *f, *given;
  if (!PyArg_ParseTuple(args, "OO!", &f, &PyList_Type, &given)) return nullptr;
  Object list = Object::share(given);
  PyObject *outer = plans;
  plans = list.get();
  if (recorders++ == 0) plan_hook = note;
  Object y(PyObject_CallNoArgs(f));
  if (--recorders == 0) plan_hook = nullptr;
  plans = outer;
  return y.take();
}

// ---- the operators: slots of the type, which its subclasses have copied

struct Operator {
  binaryfunc PyNumberMethods::*slot;
  const char *left, *right; // the method that calls it, and the one for a tensor on the right
};
constexpr Operator operators[] = {
    {&PyNumberMethods::nb_add, "__add__", "__radd__"},
    {&PyNumberMethods::nb_subtract, "__sub__", "__rsub__"},
    {&PyNumberMethods::nb_multiply, "__mul__", "__rmul__"},
    {&PyNumberMethods::nb_true_divide, "__truediv__", "__rtruediv__"},
    {&PyNumberMethods::nb_matrix_multiply, "__matmul__", "__rmatmul__"},
    {&PyNumberMethods::nb_and, "__and__", "__rand__"},
    {&PyNumberMethods::nb_or, "__or__", "__ror__"},
    {&PyNumberMethods::nb_xor, "__xor__", "__rxor__"},
    {&PyNumberMethods::nb_inplace_add, "__iadd__", nullptr},
    {&PyNumberMethods::nb_inplace_subtract, "__isub__", nullptr},
    {&PyNumberMethods::nb_inplace_multiply, "__imul__", nullptr},
    {&PyNumberMethods::nb_inplace_true_divide, "__itruediv__", nullptr},
};
constexpr size_t operator_count = std::size(operators);
constexpr const char *const comparisons[] = {"__lt__", "__le__", "__eq__", "__ne__", "__gt__", "__ge__"};

binaryfunc plain[operator_count];
richcmpfunc plain_compare;
PyObject *watcher = nullptr;
PyObject *originals = nullptr; // {"__mul__": Tensor's own method}: these keep the functions that the slots had

// hook(Tensor.__mul__, a, b)
PyObject *ask(const char *method, PyObject *a, PyObject *b) {
  Object hook = Object::share(watcher);
  PyObject *op = PyDict_GetItemString(originals, method);
  return op ? without_frames(PyObject_CallFunctionObjArgs(hook.get(), op, a, b, nullptr)) : nullptr;
}
template <size_t i> PyObject *watched(PyObject *a, PyObject *b) {
  constexpr Operator x = operators[i];
  if (!is_tensor(a) && !x.right) Py_RETURN_NOTIMPLEMENTED;
  return is_tensor(a) ? ask(x.left, a, b) : ask(x.right, b, a);
}
PyObject *watched_compare(PyObject *a, PyObject *b, int op) { return ask(comparisons[op], a, b); }
template <size_t... i> constexpr std::array<binaryfunc, operator_count> all_watched(std::index_sequence<i...>) {
  return {watched<i>...};
}

// a.__mul__(b), once there was someone to watch it: the hook, or the method itself.
constexpr size_t method_count = 2 * operator_count + std::size(comparisons);
constexpr const char *name_of_method(size_t i) {
  return i < operator_count       ? operators[i].left
         : i < 2 * operator_count ? operators[i - operator_count].right
                                  : comparisons[i - 2 * operator_count];
}
template <size_t i> PyObject *called(PyObject *a, PyObject *b) {
  constexpr const char *name = name_of_method(i);
  if (watcher) return ask(name, a, b);
  return PyObject_CallFunctionObjArgs(PyDict_GetItemString(originals, name), a, b, nullptr);
}
template <size_t... i> constexpr std::array<PyMethodDef, method_count> all_called(std::index_sequence<i...>) {
  return {PyMethodDef{name_of_method(i), called<i>, METH_O, nullptr}...};
}
std::array<PyMethodDef, method_count> methods = all_called(std::make_index_sequence<method_count>());
bool is_called(PyObject *op) {
  if (Py_TYPE(op) != &PyMethodDescr_Type) return false;
  const PyMethodDef *m = reinterpret_cast<PyMethodDescrObject *>(op)->d_method;
  return m >= methods.data() && m < methods.data() + method_count;
}

// Whether a type has Tensor's own method: not one of its own, and not one that diagnose() has put there for a while.
bool inherits(PyTypeObject *type, const char *name) {
  if (!name) return true;
  Object own(PyObject_GetAttrString(reinterpret_cast<PyObject *>(type), name));
  PyErr_Clear();
  return own && (own.get() == PyDict_GetItemString(originals, name) || is_called(own.get()));
}
void set_slots(PyTypeObject *type, bool on) {
  static constexpr auto seen = all_watched(std::make_index_sequence<operator_count>());
  PyNumberMethods &numbers = reinterpret_cast<PyHeapTypeObject *>(type)->as_number;
  for (size_t i = 0; i < operator_count; ++i) {
    binaryfunc &f = numbers.*operators[i].slot;
    // Neither: Python's look-up by name, which it also gives to a class that was made after _watch_methods().
    if (f == plain[i] || f == seen[i] || (inherits(type, operators[i].left) && inherits(type, operators[i].right)))
      f = on ? seen[i] : plain[i];
  }
  richcmpfunc &compare = type->tp_richcompare;
  bool ours = compare == plain_compare || compare == watched_compare;
  for (size_t i = 0; !ours && i < std::size(comparisons) && inherits(type, comparisons[i]); ++i)
    ours = i + 1 == std::size(comparisons);
  if (ours) compare = on ? watched_compare : plain_compare;
  Object below(checked(PyObject_CallMethod(reinterpret_cast<PyObject *>(type), "__subclasses__", nullptr)));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(below.get()); ++i)
    set_slots(reinterpret_cast<PyTypeObject *>(PyList_GET_ITEM(below.get(), i)), on);
}

// _watch(hook): from now on every op and operator calls hook(op, *args, **kwargs) in its place; None: as ever. Returns
// the hook so far.
PyObject *watch(PyObject *, PyObject *hook) {
  return guarded([&]() -> PyObject * {
    bool on = hook != Py_None;
    if (!originals) {
      originals = checked(PyDict_New());
      for (size_t i = 0; i < method_count; ++i)
        if (const char *name = name_of_method(i)) {
          Object method(checked(PyObject_GetAttrString(reinterpret_cast<PyObject *>(tensor_type), name)));
          if (PyDict_SetItemString(originals, name, method.get()) < 0) throw PythonError{};
        }
      for (size_t i = 0; i < operator_count; ++i)
        plain[i] = reinterpret_cast<PyHeapTypeObject *>(tensor_type)->as_number.*operators[i].slot;
      plain_compare = tensor_type->tp_richcompare;
    }
    Object before = watcher ? Object(watcher) : Object::share(Py_None);
    watcher = on ? Object::share(hook).take() : nullptr;
    set_slots(tensor_type, on);
    watch_ops(watcher);
    return before.take();
  });
}
// _watch_methods(): from now on the hook is asked for a.__mul__(b) as well. Once only, after a hook was set: every
// change to a type empties Python's caches for it. In the dictionary, since Python would take setattr() for new
// operators.
PyObject *watch_methods(PyObject *, PyObject *) {
  return guarded([&]() -> PyObject * {
    for (PyMethodDef &m : methods)
      if (m.ml_name) {
        Object method(checked(PyDescr_NewMethod(tensor_type, &m)));
        if (PyDict_SetItemString(tensor_type->tp_dict, m.ml_name, method.get()) < 0) throw PythonError{};
      }
    PyType_Modified(tensor_type);
    Py_RETURN_NONE;
  });
}
// _unwatched(op, *args, **kwargs): the op itself.
PyObject *unwatched(PyObject *, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  if (n < 1) {
    PyErr_SetString(PyExc_TypeError, "_unwatched() needs an op");
    return nullptr;
  }
  PyObject *op = args[0];
  if (is_called(op))
    op = PyDict_GetItemString(originals, reinterpret_cast<PyMethodDescrObject *>(op)->d_method->ml_name);
  return call_unwatched(op, args + 1, n - 1, keywords);
}

PyMethodDef functions[] = {{"_record_plans", record_plans, METH_VARARGS, nullptr},
                           {"_watch", watch, METH_O, nullptr},
                           {"_watch_methods", watch_methods, METH_NOARGS, nullptr},
                           {"_unwatched", (PyCFunction)(void *)unwatched, METH_FASTCALL | METH_KEYWORDS, nullptr},
                           {}};

} // namespace

PyObject *without_frames(PyObject *result) {
  if (result) return result;
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (type && PyObject_HasAttrString(type, "kind")) {
    Py_CLEAR(traceback);
    PyException_SetTraceback(value, Py_None);
  }
  PyErr_Restore(type, value, traceback);
  return nullptr;
}

void init_explain(PyObject *module) {
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

} // namespace hadamard::python
