// The graph in Python: grad_fn objects, hooks, nodes whose formula is a Python function.
#include "python.h"

#include <cstring>
#include <map>
#include <set>

#include "call.h"
#include "engine.h"
#include "saved.h"

namespace hadamard::python {
namespace {

struct NodeObject {
  PyObject_HEAD Ref<Node> n;
};
PyTypeObject *node_type;
Node *node_of(PyObject *o) { return reinterpret_cast<NodeObject *>(o)->n.get(); }

// A callable that may be dropped by any thread.
struct Callable {
  PyObject *f;
  explicit Callable(PyObject *f) : f(f) { Py_INCREF(f); }
  Callable(const Callable &) = delete;
  ~Callable() {
    PyGILState_STATE s = PyGILState_Ensure();
    Py_DECREF(f);
    PyGILState_Release(s);
  }
};
struct WithLock {
  PyGILState_STATE s = PyGILState_Ensure();
  ~WithLock() { PyGILState_Release(s); }
};

Tensor expect_grad(PyObject *o) {
  if (o == Py_None) return {};
  if (!is_tensor(o))
    throw Error(Raises::type, text("expected Tensor or None as gradient, got %s", Py_TYPE(o)->tp_name));
  return unwrap(o);
}
template <class List> PyObject *tuple_of(const List &ts) {
  PyObject *r = checked(PyTuple_New(Py_ssize_t(ts.size())));
  for (size_t i = 0; i < ts.size(); ++i) PyTuple_SET_ITEM(r, Py_ssize_t(i), wrap(ts[i]));
  return r;
}
void read_grads(PyObject *o, TensorList &to) {
  if (o == Py_None) return;
  Object fast(PyTuple_Check(o) || PyList_Check(o) ? Object::share(o) : Object(PyTuple_Pack(1, o)));
  Py_ssize_t n = PySequence_Fast_GET_SIZE(fast.get());
  if (size_t(n) != to.size())
    throw Error(Raises::runtime,
                text("hook has returned an incorrect number of values (got %zd, but expected %zu)", n, to.size()));
  for (Py_ssize_t i = 0; i < n; ++i) to[size_t(i)] = expect_grad(PySequence_Fast_GET_ITEM(fast.get(), i));
}

int64_t next_hook = 1;

// ---- a formula in Python: autograd.Function
struct PythonNode : Node {
  std::string name_;
  std::shared_ptr<Callable> callback;
  std::vector<Saved> saved;
  bool had_saved = false, freed = false;
  const char *name() const override { return label ? label : name_.c_str(); }
  TensorList apply(const TensorList &grads) override {
    WithLock lock;
    if (freed) throw_released();
    Object args(tuple_of(grads)), self(node_object(this));
    Object r(checked(PyObject_CallFunctionObjArgs(callback->f, self.get(), args.get(), nullptr)));
    TensorList out(next.size());
    for (size_t i = 0; i < out.size(); ++i) out[i] = expect_grad(PyTuple_GET_ITEM(r.get(), Py_ssize_t(i)));
    return out;
  }
  void release() override {
    if (!had_saved) return;
    freed = true;
    for (auto &s : saved) s.clear();
  }
  bool released() const override { return freed; }
};

// ---- anomaly mode
std::shared_ptr<void> note_python_call() {
  WithLock lock;
  Object module(PyImport_ImportModule("hadamard.autograd._anomaly"));
  Object calls(module ? PyObject_CallMethod(module.get(), "note", nullptr) : nullptr);
  if (!calls) throw PythonError{};
  return std::make_shared<Callable>(calls.get());
}
void tell_python_of_anomaly(const Node &n) {
  WithLock lock;
  auto *calls = n.watchers ? static_cast<Callable *>(n.watchers->call.get()) : nullptr;
  Object module(checked(PyImport_ImportModule("hadamard.autograd._anomaly")));
  Object done(checked(PyObject_CallMethod(module.get(), "tell", "sO", n.name(), calls ? calls->f : Py_None)));
}

// ---- what nodes keep
// torch's names for it, in the order of ours; "" for what torch does not keep. Element-wise ops follow from their
// operands: a, b, c and the result.
const std::map<std::string, std::vector<std::string>, std::less<>> kept_names = {
    {"MmBackward0", {"self", "mat2"}},
    {"BmmBackward0", {"self", "mat2"}},
    {"MvBackward0", {"self", "vec"}},
    {"DotBackward0", {"self", "tensor"}},
    {"AddmmBackward0", {"mat1", "mat2"}},
    {"BaddbmmBackward0", {"batch1", "batch2"}},
    {"ConvolutionBackward0", {"input", "weight"}},
    {"SoftmaxBackward0", {"result"}},
    {"LogSoftmaxBackward0", {"result"}},
    {"LogsumexpBackward0", {"self", "result"}},
    {"PowBackward0", {"self"}},
    {"PowBackward1", {"self", "exponent", "", "result"}},
    {"PowBackward2", {"", "exponent", "", "result"}},
    {"ClampBackward1", {"self"}},
    {"SoftplusBackward0", {"self"}},
    {"EluBackward0", {"self"}},
    {"LeakyReluBackward0", {"self"}},
    {"HardtanhBackward0", {"self"}},
    {"LerpBackward0", {}},
    {"WhereBackward0", {"condition"}},
    {"MaskedSelectBackward0", {"mask"}},
    {"GatherBackward0", {"index"}},
    {"IndexSelectBackward0", {"index"}},
    {"EmbeddingBackward0", {"indices"}},
    {"ProdBackward0", {"self", "result"}},
    {"ProdBackward1", {"self", "result"}},
    {"NativeBatchNormBackward0", {"input", "weight", "result1", "result2"}},
    {"BinaryCrossEntropyBackward0", {"self", "target", "weight"}},
    {"LerpBackward1", {"self", "end", "weight"}},
    {"AddcmulBackward0", {"", "tensor1", "tensor2"}},
    {"AddcdivBackward0", {"", "tensor1", "tensor2"}},
};
std::string kept_name(const Node &n, size_t i) {
  if (!n.kept(i)) return "";
  auto known = kept_names.find(n.name());
  size_t at = i < 4 ? i : i - 4;
  if (known != kept_names.end()) return at < known->second.size() ? known->second[at] : "";
  static const char *const operands[] = {"self", "other", "", "result"};
  return i < 4 ? operands[i] : "";
}
PyObject *node_kept(PyObject *o, void *at) {
  return guarded([&]() -> PyObject * {
    Node *n = node_of(o);
    const Saved *s = n->kept(size_t(at));
    if (n->released()) throw_released();
    return wrap(s && s->defined() ? s->get(n) : Tensor());
  });
}
void add_kept(PyTypeObject *type, const Node &n) {
  static std::map<std::string, PyGetSetDef> attributes; // they live as long as the types
  for (size_t i = 0; i < 8; ++i) {
    std::string name = kept_name(n, i);
    if (name.empty()) continue;
    auto [at, fresh] = attributes.try_emplace("_saved_" + name + std::to_string(i));
    if (fresh) at->second = {strdup(("_saved_" + name).c_str()), node_kept, nullptr, nullptr, (void *)i};
    Object property(checked(PyDescr_NewGetSet(type, &at->second)));
    if (PyObject_SetAttrString(reinterpret_cast<PyObject *>(type), at->second.name, property.get()) < 0)
      throw PythonError{};
  }
}

// ---- grad_fn objects
void node_dealloc(PyObject *o) {
  auto *p = reinterpret_cast<NodeObject *>(o);
  PyTypeObject *type = Py_TYPE(o);
  if (p->n && p->n->python == o) p->n->python = nullptr;
  p->n.~Ref<Node>();
  type->tp_free(o);
  Py_DECREF(type);
}
PyObject *node_repr(PyObject *o) { return PyUnicode_FromFormat("<%s object at %p>", node_of(o)->name(), node_of(o)); }
PyObject *node_name(PyObject *o, PyObject *) {
  Node *n = node_of(o);
  return n->as_accumulate() ? PyUnicode_FromFormat("torch::autograd::%s", n->name()) : PyUnicode_FromString(n->name());
}
PyObject *node_next(PyObject *o, void *) {
  return guarded([&]() -> PyObject * {
    auto &next = node_of(o)->next;
    PyObject *r = checked(PyTuple_New(Py_ssize_t(next.size())));
    for (size_t i = 0; i < next.size(); ++i)
      PyTuple_SET_ITEM(r, Py_ssize_t(i), Py_BuildValue("(NI)", node_object(next[i].node.get()), next[i].input));
    return r;
  });
}
PyObject *node_variable(PyObject *o, void *) {
  return guarded([&]() -> PyObject * {
    Accumulate *a = node_of(o)->as_accumulate();
    if (!a) {
      PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute 'variable'", node_of(o)->name());
      return nullptr;
    }
    return wrap(a->variable);
  });
}
PyObject *node_saved(PyObject *o, PyObject *) {
  return guarded([&]() -> PyObject * {
    auto *n = dynamic_cast<PythonNode *>(node_of(o));
    if (!n) return PyTuple_New(0);
    if (n->freed) throw_released();
    TensorList ts;
    for (auto &s : n->saved) ts.push_back(s.get(n));
    return tuple_of(ts);
  });
}
PyObject *node_sequence(PyObject *o, PyObject *) { return PyLong_FromUnsignedLongLong(node_of(o)->sequence); }
PyObject *node_needs(PyObject *o, void *) {
  auto &next = node_of(o)->next;
  PyObject *r = PyTuple_New(Py_ssize_t(next.size()));
  for (size_t i = 0; i < next.size(); ++i) PyTuple_SET_ITEM(r, Py_ssize_t(i), PyBool_FromLong(bool(next[i].node)));
  return r;
}
PyObject *node_hook(PyObject *o, PyObject *f, bool before) {
  return guarded([&]() -> PyObject * {
    auto call = std::make_shared<Callable>(f);
    Hook h{next_hook++, [call, before](TensorList &grads, const TensorList &given) {
             WithLock lock;
             Object a(tuple_of(grads)), b(before ? nullptr : tuple_of(given));
             Object r(checked(PyObject_CallFunctionObjArgs(call->f, a.get(), before ? nullptr : b.get(), nullptr)));
             read_grads(r.get(), grads);
           }};
    auto &w = node_of(o)->watched();
    (before ? w.before : w.after).push_back(h);
    return PyLong_FromLongLong(h.id);
  });
}
PyObject *node_post_hook(PyObject *o, PyObject *f) { return node_hook(o, f, false); }
PyObject *node_pre_hook(PyObject *o, PyObject *f) { return node_hook(o, f, true); }
PyObject *node_remove(PyObject *o, PyObject *id) {
  int64_t i = PyLong_AsLongLong(id);
  auto &w = node_of(o)->watched();
  std::erase_if(w.before, [i](const Hook &h) { return h.id == i; });
  std::erase_if(w.after, [i](const Hook &h) { return h.id == i; });
  Py_RETURN_NONE;
}
PyObject *node_call(PyObject *o, PyObject *args, PyObject *) {
  return guarded([&]() -> PyObject * {
    TensorList grads;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) grads.push_back(expect_grad(PyTuple_GET_ITEM(args, i)));
    grads.resize(node_of(o)->outputs);
    std::vector<Saved> held; // a pass in another thread may release what this one reads
    for (size_t i = 0; i < 4; ++i)
      if (const Saved *s = node_of(o)->kept(i)) held.push_back(*s);
    TensorList r = node_of(o)->apply(grads);
    return r.size() == 1 ? wrap(r[0]) : tuple_of(r);
  });
}
PyGetSetDef node_attributes[] = {
    {"next_functions", node_next, nullptr, "Pairs (node, input) that the gradients go to.", nullptr},
    {"variable", node_variable, nullptr, "Of AccumulateGrad: the leaf.", nullptr},
    {"needs_input_grad", node_needs, nullptr, nullptr, nullptr},
    {}};
PyMethodDef node_methods[] = {{"name", node_name, METH_NOARGS, nullptr},
                              {"_saved", node_saved, METH_NOARGS, nullptr},
                              {"_sequence_nr", node_sequence, METH_NOARGS, nullptr},
                              {"_register_hook", node_post_hook, METH_O, nullptr},
                              {"_register_prehook", node_pre_hook, METH_O, nullptr},
                              {"_remove_hook", node_remove, METH_O, nullptr},
                              {}};
PyType_Slot node_slots[] = {{Py_tp_dealloc, (void *)node_dealloc}, {Py_tp_repr, (void *)node_repr},
                            {Py_tp_call, (void *)node_call},       {Py_tp_getset, node_attributes},
                            {Py_tp_methods, node_methods},         {}};
PyType_Spec node_spec = {"torch.autograd.graph.Node", sizeof(NodeObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                         node_slots};

// ---- functions of the module

Tensors tensors_of(PyObject *o, const char *otherwise = "expected a Tensor, got ") {
  Tensors r;
  Object fast(checked(PySequence_Fast(o, "expected a sequence of tensors")));
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i) {
    PyObject *e = PySequence_Fast_GET_ITEM(fast.get(), i);
    if (e == Py_None) r.emplace_back();
    else if (is_tensor(e)) r.push_back(unwrap(e));
    else throw Error(Raises::type, std::string(otherwise) + Py_TYPE(e)->tp_name);
  }
  return r;
}

// _run_backward(outputs, grads, inputs, keep_graph, create_graph, allow_unused, accumulate) -> tuple
PyObject *run(PyObject *, PyObject *args) {
  PyObject *outputs, *grads, *inputs;
  int keep, create, unused, accumulate;
  if (!PyArg_ParseTuple(args, "OOOpppp", &outputs, &grads, &inputs, &keep, &create, &unused, &accumulate))
    return nullptr;
  return guarded([&]() -> PyObject * {
    return tuple_of(run_backward(tensors_of(outputs),
                                 tensors_of(grads, "gradients can be either Tensors or None, but got "),
                                 tensors_of(inputs), {bool(keep), bool(create), bool(unused), bool(accumulate)}));
  });
}

// Tensor.backward: as usual, from a single element to all leaves, at once; else by the function in Python.
PyObject *backward_in_python; // what sees to arguments
bool backward_is_watched = false;
PyObject *backward(PyObject *self, PyObject *const *given, Py_ssize_t n, PyObject *keywords) {
  return guarded([&]() -> PyObject * {
    if (n || keywords || backward_is_watched) {
      std::vector<PyObject *> all{self};
      all.insert(all.end(), given, given + n + (keywords ? PyTuple_GET_SIZE(keywords) : 0));
      return PyObject_Vectorcall(backward_in_python, all.data(), size_t(n + 1), keywords);
    }
    run_backward({&unwrap(self), 1}, {}, {}, {});
    Py_RETURN_NONE;
  });
}
PyMethodDef backward_method = {
    "backward", (PyCFunction)(void *)backward, METH_FASTCALL | METH_KEYWORDS,
    "backward($self, /, gradient=None, retain_graph=None, create_graph=False, inputs=None)\n--\n\n"
    "Adds the gradient of this tensor to .grad of every leaf it came from.\n\n"
    "gradient: of this tensor's shape; may be left out for a single element. retain_graph keeps what was saved for\n"
    "another run; create_graph records the gradients themselves; inputs limits the leaves.\n\n"
    ">>> import hadamard as H\n"
    ">>> x = H.tensor([1.0, 2.0], requires_grad=True)\n"
    ">>> (x * x).sum().backward()\n"
    ">>> x.grad\n"
    "tensor([2., 4.])\n"};
// _set_backward(function): makes the method of Tensor, which hands arguments on to `function`
PyObject *set_backward(PyObject *, PyObject *function) {
  Py_XSETREF(backward_in_python, Py_NewRef(function));
  Object method(PyDescr_NewMethod(tensor_type, &backward_method));
  if (!method || PyObject_SetAttrString(reinterpret_cast<PyObject *>(tensor_type), "backward", method.get()) < 0)
    return nullptr;
  Py_RETURN_NONE;
}
// _watch_backward(on): every call of the method goes to the function
PyObject *watch_backward(PyObject *, PyObject *on) {
  backward_is_watched = PyObject_IsTrue(on) > 0;
  Py_RETURN_NONE;
}

// _gradients(tensors) -> those that have a gradient, and their gradients
PyObject *gradients(PyObject *, PyObject *o) {
  return guarded([&]() -> PyObject * {
    Object owners(checked(PyList_New(0))), grads(checked(PyList_New(0)));
    Object fast(checked(PySequence_Fast(o, "expected a sequence of tensors")));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i) {
      PyObject *e = PySequence_Fast_GET_ITEM(fast.get(), i);
      if (!is_tensor(e)) throw Error(Raises::type, text("expected a Tensor, got %s", Py_TYPE(e)->tp_name));
      const Tensor &t = unwrap(e);
      if (!t->meta || !t->meta->grad) continue;
      if (PyList_Append(owners.get(), e) < 0 || PyList_Append(grads.get(), Object(wrap(t->meta->grad)).get()) < 0)
        throw PythonError{};
    }
    return Py_BuildValue("(OO)", owners.get(), grads.get());
  });
}

// _record(name, callback, inputs, outputs, saved): outputs came from inputs; callback(node, grads) -> tuple of
// gradients
PyObject *record_python(PyObject *, PyObject *args) {
  const char *name;
  PyObject *callback, *inputs, *outputs, *saved;
  if (!PyArg_ParseTuple(args, "sOOOO", &name, &callback, &inputs, &outputs, &saved)) return nullptr;
  return guarded([&]() -> PyObject * {
    auto *n = new PythonNode;
    Ref<Node> holder = Ref<Node>::adopt(n);
    n->name_ = name;
    n->callback = std::make_shared<Callable>(callback);
    Tensors in = tensors_of(inputs), out = tensors_of(outputs), kept = tensors_of(saved);
    for (auto &t : in) n->next.push_back(Tensor_requires_grad(t) ? gradient_edge(t) : Edge{});
    n->outputs = uint32_t(out.size());
    for (size_t i = 0; i < out.size(); ++i) {
      if (!out[i]) continue;
      HD_CHECK(differentiable(out[i]), runtime,
               "only floating and complex outputs of a Function can require gradients");
      bool written = false; // mark_dirty: an input that the function wrote to
      for (auto &t : in) written |= t && t.is(out[i]);
      if (written) rebase_history(out[i], holder);
      if (!written || !out[i]->base) {
        out[i]->fn = holder;
        out[i]->output = uint32_t(i);
      }
    }
    for (auto &t : kept) {
      int is_output = -1;
      for (size_t i = 0; i < out.size(); ++i)
        if (t && out[i] && t.is(out[i])) is_output = int(i);
      n->saved.emplace_back(t, is_output >= 0, uint32_t(is_output >= 0 ? is_output : 0));
    }
    n->had_saved = !kept.empty();
    Py_RETURN_NONE;
  });
}

// _named(y, name) -> y, whose fresh grad_fn goes by `name` from now on
PyObject *name_node(PyObject *, PyObject *args) {
  PyObject *y;
  const char *name;
  if (!PyArg_ParseTuple(args, "O!s", tensor_type, &y, &name)) return nullptr;
  if (unwrap(y)->fn) {
    static std::set<std::string> names; // under Python's lock
    named(unwrap(y), names.insert(name).first->c_str());
  }
  return Py_NewRef(y);
}

// ---- tensors saved in another form: saved_tensors_hooks
// What stands for the tensor is an empty one, whose storage belongs to the pair (what pack returned, unpack).
thread_local PyObject *saving; // (pack, unpack), or nullptr

void drop_packed(void *pair) {
  WithLock lock;
  Py_DECREF(static_cast<PyObject *>(pair));
}
bool is_packed(const Tensor &kept) { return kept->storage->free_owner == drop_packed; }
Tensor pack_saved(const Tensor &t) {
  WithLock lock;
  NoGrad off;
  Object hooks(Object::share(saving)), arg(wrap(t));
  uint32_t version = t.version();
  Object form(checked(PyObject_CallFunctionObjArgs(PyTuple_GET_ITEM(hooks.get(), 0), arg.get(), nullptr)));
  HD_CHECK(t.version() == version, runtime,
           "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot be "
           "modified by in-place operations as this can lead to unexpected side-effects. Please open an issue if you "
           "need to perform in-place operations on the input to a pack hook.");
  PyObject *pair = checked(PyTuple_Pack(2, form.get(), PyTuple_GET_ITEM(hooks.get(), 1)));
  Tensor kept = empty({0}, t.dtype(), t.device());
  kept->storage = borrow_storage(nullptr, 0, pair, drop_packed);
  return kept;
}
Tensor unpack_saved(const Tensor &kept) {
  WithLock lock;
  Object pair(Object::share(static_cast<PyObject *>(kept->storage->owner)));
  Object t(
      checked(PyObject_CallFunctionObjArgs(PyTuple_GET_ITEM(pair.get(), 1), PyTuple_GET_ITEM(pair.get(), 0), nullptr)));
  if (!is_tensor(t.get()))
    throw Error(Raises::type,
                text("Output of saved tensor unpack_hook expected to be a Tensor but got result of type %s",
                     Py_TYPE(t.get())->tp_name));
  return unwrap(t.get());
}

// _set_saved_hooks((pack, unpack) or None) -> what was in force in this thread
PyObject *set_saved_hooks(PyObject *, PyObject *o) {
  PyObject *before = saving ? saving : Py_NewRef(Py_None);
  saving = o == Py_None ? nullptr : Py_NewRef(o);
  modes.packing = saving;
  return before;
}

// _gradient_edge(tensor) -> (node, which of its gradients): grad_fn, or what adds to a leaf's .grad
PyObject *edge_of(PyObject *, PyObject *o) {
  return guarded([&]() -> PyObject * {
    if (!is_tensor(o)) throw Error(Raises::type, text("expected a Tensor, got %s", Py_TYPE(o)->tp_name));
    Edge e = gradient_edge(unwrap(o));
    return Py_BuildValue("(NI)", checked(node_object(e.node.get())), e.input);
  });
}
// _tensor_at(node, which, like) -> a tensor of that place in the graph, for passes that start or end there
PyObject *tensor_at(PyObject *, PyObject *args) {
  PyObject *node, *like;
  unsigned which;
  if (!PyArg_ParseTuple(args, "O!IO", node_type, &node, &which, &like)) return nullptr;
  return guarded([&]() -> PyObject * {
    HD_CHECK(which < node_of(node)->outputs, value, "%s receives %u gradients: there is no number %u",
             node_of(node)->name(), unsigned(node_of(node)->outputs), which);
    if (Accumulate *a = node_of(node)->as_accumulate()) return wrap(a->variable);
    Tensor t = is_tensor(like) ? empty_like(unwrap(like), unwrap(like).dtype()) : empty({}, default_dtype());
    t->fn = Ref<Node>(node_of(node));
    t->output = which;
    return wrap(t);
  });
}
PyObject *task_of(PyObject *, PyObject *) { return PyLong_FromUnsignedLongLong(current_task()); }
PyObject *node_will_run(PyObject *, PyObject *o) {
  if (!PyObject_TypeCheck(o, node_type)) return PyErr_Format(PyExc_TypeError, "expected a Node");
  return PyBool_FromLong(will_run(*node_of(o)));
}

// _add_hook(tensor, f, after) -> id. Before: f(grad) may return another; after: f(tensor) once .grad is added up.
PyObject *add_hook(PyObject *, PyObject *args) {
  PyObject *o, *f;
  int after;
  if (!PyArg_ParseTuple(args, "O!Op", tensor_type, &o, &f, &after)) return nullptr;
  return guarded([&]() -> PyObject * {
    const Tensor &t = unwrap(o);
    HD_CHECK(t.requires_grad(), runtime, "cannot register a hook on a tensor that doesn't require gradient");
    Node *fn = grad_fn(t);
    HD_CHECK(!after || !fn, runtime, "post accumulate grad hooks cannot be registered on non-leaf tensors");
    auto call = std::make_shared<Callable>(f);
    uint32_t at = t->output;
    bool leaf = !fn;
    Hook h{next_hook++, [call, at, leaf, after](TensorList &grads, const TensorList &) {
             WithLock lock;
             Tensor &g = grads[leaf ? 0 : at];
             if (!g) return;
             Object arg(wrap(g));
             Object r(checked(PyObject_CallFunctionObjArgs(call->f, arg.get(), nullptr)));
             if (!after && r.get() != Py_None) g = expect_grad(r.get());
           }};
    if (fn) fn->watched().before.push_back(h);
    else (after ? meta(t).post_accumulate_hooks : meta(t).hooks).push_back(h);
    return PyLong_FromLongLong(h.id);
  });
}
PyObject *remove_hook(PyObject *, PyObject *args) {
  PyObject *o;
  long long id;
  if (!PyArg_ParseTuple(args, "O!L", tensor_type, &o, &id)) return nullptr;
  const Tensor &t = unwrap(o);
  auto is = [id](const Hook &h) { return h.id == id; };
  if (t->meta) {
    std::erase_if(t->meta->hooks, is);
    std::erase_if(t->meta->post_accumulate_hooks, is);
  }
  if (t->fn) std::erase_if(t->fn->watched().before, is);
  Py_RETURN_NONE;
}
PyMethodDef functions[] = {
    {"_run_backward", run, METH_VARARGS, nullptr},          {"_set_backward", set_backward, METH_O, nullptr},
    {"_watch_backward", watch_backward, METH_O, nullptr},   {"_gradients", gradients, METH_O, nullptr},
    {"_record", record_python, METH_VARARGS, nullptr},      {"_named", name_node, METH_VARARGS, nullptr},
    {"_gradient_edge", edge_of, METH_O, nullptr},           {"_tensor_at", tensor_at, METH_VARARGS, nullptr},
    {"_current_task", task_of, METH_NOARGS, nullptr},       {"_will_run", node_will_run, METH_O, nullptr},
    {"_add_hook", add_hook, METH_VARARGS, nullptr},         {"_remove_hook", remove_hook, METH_VARARGS, nullptr},
    {"_set_saved_hooks", set_saved_hooks, METH_O, nullptr}, {}};
} // namespace

PyObject *node_object(Node *n) {
  if (!n) Py_RETURN_NONE;
  if (n->python) {
    auto *o = static_cast<PyObject *>(n->python);
    Py_INCREF(o);
    return o;
  }
  // One class per op, so that type(y.grad_fn).__name__ reads as torch's.
  static std::map<std::string, PyTypeObject *> types;
  PyTypeObject *&type = types[n->name()];
  if (!type) {
    Object made(PyObject_CallFunction((PyObject *)&PyType_Type, "s(O){s:()}", n->name(), node_type, "__slots__"));
    add_kept(reinterpret_cast<PyTypeObject *>(checked(made.get())), *n);
    type = reinterpret_cast<PyTypeObject *>(made.take());
  }
  auto *o = reinterpret_cast<NodeObject *>(checked(type->tp_alloc(type, 0)));
  new (&o->n) Ref<Node>(n);
  n->python = o;
  return reinterpret_cast<PyObject *>(o);
}

void init_graph(PyObject *module) {
  node_type = reinterpret_cast<PyTypeObject *>(checked(PyType_FromSpec(&node_spec)));
  PyModule_AddObjectRef(module, "Node", reinterpret_cast<PyObject *>(node_type));
  if (PyModule_AddFunctions(module, functions) < 0) throw PythonError{};
  note_call = note_python_call;
  tell_of_anomaly = tell_python_of_anomaly;
  saved_hooks = {pack_saved, unpack_saved, is_packed};
}

} // namespace hadamard::python
