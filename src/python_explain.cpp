// What explain() and strict() ask of the core: the plans that a call makes, and to be asked before every op.
#include "contraction.h"
#include "python.h"

namespace hadamard::python {
namespace {

thread_local PyObject *plans = nullptr; // the list that is filled, held by record_plans
int recorders = 0;                      // threads that record

void note(const Contraction &p) {
  if (!plans) return;
  PyGILState_STATE held = PyGILState_Ensure();
  Object row(Py_BuildValue("{s:s,s:s,s:l,s:l,s:l,s:l,s:O,s:O,s:s,s:i,s:d,s:d}", "route", name_of(p.route()), "why",
                           p.reason(), "batch", p.batch(), "rows", p.rows(), "columns", p.columns(), "depth", p.depth(),
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

// _watch(hook): from now on every op calls hook(op, *args, **kwargs) in its place; None: as ever.
PyObject *watch(PyObject *, PyObject *hook) {
  watch_ops(hook == Py_None ? nullptr : hook);
  Py_RETURN_NONE;
}
// _unwatched(op, *args, **kwargs): the op itself.
PyObject *unwatched(PyObject *, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  if (n < 1) {
    PyErr_SetString(PyExc_TypeError, "_unwatched() needs an op");
    return nullptr;
  }
  return call_unwatched(args[0], args + 1, n - 1, keywords);
}

PyMethodDef functions[] = {{"_record_plans", record_plans, METH_VARARGS, nullptr},
                           {"_watch", watch, METH_O, nullptr},
                           {"_unwatched", (PyCFunction)(void *)unwatched, METH_FASTCALL | METH_KEYWORDS, nullptr},
                           {}};

} // namespace

void init_explain(PyObject *module) {
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

} // namespace hadamard::python
