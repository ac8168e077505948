// From a Python call to an op: signatures are parsed once, arguments matched against them, overloads tried in order.
#include "python.h"

#include <cstring>
#include <map>
#include <memory>
#include <structmember.h>

#include "bind_random.h"
#include "ops/all.h"

namespace hadamard {
using namespace python;

// ---- one argument

namespace {
PyObject *object(void *o) { return static_cast<PyObject *>(o); }
} // namespace

bool read(void *given, bool, const Tensor *&to) {
  PyObject *o = object(given);
  if (!is_tensor(o)) return false;
  to = &unwrap(o);
  return true;
}
bool read(void *o, bool, Operand &to) { return as_operand(object(o), to.t); }
bool read(void *given, bool, Tensors &to) {
  PyObject *o = object(given);
  if (!PyTuple_Check(o) && !PyList_Check(o)) return false;
  to.reserve(size_t(PySequence_Fast_GET_SIZE(o)));
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
    PyObject *e = PySequence_Fast_GET_ITEM(o, i);
    if (is_tensor(e)) to.push_back(unwrap(e));
    else if (e == Py_None) to.emplace_back();
    else return false;
  }
  return true;
}
bool read(void *o, bool only, int64_t &to) { return as_integer(object(o), to, only); }
bool read(void *given, bool only, double &to) {
  PyObject *o = object(given);
  if (PyFloat_CheckExact(o)) {
    to = PyFloat_AS_DOUBLE(o);
    return true;
  }
  Scalar s;
  if (is_tensor(o) && unwrap(o).requires_grad()) return false;
  if (!read(given, only, s) || s.kind == Scalar::complex_) return false;
  to = s.re;
  return true;
}
bool read(void *given, bool, bool &to) {
  PyObject *o = object(given);
  if (o == Py_True || o == Py_False) {
    to = o == Py_True;
    return true;
  }
  Scalar s;
  if (is_tensor(o) && unwrap(o).dim() == 0) s = item(unwrap(o));
  else if (PyLong_Check(o) || !as_number(o, s)) return false;
  if (s.kind != Scalar::boolean) return false;
  to = s.i != 0;
  return true;
}
bool read(void *given, bool, Scalar &to) {
  PyObject *o = object(given);
  if (!is_tensor(o)) return as_number(o, to);
  if (unwrap(o).dim()) return false;
  to = item(unwrap(o));
  return true;
}
bool read(void *o, bool, Dims &to) { return as_dims(object(o), to); }
bool read(void *o, bool, DType &to) { return as_dtype(object(o), to); }
bool read(void *o, bool, Device &to) { return as_device(object(o), to); }
bool read(void *given, bool, std::string &to) {
  PyObject *o = object(given);
  Py_ssize_t n;
  const char *p = PyUnicode_Check(o) ? PyUnicode_AsUTF8AndSize(o, &n) : nullptr;
  if (p) to.assign(p, size_t(n));
  else PyErr_Clear();
  return p;
}
bool read(void *o, bool, Generator *&to) {
  to = generator_from(object(o));
  return to;
}

bool read(void *given, bool, Format &to) { return as_format(object(given), to); }

namespace python {
namespace {

struct Parameter {
  std::string name;
  PyObject *key; // interned
  Kind kind;
  bool optional = false, has_default = false, keyword_only = false;
  bool may_be_none = false; // None stands for the default
  Value otherwise;
};
enum class Spread : uint8_t { none, sizes, tensors }; // x.view(2, 3); broadcast_tensors(a, b)
struct Signature {
  const OpDef *def;
  std::vector<Parameter> params;
  std::vector<Argument> defaults; // of the parameters
  uint32_t required = 0;          // bits: those without one
  int positional = 0;
  Spread spread = Spread::none; // what positional arguments may stand for as one list
  bool lists = false;           // takes a list of tensors that has no gaps
  bool generic_out = false;     // out= is honoured here, not by the op
  int out = -1;
  std::vector<std::string> results;
  PyObject *result_type = nullptr;
};
struct Group { // one name: its overloads
  std::string name;
  std::vector<Signature> overloads;
  bool inplace_by_assign = false;
  Autocast rule = Autocast::none;
};

const char *kind_text(const Parameter &p) {
  switch (p.kind) {
  case Kind::tensor: return "Tensor";
  case Kind::operand: return p.name.ends_with("value") ? "Number" : "Tensor";
  case Kind::tensors: return "tuple of Tensors";
  case Kind::integer: return "int";
  case Kind::floating: return "float";
  case Kind::boolean: return "bool";
  case Kind::scalar: return "Number";
  case Kind::dims: return "tuple of ints";
  case Kind::dtype: return "torch.dtype";
  case Kind::device: return "torch.device";
  case Kind::string: return "str";
  case Kind::generator: return "Generator";
  case Kind::format: return "torch.memory_format";
  default: return "object";
  }
}

// ---- signatures from their text

std::string strip(const std::string &s) {
  size_t a = s.find_first_not_of(' '), b = s.find_last_not_of(' ');
  return a == std::string::npos ? "" : s.substr(a, b - a + 1);
}
Value default_value(const std::string &s, Kind kind) {
  if (s == "None") return {};
  if (kind == Kind::ignored) return {};
  if (s == "True" || s == "False") {
    if (kind == Kind::scalar) return Scalar(s == "True");
    return s == "True";
  }
  if (s == "()" || s == "[]") return Dims();
  if (s[0] == '\'' || s[0] == '"') return s.substr(1, s.size() - 2);
  bool fraction = s.find_first_of(".einf") != std::string::npos;
  switch (kind) {
  case Kind::floating: return std::stod(s);
  case Kind::scalar: return fraction ? Scalar(std::stod(s)) : Scalar(int64_t(std::stoll(s)));
  case Kind::operand: return number(fraction ? Scalar(std::stod(s)) : Scalar(int64_t(std::stoll(s))));
  case Kind::dims: return Dims{std::stoll(s)};
  default: return int64_t(std::stoll(s));
  }
}
Signature parse(const OpDef &def) {
  Signature r;
  r.def = &def;
  std::string s = def.signature;
  size_t arrow = s.find("->");
  if (arrow != std::string::npos) {
    std::string names = strip(s.substr(arrow + 2));
    names = names.substr(1, names.size() - 2);
    for (size_t at = 0; at < names.size();) {
      size_t end = std::min(names.find(',', at), names.size());
      r.results.push_back(strip(names.substr(at, end - at)));
      at = end + 1;
    }
    s = s.substr(0, arrow);
  }
  bool keyword_only = false;
  int depth = 0;
  std::vector<std::string> parts(1);
  for (char c : s) {
    depth += (c == '(' || c == '[') - (c == ')' || c == ']');
    if (c == ',' && depth == 0) parts.emplace_back();
    else parts.back() += c;
  }
  for (auto &part : parts) {
    std::string p = strip(part);
    if (p.empty()) continue;
    if (p == "*") {
      keyword_only = true;
      continue;
    }
    Parameter q;
    size_t equals = p.find('=');
    q.name = strip(p.substr(0, equals));
    q.key = PyUnicode_InternFromString(q.name.c_str());
    q.keyword_only = keyword_only;
    int i = int(r.params.size());
    if (q.name == "out") {
      r.out = i;
      r.generic_out = i >= def.count;
      q.kind = def.returns_nothing ? Kind::ignored : Kind::tensor;
      if (!r.results.empty()) q.kind = Kind::tensors;
      q.has_default = true;
    } else {
      if (i >= def.count)
        Py_FatalError(("signature of " + std::string(def.name) + " names too many parameters").c_str());
      q.kind = def.params[i].kind;
      q.optional = def.params[i].optional;
      if (equals != std::string::npos) {
        q.has_default = true;
        q.otherwise = default_value(strip(p.substr(equals + 1)), q.kind);
        q.optional |= !q.otherwise.index() && q.kind == Kind::tensor;
      }
    }
    q.may_be_none = q.optional || q.kind == Kind::ignored || q.kind == Kind::generator || q.name == "out";
    r.lists |= q.kind == Kind::tensors && q.name != "indices"; // only a list of indices may have gaps
    if (!q.has_default) r.required |= 1u << i;
    if (!keyword_only) r.positional = i + 1;
    r.params.push_back(q);
  }
  for (auto &p : r.params) r.defaults.push_back({nullptr, &p.otherwise});
  if (r.positional && r.params[size_t(r.positional - 1)].kind == Kind::dims) r.spread = Spread::sizes;
  if (r.positional == 1 && r.params[0].kind == Kind::tensors) r.spread = Spread::tensors;
  if (int(r.params.size()) - (r.generic_out ? 1 : 0) != def.count)
    Py_FatalError(("signature of " + std::string(def.name) + " names too few parameters").c_str());
  return r;
}

// ---- one argument

const Value no_value;
template <class T> bool reads(PyObject *o, bool only) {
  T to{};
  return read(o, only, to);
}

// ---- matching a call

constexpr int max_args = 24;

bool has_gaps(PyObject *o) {
  if (PyTuple_Check(o) || PyList_Check(o))
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i)
      if (PySequence_Fast_GET_ITEM(o, i) == Py_None) return true;
  return false;
}

bool same_word(PyObject *a, PyObject *b) { return a == b || PyUnicode_Compare(a, b) == 0; }

// Puts each argument of the call at its parameter; `spread` receives arguments that one parameter takes together.
bool match(const Signature &s, PyObject *const *args, Py_ssize_t n, PyObject *keywords, Argument *given,
           Value &spread) {
  const int count = int(s.params.size());
  for (int i = 0; i < count; ++i) given[i] = s.defaults[size_t(i)];
  auto place = [&](int i, PyObject *o) {
    given[i] = o == Py_None && s.params[size_t(i)].may_be_none ? Argument{nullptr, &no_value} : Argument{o, nullptr};
  };
  int filled = int(n);
  const int last = s.positional - 1;
  if (s.spread == Spread::tensors && n > 0 && is_tensor(args[0])) {
    Tensors all;
    for (Py_ssize_t i = 0; i < n; ++i) {
      if (!is_tensor(args[i])) return false;
      all.push_back(unwrap(args[i]));
    }
    spread = std::move(all);
    given[0] = {nullptr, &spread};
    filled = 1;
  } else if (s.spread == Spread::sizes && n > last && (n > s.positional || PyLong_Check(args[last]))) {
    Dims &rest = spread.emplace<Dims>();
    for (Py_ssize_t i = last; i < n; ++i) {
      int64_t k;
      if (!as_integer(args[i], k, true)) return false;
      rest.push_back(k);
    }
    given[last] = {nullptr, &spread};
    filled = last + 1;
    for (int i = 0; i < last; ++i) place(i, args[i]);
  } else {
    if (n > s.positional) return false;
    for (int i = 0; i < filled; ++i) place(i, args[i]);
  }
  uint32_t there = (1u << filled) - 1;
  if (keywords) {
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(keywords); ++k) {
      PyObject *word = PyTuple_GET_ITEM(keywords, k);
      int at = -1;
      for (int i = 0; i < count && at < 0; ++i)
        if (s.params[size_t(i)].key == word) at = i;
      for (int i = 0; i < count && at < 0; ++i) {
        const std::string &name = s.params[size_t(i)].name;
        if (same_word(s.params[size_t(i)].key, word) ||
            (name == "dim" && PyUnicode_CompareWithASCIIString(word, "axis") == 0) ||
            (name == "keepdim" && PyUnicode_CompareWithASCIIString(word, "keepdims") == 0) ||
            (i == 0 && name == "input" && PyUnicode_CompareWithASCIIString(word, "self") == 0))
          at = i;
      }
      if (at < 0 || there >> at & 1) return false;
      there |= 1u << at;
      place(at, args[n + k]);
    }
  }
  if (s.required & ~there) return false;
  for (int i = 0; s.lists && i < count; ++i) {
    auto *o = static_cast<PyObject *>(given[i].given);
    if (o && s.params[size_t(i)].kind == Kind::tensors && s.params[size_t(i)].name != "indices" && has_gaps(o))
      return false;
  }
  return true;
}

std::string signature_text(const Signature &s, bool is_method) {
  std::string r = "(";
  bool star = false, first = true;
  for (size_t i = is_method ? 1 : 0; i < s.params.size(); ++i) {
    auto &p = s.params[i];
    if (p.keyword_only && !star) {
      r += first ? "*" : ", *";
      first = false;
      star = true;
    }
    r += (first ? "" : ", ") + std::string(kind_text(p)) + " " + p.name;
    first = false;
    if (p.has_default) {
      std::string d = "None";
      if (auto *b = std::get_if<bool>(&p.otherwise)) d = *b ? "True" : "False";
      else if (auto *n = std::get_if<int64_t>(&p.otherwise)) d = std::to_string(*n);
      else if (std::get_if<Scalar>(&p.otherwise) || std::get_if<double>(&p.otherwise)) d = "1";
      r += " = " + d;
    }
  }
  return r + ")";
}

// What is wrong with a call that fits no overload, in the words of errors/arguments.py.
[[noreturn]] void no_match(const Group &g, bool is_method, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  Object texts(checked(PyList_New(0))), positional(checked(PyList_New(0))), words(checked(PyDict_New()));
  for (auto &s : g.overloads)
    if (PyList_Append(texts.get(), Object(PyUnicode_FromString(signature_text(s, is_method).c_str())).get()) < 0)
      throw PythonError{};
  for (Py_ssize_t i = is_method ? 1 : 0; i < n; ++i)
    if (PyList_Append(positional.get(), args[i]) < 0) throw PythonError{};
  for (Py_ssize_t k = 0; keywords && k < PyTuple_GET_SIZE(keywords); ++k)
    if (PyDict_SetItem(words.get(), PyTuple_GET_ITEM(keywords, k), args[n + k]) < 0) throw PythonError{};
  Object module(checked(PyImport_ImportModule("hadamard.errors.arguments")));
  Object line(checked(PyObject_CallMethod(module.get(), "line", "sOOOO", g.name.c_str(), is_method ? Py_True : Py_False,
                                          texts.get(), positional.get(), words.get())));
  const char *text = PyUnicode_AsUTF8(line.get());
  if (!text) throw PythonError{};
  throw Error(Raises::type, text, "arguments").in(g.name.c_str());
}

PyObject *named_tuple(Signature &s, const Tensors &ts) {
  static std::map<std::string, PyObject *> types; // a function and a method have one class of results
  if (!s.result_type)
    if (auto made = types.find(s.def->name); made != types.end()) s.result_type = made->second;
  if (!s.result_type) {
    static std::vector<std::unique_ptr<std::vector<PyStructSequence_Field>>> kept;
    kept.push_back(std::make_unique<std::vector<PyStructSequence_Field>>());
    for (auto &n : s.results) kept.back()->push_back({strdup(n.c_str()), nullptr});
    kept.back()->push_back({nullptr, nullptr});
    std::string name = std::string("torch.return_types.") + s.def->name;
    PyStructSequence_Desc desc{strdup(name.c_str()), nullptr, kept.back()->data(), int(s.results.size())};
    Object type(checked(reinterpret_cast<PyObject *>(PyStructSequence_NewType(&desc))));
    // An import looks at signals first: it may be here that ctrl-C is noticed.
    Object module(checked(PyImport_ImportModule("hadamard._tensor_str")));
    Object repr(checked(PyObject_GetAttrString(module.get(), "named_tuple_repr")));
    if (PyObject_SetAttrString(type.get(), "__repr__", repr.get()) < 0) throw PythonError{};
    Object reduce(checked(PyObject_GetAttrString(module.get(), "named_tuple_reduce")));
    if (PyObject_SetAttrString(type.get(), "__reduce__", reduce.get()) < 0) throw PythonError{};
    s.result_type = types[s.def->name] = type.take();
  }
  PyObject *r = checked(PyStructSequence_New(reinterpret_cast<PyTypeObject *>(s.result_type)));
  for (size_t i = 0; i < ts.size(); ++i) PyStructSequence_SET_ITEM(r, Py_ssize_t(i), wrap(ts[i]));
  return r;
}

// The call with its tensors cast as autocast has it.
[[gnu::noinline]] bool invoke_autocast(Autocast rule, const Signature &s, Argument *given, bool only, Value &y) {
  std::vector<Value> cast(size_t(s.def->count));
  for (size_t i = 0; i < cast.size(); ++i) {
    auto *o = static_cast<PyObject *>(given[i].given);
    if (!o || s.params[i].kind > Kind::tensors) continue;
    Tensors list;
    if (is_tensor(o)) cast[i] = unwrap(o);
    else if (s.params[i].kind == Kind::tensors && read(o, only, list)) cast[i] = list;
    else continue;
    given[i] = {nullptr, &cast[i]};
  }
  autocast(rule, cast.data(), s.def->count);
  return s.def->invoke(given, only, y);
}

bool asks_for_gradient(PyObject *o) {
  if (!o) return false;
  if (is_tensor(o)) return unwrap(o).requires_grad();
  if (!PyTuple_Check(o) && !PyList_Check(o)) return false;
  bool any = false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i)
    if (PyObject *e = PySequence_Fast_GET_ITEM(o, i); is_tensor(e)) any |= unwrap(e).requires_grad();
  return any;
}

PyObject *call(Group &g, bool is_method, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  bool only = g.overloads.size() == 1;
  for (auto &s : g.overloads) {
    Argument given[max_args];
    Value spread, y;
    if (!match(s, args, n, keywords, given, spread)) continue;
    if (g.inplace_by_assign) {
      auto *self = static_cast<PyObject *>(given[0].given);
      if (!self || !is_tensor(self)) continue;
      Tensor to = unwrap(self);
      Object copy; // what the derivative reads must not be what is written to
      if (grad_enabled() && to.requires_grad()) {
        copy = Object(wrap(hadamard::clone(to)));
        given[0].given = copy.get();
      }
      bool fitting = s.def->invoke(given, only, y);
      given[0].given = self;
      if (!fitting) continue;
      assign(to, std::get<Tensor>(y));
      Py_INCREF(self);
      return self;
    }
    PyObject *out = s.generic_out ? static_cast<PyObject *>(given[s.out].given) : nullptr;
    if (out) {
      Kind kind = s.params[size_t(s.out)].kind;
      if (kind == Kind::tensors ? !reads<Tensors>(out, only) : kind == Kind::tensor && !is_tensor(out)) continue;
      bool any = false;
      for (int i = 0; i < s.def->count; ++i) any |= asks_for_gradient(static_cast<PyObject *>(given[i].given));
      if (is_tensor(out)) check_out(g.name.c_str(), unwrap(out), any || unwrap(out).requires_grad());
    }
    bool lower = g.rule != Autocast::none && !out && autocasting();
    if (!(lower ? invoke_autocast(g.rule, s, given, only, y) : s.def->invoke(given, only, y))) continue;
    if (out && is_tensor(out)) return wrap(write_out(g.name.c_str(), unwrap(out), std::get<Tensor>(y)));
    if (out) {
      Tensors to;
      read(out, only, to);
      auto &from = std::get<Tensors>(y);
      if (to.size() != from.size())
        throw Error(Raises::type,
                    text("%s(): expected %zu tensors in out=, got %zu", g.name.c_str(), from.size(), to.size()));
      for (size_t i = 0; i < from.size(); ++i) write_out(g.name.c_str(), to[i], from[i]);
      return named_tuple(s, to);
    }
    PyTypeObject *subclass = nullptr;
    for (Py_ssize_t i = 0, all = n + (keywords ? PyTuple_GET_SIZE(keywords) : 0); i < all && !subclass; ++i)
      subclass = subclass_of(args[i]);
    if (auto *t = std::get_if<Tensor>(&y)) return wrap_like(subclass, std::move(*t));
    if (s.def->returns_nothing && n && g.name.back() == '_') { // in place: self again
      Py_INCREF(args[0]);
      return args[0];
    }
    if (!s.results.empty()) return named_tuple(s, std::get<Tensors>(y));
    if (auto *ts = std::get_if<Tensors>(&y); ts && subclass) {
      Object r(checked(PyTuple_New(Py_ssize_t(ts->size()))));
      for (size_t i = 0; i < ts->size(); ++i) PyTuple_SET_ITEM(r.get(), Py_ssize_t(i), wrap_like(subclass, (*ts)[i]));
      return r.take();
    }
    return pack(std::move(y));
  }
  no_match(g, is_method, args, n, keywords);
}

// ---- the Python objects

struct OpObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  Group *group;
  PyObject *doc;
};
PyTypeObject *function_type, *method_type;

// The tensors of a call that failed, under the names of the signature.
void call_failed(const Group &g, PyObject *const *args, Py_ssize_t n, PyObject *keywords) noexcept {
  auto &params = g.overloads[0].params;
  std::vector<std::pair<std::string, PyObject *>> given;
  for (Py_ssize_t i = 0; i < n; ++i)
    given.emplace_back(i < Py_ssize_t(params.size()) ? params[i].name : "argument " + std::to_string(i), args[i]);
  for (Py_ssize_t k = 0; keywords && k < PyTuple_GET_SIZE(keywords); ++k)
    given.emplace_back(PyUnicode_AsUTF8(PyTuple_GET_ITEM(keywords, k)), args[n + k]);
  set_error(g.name.c_str(), given);
}

PyObject *call_function(PyObject *o, PyObject *const *args, size_t nf, PyObject *keywords) {
  Group &g = *reinterpret_cast<OpObject *>(o)->group;
  Py_ssize_t n = PyVectorcall_NARGS(nf);
  try {
    return call(g, false, args, n, keywords);
  } catch (...) {
    call_failed(g, args, n, keywords);
    return nullptr;
  }
}
PyObject *call_method(PyObject *o, PyObject *const *args, size_t nf, PyObject *keywords) {
  Group &g = *reinterpret_cast<OpObject *>(o)->group;
  Py_ssize_t n = PyVectorcall_NARGS(nf);
  try {
    if (n < 1 || !is_tensor(args[0]))
      throw Error(Raises::type, "descriptor '" + g.name + "' for 'torch._C.TensorBase' objects doesn't apply to a '" +
                                    (n ? Py_TYPE(args[0])->tp_name : "nothing") + "' object");
    return call(g, true, args, n, keywords);
  } catch (...) {
    call_failed(g, args, n, keywords);
    return nullptr;
  }
}
PyObject *op_get(PyObject *self, PyObject *instance, PyObject *) {
  if (!instance || instance == Py_None) {
    Py_INCREF(self);
    return self;
  }
  return PyMethod_New(self, instance);
}
PyObject *op_repr(PyObject *o) {
  auto *p = reinterpret_cast<OpObject *>(o);
  if (Py_TYPE(o) == function_type)
    return PyUnicode_FromFormat("<built-in method %s of type object>", p->group->name.c_str());
  return PyUnicode_FromFormat("<method '%s' of 'torch._C.TensorBase' objects>", p->group->name.c_str());
}
PyObject *op_name(PyObject *o, void *) {
  return PyUnicode_FromString(reinterpret_cast<OpObject *>(o)->group->name.c_str());
}
PyObject *op_qualname(PyObject *o, void *) {
  const char *name = reinterpret_cast<OpObject *>(o)->group->name.c_str();
  return Py_TYPE(o) == function_type ? PyUnicode_FromString(name) : PyUnicode_FromFormat("Tensor.%s", name);
}
PyObject *op_module(PyObject *, void *) { return PyUnicode_FromString("hadamard._C"); }
PyObject *op_signature(PyObject *o, void *) { // the texts of the overloads, for stubs and docs
  Group &g = *reinterpret_cast<OpObject *>(o)->group;
  PyObject *r = PyTuple_New(Py_ssize_t(g.overloads.size()));
  for (size_t i = 0; i < g.overloads.size(); ++i) {
    auto &s = g.overloads[i];
    Object kinds(PyTuple_New(Py_ssize_t(s.params.size())));
    for (size_t k = 0; k < s.params.size(); ++k)
      PyTuple_SET_ITEM(kinds.get(), Py_ssize_t(k),
                       Py_BuildValue("(sOO)", kind_text(s.params[k]), s.params[k].optional ? Py_True : Py_False,
                                     s.params[k].has_default ? Py_True : Py_False));
    PyTuple_SET_ITEM(r, Py_ssize_t(i), Py_BuildValue("(sO)", s.def->signature, kinds.get()));
  }
  return r;
}
PyObject *op_doc(PyObject *o, void *) {
  auto *p = reinterpret_cast<OpObject *>(o);
  if (p->doc) {
    Py_INCREF(p->doc);
    return p->doc;
  }
  std::string s;
  for (auto &v : p->group->overloads) s += (s.empty() ? "" : "\n") + p->group->name + "(" + v.def->signature + ")";
  return PyUnicode_FromString(s.c_str());
}
int op_set_doc(PyObject *o, PyObject *doc, void *) {
  Py_XINCREF(doc);
  Py_XSETREF(reinterpret_cast<OpObject *>(o)->doc, doc);
  return 0;
}
PyObject *op_reduce(PyObject *o, PyObject *) {
  auto *p = reinterpret_cast<OpObject *>(o);
  if (Py_TYPE(o) == function_type) return PyUnicode_FromString(p->group->name.c_str());
  Object builtins(PyImport_ImportModule("builtins"));
  Object getattr(builtins ? PyObject_GetAttrString(builtins.get(), "getattr") : nullptr);
  return getattr ? Py_BuildValue("O(Os)", getattr.get(), tensor_type, p->group->name.c_str()) : nullptr;
}
PyGetSetDef op_attributes[] = {
    {"__name__", op_name, nullptr, nullptr, nullptr},         {"__qualname__", op_qualname, nullptr, nullptr, nullptr},
    {"__module__", op_module, nullptr, nullptr, nullptr},     {"__doc__", op_doc, op_set_doc, nullptr, nullptr},
    {"_signatures", op_signature, nullptr, nullptr, nullptr}, {}};
PyMethodDef op_methods[] = {{"__reduce__", op_reduce, METH_NOARGS, nullptr}, {}};
PyMemberDef op_members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(OpObject, vectorcall), READONLY, nullptr},
                            {}};

PyTypeObject *make_type(const char *name, bool descriptor) {
  PyType_Slot slots[] = {{Py_tp_repr, (void *)op_repr},
                         {Py_tp_getset, op_attributes},
                         {Py_tp_methods, op_methods},
                         {Py_tp_members, op_members},
                         {Py_tp_call, (void *)PyVectorcall_Call},
                         {descriptor ? Py_tp_descr_get : 0, descriptor ? (void *)op_get : nullptr},
                         {}};
  unsigned flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION;
  if (descriptor) flags |= Py_TPFLAGS_METHOD_DESCRIPTOR;
  PyType_Spec spec = {name, sizeof(OpObject), 0, flags, slots};
  return reinterpret_cast<PyTypeObject *>(checked(PyType_FromSpec(&spec)));
}
std::vector<OpObject *> made; // every one; held, since Python may replace a name that holds it
PyObject *watcher = nullptr;
PyObject *call_watched(PyObject *o, PyObject *const *args, size_t nf, PyObject *keywords) {
  Py_ssize_t n = PyVectorcall_NARGS(nf);
  std::vector<PyObject *> all{o};
  all.insert(all.end(), args, args + n + (keywords ? PyTuple_GET_SIZE(keywords) : 0));
  Object hook = Object::share(watcher); // may be taken away meanwhile
  return without_frames(PyObject_Vectorcall(hook.get(), all.data(), size_t(n + 1), keywords));
}
PyObject *make_op(PyTypeObject *type, Group *g) {
  auto *o = PyObject_New(OpObject, type);
  if (!o) throw PythonError{};
  o->vectorcall = type == function_type ? call_function : call_method;
  o->group = g;
  o->doc = nullptr;
  made.push_back(o);
  Py_INCREF(o);
  return reinterpret_cast<PyObject *>(o);
}
} // namespace

void watch_ops(PyObject *hook) {
  Py_XINCREF(hook);
  for (OpObject *o : made)
    o->vectorcall = hook ? call_watched : Py_TYPE(o) == function_type ? call_function : call_method;
  Py_XSETREF(watcher, hook);
}
PyObject *call_unwatched(PyObject *o, PyObject *const *args, Py_ssize_t n, PyObject *keywords) {
  if (Py_TYPE(o) != function_type && Py_TYPE(o) != method_type)
    return PyObject_Vectorcall(o, args, size_t(n), keywords);
  return (Py_TYPE(o) == function_type ? call_function : call_method)(o, args, size_t(n), keywords);
}

PyObject *pack(Value &&v) {
  return std::visit(
      []<class T>(T &&x) -> PyObject * {
        if constexpr (std::is_same_v<T, std::monostate>) Py_RETURN_NONE;
        else if constexpr (std::is_same_v<T, Tensor>) return wrap(std::move(x));
        else if constexpr (std::is_same_v<T, Tensors>) {
          PyObject *r = checked(PyTuple_New(Py_ssize_t(x.size())));
          for (size_t i = 0; i < x.size(); ++i) PyTuple_SET_ITEM(r, Py_ssize_t(i), wrap(std::move(x[i])));
          return r;
        } else if constexpr (std::is_same_v<T, int64_t>) return PyLong_FromLongLong(x);
        else if constexpr (std::is_same_v<T, double>) return PyFloat_FromDouble(x);
        else if constexpr (std::is_same_v<T, bool>) return PyBool_FromLong(x);
        else if constexpr (std::is_same_v<T, Scalar>) return number_object(x);
        else if constexpr (std::is_same_v<T, Dims>) return size_object(x);
        else if constexpr (std::is_same_v<T, DType>) {
          PyObject *o = dtype_object(x);
          Py_INCREF(o);
          return o;
        } else if constexpr (std::is_same_v<T, Device>) return device_object(x);
        else return PyUnicode_FromStringAndSize(x.data(), Py_ssize_t(x.size()));
      },
      std::move(v));
}

void init_ops(PyObject *module) {
  function_type = make_type("hadamard._C.op", false);
  method_type = make_type("hadamard._C.op_method", true);
  std::map<std::string, Group *> functions, methods;
  auto place = [](std::map<std::string, Group *> &where, const std::string &name, const OpDef &def, bool assign) {
    Group *&g = where[name];
    if (!g) g = new Group{name, {}, assign, autocast_rule(name.c_str())}; // lives as long as the process
    g->overloads.push_back(parse(def));
  };
  auto add = [&](const OpTable &table) {
    for (auto &def : table) {
      if (def.where & function) place(functions, def.name, def, false);
      if (def.where & method) place(methods, def.name, def, false);
      if (def.where & inplace) {
        std::string name = std::string(def.name) + "_";
        if (def.where & method) place(methods, name, def, true);
        if (!(def.where & method) || (def.where & function)) place(functions, name, def, true);
      }
    }
  };
#define X(family) add(family##_ops());
  HD_FAMILIES(X)
#undef X
  for (auto &[name, g] : functions) {
    Object o(make_op(function_type, g));
    PyModule_AddObjectRef(module, name.c_str(), o.get());
  }
  for (auto &[name, g] : methods) {
    Object o(make_op(method_type, g));
    if (PyObject_SetAttrString(reinterpret_cast<PyObject *>(tensor_type), name.c_str(), o.get()) < 0)
      throw PythonError{};
  }
  Object function_names(PyList_New(0)), method_names(PyList_New(0));
  for (auto &[name, g] : functions)
    PyList_Append(function_names.get(), Object(PyUnicode_FromString(name.c_str())).get());
  for (auto &[name, g] : methods) PyList_Append(method_names.get(), Object(PyUnicode_FromString(name.c_str())).get());
  PyModule_AddObjectRef(module, "_functions", function_names.get());
  PyModule_AddObjectRef(module, "_methods", method_names.get());
}

} // namespace python
} // namespace hadamard
