// einsum and tensordot: subscripts read once, then pairs of operands contracted along a path.
#include <algorithm>

#include "ops/product.h"

namespace hadamard::ops {
namespace {

constexpr int letters = 52, most_extra = 60; // labels: A…Z, a…z, then the dimensions of an ellipsis
constexpr int ellipsis = 255;

int label_of(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1; }
char letter_of(int label) { return char(label < 26 ? 'A' + label : 'a' + label - 26); }
bool has(const Labels &l, uint8_t x) { return std::find(l.begin(), l.end(), x) != l.end(); }

struct Term {
  Tensor t;
  Labels labels;
};

struct Equation {
  std::vector<Labels> inputs;
  Labels output;
  bool explicit_output = false;
};

Equation parse(const std::string &s, size_t operands) {
  Equation e;
  e.inputs.resize(1);
  size_t arrow = s.find("->"), end = std::min(arrow, s.size());
  bool dots = false;
  for (size_t i = 0; i < end; ++i) {
    if (s[i] == ' ') continue;
    if (s[i] == '.') {
      HD_CHECK(!dots, runtime, "einsum(): found '.' for operand %zu for which an ellipsis was already found",
               e.inputs.size() - 1);
      HD_CHECK(s.compare(i, 3, "...") == 0, runtime,
               "einsum(): found '.' for operand %zu that is not part of any ellipsis", e.inputs.size() - 1);
      e.inputs.back().push_back(ellipsis);
      dots = true;
      i += 2;
    } else if (s[i] == ',') {
      HD_CHECK(e.inputs.size() < operands, runtime,
               "einsum(): fewer operands were provided than specified in the equation");
      e.inputs.emplace_back();
      dots = false;
    } else {
      HD_CHECK(label_of(s[i]) >= 0, runtime,
               "einsum(): invalid subscript given at index %zu in the equation string, subscripts must be in [a-zA-Z]",
               i);
      e.inputs.back().push_back(uint8_t(label_of(s[i])));
    }
  }
  HD_CHECK(e.inputs.size() == operands, runtime,
           "einsum(): more operands were provided than specified in the equation");
  if (arrow == std::string::npos) return e;
  e.explicit_output = true;
  dots = false;
  for (size_t i = arrow + 2; i < s.size(); ++i) {
    if (s[i] == ' ') continue;
    if (s[i] == '.') {
      HD_CHECK(!dots, runtime, "einsum(): found '.' for output but an ellipsis (...) was already found");
      HD_CHECK(s.compare(i, 3, "...") == 0, runtime,
               "einsum(): found '.' for output that is not part of any ellipsis (...)");
      e.output.push_back(ellipsis);
      dots = true;
      i += 2;
    } else {
      HD_CHECK(label_of(s[i]) >= 0, runtime,
               "einsum(): invalid subscript given at index %zu in the equation string, subscripts must be in [a-zA-Z]",
               i);
      e.output.push_back(uint8_t(label_of(s[i])));
    }
  }
  return e;
}

// The operand with its dimensions in the order of `to`, size 1 where it lacks a label.
Tensor arranged(const Term &x, const Labels &to) {
  Dims order;
  for (uint8_t l : to)
    for (size_t d = 0; d < x.labels.size(); ++d)
      if (x.labels[d] == l) order.push_back(int64_t(d));
  bool same = true;
  for (size_t d = 0; d < order.size(); ++d) same &= order[d] == int64_t(d);
  Tensor t = same ? x.t : permute(x.t, order);
  for (size_t d = 0; d < to.size(); ++d)
    if (!has(x.labels, to[d])) t = unsqueeze(t, int64_t(d));
  return t;
}

// Sums the labels for which keep(label) is false.
template <class F> Term reduced(const Term &x, F keep) {
  Dims gone;
  Labels left;
  for (size_t d = 0; d < x.labels.size(); ++d) {
    if (keep(x.labels[d])) left.push_back(x.labels[d]);
    else gone.push_back(int64_t(d));
  }
  if (gone.empty()) return x;
  return {sum(x.t, gone, false, std::nullopt), left};
}

Term multiply(const Term &a, const Term &b, const Labels &c) {
  Term x = reduced(a, [&](uint8_t l) { return has(c, l) || has(b.labels, l); });
  Term y = reduced(b, [&](uint8_t l) { return has(c, l) || has(a.labels, l); });
  bool sums = false;
  for (uint8_t l : x.labels) sums |= !has(c, l);
  if (!sums) return {mul(arranged(x, c), arranged(y, c)), c};
  if (a.t.dtype() != b.t.dtype())
    throw product_error(
        "einsum", "dtype",
        text("expected scalar type %s but found %s", info(a.t.dtype()).scalar, info(b.t.dtype()).scalar), "a", a.t, "b",
        b.t);
  DType common = promote(x.t.dtype(), y.t.dtype()); // sums of integers are int64
  check_bool(x.t, "bmm");
  return {product("ViewBackward0", {x.labels, y.labels, c}, to(x.t, common), to(y.t, common)), c};
}

} // namespace

// `path` names pairs of operands, flattened; both leave the list and their product joins its end. What it does not name
// is contracted from left to right.
Tensor einsum(const std::string &equation, const Tensors &operands, const Dims &path) {
  HD_CHECK(
      !operands.empty(), value,
      "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts "
      "list");
  Equation e = parse(equation, operands.size());
  // Dimensions under an ellipsis get labels counted from the last one.
  int64_t extra = 0;
  for (size_t i = 0; i < operands.size(); ++i) {
    bool dots = has(e.inputs[i], ellipsis);
    int64_t named = int64_t(e.inputs[i].size()) - dots, dims = operands[i].dim();
    if (dots) {
      HD_CHECK(
          named <= dims, runtime,
          "einsum(): the number of subscripts in the equation (%ld) is more than the number of dimensions (%ld) for "
          "operand %zu",
          long(named), long(dims), i);
      extra = std::max(extra, dims - named);
    } else {
      HD_CHECK(
          named == dims, runtime,
          "einsum(): the number of subscripts in the equation (%ld) does not match the number of dimensions (%ld) for "
          "operand %zu and no ellipsis was given",
          long(named), long(dims), i);
    }
  }
  HD_CHECK(extra <= most_extra, runtime, "einsum(): more than %d dimensions under an ellipsis", most_extra);
  auto expand_dots = [&](const Labels &from, int64_t count) {
    Labels r;
    for (uint8_t l : from) {
      if (l != ellipsis) r.push_back(l);
      else
        for (int64_t d = count; d > 0; --d) r.push_back(uint8_t(letters + d));
    }
    return r;
  };
  Labels output;
  if (e.explicit_output) {
    output = expand_dots(e.output, extra);
    for (size_t i = 0; i < output.size(); ++i) {
      if (output[i] >= letters) continue;
      for (size_t j = 0; j < i; ++j)
        HD_CHECK(output[j] != output[i], runtime, "einsum(): output subscript %c appears more than once in the output",
                 letter_of(output[i]));
      bool known = false;
      for (auto &in : e.inputs) known |= has(in, output[i]);
      HD_CHECK(known, runtime, "einsum(): output subscript %c does not appear in the equation for any input operand",
               letter_of(output[i]));
    }
  } else {
    for (int64_t d = extra; d > 0; --d) output.push_back(uint8_t(letters + d));
    for (int l = 0; l < letters; ++l) {
      int64_t times = 0;
      for (auto &in : e.inputs) times += std::count(in.begin(), in.end(), uint8_t(l));
      if (times == 1) output.push_back(uint8_t(l));
    }
  }
  // Repeated subscripts become diagonals; sizes are compared.
  std::vector<Term> terms;
  int64_t size[256];
  std::fill(size, size + 256, 1);
  for (size_t i = 0; i < operands.size(); ++i) {
    int64_t named = int64_t(e.inputs[i].size()) - has(e.inputs[i], ellipsis);
    Term x{operands[i], expand_dots(e.inputs[i], operands[i].dim() - named)};
    for (size_t d = 0; d < x.labels.size(); ++d)
      for (size_t f = d + 1; f < x.labels.size();) {
        if (x.labels[f] != x.labels[d]) {
          ++f;
          continue;
        }
        HD_CHECK(x.t.shape()[d] == x.t.shape()[f], runtime,
                 "einsum(): subscript %c is repeated for operand %zu but the sizes don't match, %ld != %ld",
                 letter_of(x.labels[d]), i, long(x.t.shape()[f]), long(x.t.shape()[d]));
        uint8_t l = x.labels[d];
        x.t = diagonal(x.t, 0, int64_t(d), int64_t(f)); // becomes the last dimension
        x.labels.erase(f);
        x.labels.erase(d);
        x.labels.push_back(l);
        // Back to where it was first, so that dimensions keep their order.
        Dims order;
        int64_t last = int64_t(x.labels.size()) - 1;
        for (int64_t q = 0; q < last; ++q) {
          if (q == int64_t(d)) order.push_back(last);
          order.push_back(q);
        }
        if (int64_t(d) == last) order.push_back(last);
        x.t = permute(x.t, order);
        x.labels.pop_back();
        x.labels.insert(d, l);
      }
    for (size_t d = 0; d < x.labels.size(); ++d) {
      int64_t &seen = size[x.labels[d]], n = x.t.shape()[d];
      if (seen != 1 && n != 1 && n != seen)
        throw Error(
            Raises::runtime,
            x.labels[d] < letters
                ? text("einsum(): subscript %c has size %ld for operand %zu which does not broadcast with previously "
                       "seen size %ld",
                       letter_of(x.labels[d]), long(n), i, long(seen))
                : text("einsum(): dimension %ld of the ellipsis has size %ld for operand %zu which does not broadcast "
                       "with previously seen size %ld",
                       long(extra - (x.labels[d] - letters)), long(n), i, long(seen)),
            "einsum")
            .in("einsum")
            .arg("a", operands[0])
            .arg("b", operands[i]);
      if (n != 1) seen = n;
    }
    terms.push_back(std::move(x));
  }
  for (size_t step = 0; terms.size() > 1; ++step) {
    size_t i = 0, j = 1;
    if (2 * step + 1 < path.size()) {
      i = size_t(path[2 * step]), j = size_t(path[2 * step + 1]);
      if (i > j) std::swap(i, j);
      HD_CHECK(i < j && j < terms.size(), runtime, "einsum(): the path names operand %zu of %zu", j, terms.size());
    }
    Term a = terms[i], b = terms[j];
    bool in_order = 2 * step + 1 >= path.size();
    terms.erase(terms.begin() + long(j));
    terms.erase(terms.begin() + long(i));
    Labels c;
    if (terms.empty()) {
      c = output;
      // A label of the output that neither operand has kept cannot be: every one appears in some input.
    } else {
      auto needed = [&](uint8_t l) {
        if (has(output, l)) return true;
        for (auto &t : terms)
          if (has(t.labels, l)) return true;
        return false;
      };
      for (uint8_t l : a.labels)
        if (needed(l)) c.push_back(l);
      for (uint8_t l : b.labels)
        if (needed(l) && !has(c, l)) c.push_back(l);
    }
    Labels missing;
    for (uint8_t l : c)
      if (!has(a.labels, l) && !has(b.labels, l)) missing.push_back(l);
    Labels there;
    for (uint8_t l : c)
      if (!has(missing, l)) there.push_back(l);
    Term y = multiply(a, b, there);
    terms.insert(in_order ? terms.begin() : terms.end(), y);
  }
  Term last = reduced(terms[0], [&](uint8_t l) { return has(output, l); });
  if (!last.t.is(operands[0])) return arranged(last, output);
  Dims order; // a view, even where nothing moves
  for (uint8_t l : output) order.push_back(std::find(last.labels.begin(), last.labels.end(), l) - last.labels.begin());
  return permute(last.t, order);
}

Tensor tensordot(const Tensor &a, const Tensor &b, const Dims &dims_a, const Dims &dims_b, const Tensor &out) {
  HD_CHECK(dims_a.size() == dims_b.size(), runtime, "both dimension lists should have same length");
  HD_CHECK(a.dtype() == b.dtype(), runtime, "both inputs should have same dtype");
  Form f;
  for (int64_t d = 0; d < a.dim(); ++d) f.a.push_back(uint8_t(d));
  for (int64_t d = 0; d < b.dim(); ++d) f.b.push_back(uint8_t(100 + d));
  SmallVec<bool, 8> gone_a(size_t(a.dim()), false), gone_b(size_t(b.dim()), false);
  for (size_t i = 0; i < dims_a.size(); ++i) {
    int64_t x = wrap_dim(dims_a[i], a.dim()), y = wrap_dim(dims_b[i], b.dim());
    HD_CHECK(a.dim() && !gone_a[x], runtime, "dim %ld appears multiple times in the list of dims", long(x));
    HD_CHECK(b.dim() && !gone_b[y], runtime, "dim %ld appears multiple times in the list of dims", long(y));
    int64_t n = a.shape()[x], k = b.shape()[y];
    if (n != k && n != 1 && k != 1)
      throw product_error(
          "tensordot", "tensordot",
          text("contracted dimensions need to match, but first has size %ld in dim %ld and second has size "
               "%ld in dim %ld",
               long(n), long(dims_a[i]), long(k), long(dims_b[i])),
          "a", a, "b", b);
    gone_a[x] = gone_b[y] = true;
    f.b[y] = f.a[x] = uint8_t(200 + i);
  }
  for (int64_t d = 0; d < a.dim(); ++d)
    if (!gone_a[d]) f.c.push_back(f.a[d]);
  for (int64_t d = 0; d < b.dim(); ++d)
    if (!gone_b[d]) f.c.push_back(f.b[d]);
  check_bool(a, "addmm_impl_cpu_");
  if (out) {
    check_out("tensordot", out, out.requires_grad() || a.requires_grad() || b.requires_grad());
    check_out_dtype(out, a);
  }
  return product("ViewBackward0", f, a, b, out);
}

} // namespace hadamard::ops
