// Steps of optimisers straight from their dicts: the options and parameters of a group, and the state of each
// parameter. What is not there, or not as usual, is left to the step in Python: these return False and have changed
// nothing.
#include "ops/optimizer.h"

#include "python.h"

namespace hadamard::python {
namespace {

struct Unusual {}; // the step in Python has to see to it

PyObject *interned(const char *name) { return checked(PyUnicode_InternFromString(name)); }

PyObject *entry(PyObject *dict, PyObject *name) { // borrowed
  PyObject *found = PyDict_GetItemWithError(dict, name);
  if (!found && PyErr_Occurred()) throw PythonError{};
  if (!found) throw Unusual{};
  return found;
}
double number(PyObject *o) {
  if (PyFloat_Check(o)) return PyFloat_AS_DOUBLE(o);
  Scalar s;
  if (is_tensor(o)) {
    if (unwrap(o).numel() != 1) throw Unusual{};
    s = item(unwrap(o));
  } else if (!as_number(o, s)) throw Unusual{};
  return s.re;
}
bool is_true(PyObject *o) {
  int yes = PyObject_IsTrue(o);
  if (yes < 0) throw PythonError{};
  return yes;
}
const Tensor &tensor(PyObject *o) {
  if (!is_tensor(o)) throw Unusual{};
  return unwrap(o);
}

// The parameters of a group that have gradients, and what the optimiser keeps of each.
struct Group {
  PyObject *options, *state;
  std::vector<PyObject *> owners; // borrowed
  Tensors params, grads;

  Group(PyObject *options, PyObject *state) : options(options), state(state) {
    static PyObject *const params_name = interned("params"), *const differentiable = interned("differentiable");
    if (!PyDict_Check(options) || !PyDict_Check(state) || is_true(entry(options, differentiable))) throw Unusual{};
    PyObject *list = entry(options, params_name);
    if (!PyList_Check(list)) throw Unusual{};
    Py_ssize_t n = PyList_GET_SIZE(list);
    owners.reserve(size_t(n)), params.reserve(size_t(n)), grads.reserve(size_t(n));
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject *owner = PyList_GET_ITEM(list, i);
      const Tensor &p = tensor(owner);
      if (!p->meta || !p->meta->grad) continue;
      owners.push_back(owner), params.push_back(p), grads.push_back(p->meta->grad);
    }
  }
  PyObject *option(PyObject *name) const { return entry(options, name); }
  PyObject *state_of(size_t i) const { // borrowed
    PyObject *kept = entry(state, owners[i]);
    if (!PyDict_Check(kept)) throw Unusual{};
    return kept;
  }
};

template <class F> PyObject *step(const char *name, PyObject *const *given, Py_ssize_t n, F run) {
  if (n != 2) return PyErr_Format(PyExc_TypeError, "%s() needs a group and the state", name);
  return guarded([&]() -> PyObject * {
    try {
      NoGrad off;
      Group group(given[0], given[1]);
      return PyBool_FromLong(group.params.empty() || run(group));
    } catch (const Unusual &) { Py_RETURN_FALSE; }
  });
}

// _step_sgd(group, state) -> whether it could
PyObject *sgd(PyObject *, PyObject *const *given, Py_ssize_t n) {
  static PyObject *const lr = interned("lr"), *const momentum = interned("momentum"),
                         *const dampening = interned("dampening"), *const decay = interned("weight_decay"),
                         *const nesterov = interned("nesterov"), *const maximize = interned("maximize"),
                         *const buffer = interned("momentum_buffer");
  return step("_step_sgd", given, n, [](Group &g) {
    double m = number(g.option(momentum));
    Tensors velocities;
    size_t fresh = 0;
    for (size_t i = 0; m != 0 && i < g.params.size(); ++i) {
      PyObject *kept = entry(g.state_of(i), buffer);
      fresh += kept == Py_None;
      velocities.push_back(kept == Py_None ? empty_like(g.grads[i]) : tensor(kept));
    }
    if (fresh && fresh != g.params.size()) throw Unusual{};
    if (!ops::sgd_step(g.params, g.grads, velocities, fresh, number(g.option(lr)), m, number(g.option(dampening)),
                       number(g.option(decay)), is_true(g.option(nesterov)), is_true(g.option(maximize))))
      return false;
    for (size_t i = 0; i < fresh; ++i)
      if (PyDict_SetItem(g.state_of(i), buffer, Object(wrap(velocities[i])).get()) < 0) throw PythonError{};
    return true;
  });
}

// _step_adam(group, state) -> whether it could
PyObject *adam(PyObject *, PyObject *const *given, Py_ssize_t n) {
  static PyObject *const lr = interned("lr"), *const betas = interned("betas"), *const eps = interned("eps"),
                         *const decay = interned("weight_decay"), *const amsgrad = interned("amsgrad"),
                         *const maximize = interned("maximize"), *const decoupled = interned("decoupled_weight_decay"),
                         *const counter = interned("step"), *const mean = interned("exp_avg"),
                         *const square = interned("exp_avg_sq"), *const most = interned("max_exp_avg_sq");
  return step("_step_adam", given, n, [](Group &g) {
    PyObject *both = g.option(betas);
    if (!PyTuple_Check(both) || PyTuple_GET_SIZE(both) != 2) throw Unusual{};
    bool keeps_most = is_true(g.option(amsgrad));
    Tensors means, squares, largest, steps;
    for (Tensors *l : {&means, &squares, &steps}) l->reserve(g.params.size());
    for (size_t i = 0; i < g.params.size(); ++i) {
      PyObject *kept = g.state_of(i);
      steps.push_back(tensor(entry(kept, counter)));
      means.push_back(tensor(entry(kept, mean))), squares.push_back(tensor(entry(kept, square)));
      if (keeps_most) largest.push_back(tensor(entry(kept, most)));
    }
    return ops::adam_step(g.params, g.grads, means, squares, largest, steps, number(g.option(lr)),
                          number(PyTuple_GET_ITEM(both, 0)), number(PyTuple_GET_ITEM(both, 1)), number(g.option(eps)),
                          number(g.option(decay)), is_true(g.option(maximize)), is_true(g.option(decoupled)));
  });
}

// _drop_gradients(tensors)
PyObject *drop_gradients(PyObject *, PyObject *o) {
  return guarded([&]() -> PyObject * {
    Object list(checked(PySequence_Fast(o, "expected a sequence of tensors")));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i) {
      PyObject *e = PySequence_Fast_GET_ITEM(list.get(), i);
      if (!is_tensor(e)) throw Error(Raises::type, std::string("expected a Tensor, got ") + Py_TYPE(e)->tp_name);
      const Tensor &t = unwrap(e);
      if (t->meta && t->meta->grad) t->meta->grad = Tensor();
    }
    Py_RETURN_NONE;
  });
}

PyMethodDef functions[] = {{"_step_sgd", (PyCFunction)(void *)sgd, METH_FASTCALL, nullptr},
                           {"_step_adam", (PyCFunction)(void *)adam, METH_FASTCALL, nullptr},
                           {"_drop_gradients", drop_gradients, METH_O, nullptr},
                           {}};

} // namespace

void init_optim(PyObject *module) {
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
}

} // namespace hadamard::python
