// Every dtype, route and level of the products of matrices against a plain sum in double or int64.
// make -C tests/native check
#include "../../src/cpu/extras.h"
#include "../../src/cpu/level.h"
#include "../../src/cpu/threads.h"

#include <cmath>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

using namespace hadamard;
namespace hadamard::plain { // gemm_dot.cpp, its instructions spelled out
void gemm_dot(const Gemm &);
}

namespace {
using Real = std::complex<long double>;
std::mt19937_64 engine(1);
long pick(long low, long high) { return low + long(engine() % uint64_t(high - low + 1)); }
bool chance(int percent) { return pick(1, 100) <= percent; }

float half_to_float(uint16_t h) {
  int e = (h >> 10) & 31, m = h & 1023;
  float v = e ? std::ldexp(float(m | 1024), e - 25) : std::ldexp(float(m), -24);
  return h >> 15 ? -v : v;
}
uint16_t float_to_half(float f) { // exact values only
  for (int sign = 0; sign < 2; ++sign)
    for (int h = 0; h < 0x7c00; ++h)
      if (half_to_float(uint16_t(h | sign << 15)) == f) return uint16_t(h | sign << 15);
  std::abort();
}

Real get(DType t, const char *p) {
  switch (t) {
  case DType::U8: return *(uint8_t *)p;
  case DType::I8: return *(int8_t *)p;
  case DType::I16: return *(int16_t *)p;
  case DType::I32: return *(int32_t *)p;
  case DType::I64: return *(int64_t *)p;
  case DType::F16: return half_to_float(*(uint16_t *)p);
  case DType::BF16: {
    uint32_t u = uint32_t(*(uint16_t *)p) << 16;
    float f;
    std::memcpy(&f, &u, 4);
    return f;
  }
  case DType::F32: return *(float *)p;
  case DType::F64: return *(double *)p;
  case DType::C64: return {((float *)p)[0], ((float *)p)[1]};
  case DType::C128: return {((double *)p)[0], ((double *)p)[1]};
  default: std::abort();
  }
}
void fill(DType t, char *p, long n) {
  static std::vector<uint16_t> halves;
  if (halves.empty())
    for (int i = -64; i <= 64; ++i) halves.push_back(float_to_half(float(i) / 16));
  std::normal_distribution<double> normal;
  const bool small = chance(60); // int64 that are int32 have a kernel of their own
  for (long i = 0; i < n; ++i, p += size_of(t)) switch (t) {
    case DType::F16: *(uint16_t *)p = halves[engine() % halves.size()]; break;
    case DType::BF16: {
      float f = float(normal(engine));
      std::memcpy(p, (char *)&f + 2, 2);
      break;
    }
    case DType::F32: *(float *)p = float(normal(engine)); break;
    case DType::F64: *(double *)p = normal(engine); break;
    case DType::C64: ((float *)p)[0] = float(normal(engine)), ((float *)p)[1] = float(normal(engine)); break;
    case DType::C128: ((double *)p)[0] = normal(engine), ((double *)p)[1] = normal(engine); break;
    case DType::I64:
      if (small) {
        const int32_t ends[] = {INT32_MIN, INT32_MAX, int32_t(engine())};
        *(int64_t *)p = ends[engine() % 3];
        break;
      }
      [[fallthrough]];
    default: {
      uint64_t bits = engine();
      std::memcpy(p, &bits, size_t(size_of(t)));
    }
    }
}

// An operand of up to three axes in any order, padded, repeated or scattered through a table of offsets.
struct Operand {
  std::vector<char> memory;
  std::vector<long> tables[3];
  Axis axis[3];
  long elements = 0;
  Operand(DType t, const long *size, bool repeats, bool plain) {
    int order[3] = {0, 1, 2};
    if (!plain)
      for (int i = 2; i > 0; --i) std::swap(order[i], order[pick(0, i)]);
    long stride = 1;
    if (!plain && chance(15)) stride = pick(2, 3);
    for (int i = 2; i >= 0; --i) {
      int d = order[i];
      axis[d] = {stride, nullptr};
      if (repeats && !plain && chance(15)) axis[d].stride = 0;
      else stride *= size[d] + (!plain && chance(30) ? pick(1, 3) : 0);
    }
    for (int d = 0; d < 3; ++d)
      if (!plain && chance(20)) {
        for (long i = 0; i < size[d]; ++i) tables[d].push_back(i * axis[d].stride);
        if (chance(50))
          for (long i = size[d] - 1; i > 0; --i) std::swap(tables[d][size_t(i)], tables[d][size_t(pick(0, i))]);
        axis[d].offsets = tables[d].data();
      }
    elements = 1;
    for (int d = 0; d < 3; ++d) {
      long last = 0;
      for (long i = 0; i < size[d]; ++i) last = std::max(last, at(d, i));
      elements += last;
    }
    memory.resize(size_t(elements * size_of(t)));
    fill(t, memory.data(), elements);
  }
  long at(int d, long i) const { return axis[d].offsets ? axis[d].offsets[i] : i * axis[d].stride; }
  long at(long x, long y, long z) const { return at(0, x) + at(1, y) + at(2, z); }
};

const char *route_name[] = {"reference", "dot", "gemv", "direct", "packed", "skinny", "tall", "split_k"};
int failures = 0, runs = 0;

void one(void (*gemm)(const Gemm &), const char *level, DType dtype, long batch, long m, long n, long k, bool plain) {
  const bool narrow = dtype == DType::I8 || dtype == DType::U8 || dtype == DType::I16;
  DType result = narrow && chance(50) ? DType::I32 : dtype;
  long sa[] = {batch, m, k}, sb[] = {batch, k, n}, sc[] = {batch, m, n};
  Operand a(dtype, sa, true, plain), b(dtype, sb, true, plain), c(result, sc, false, plain),
      bias(result, sc, true, plain);
  Gemm g = {};
  g.dtype = dtype, g.result = result;
  g.m = m, g.n = n, g.k = k, g.batch = batch;
  g.a = a.memory.data(), g.b = b.memory.data();
  g.a_batch = a.axis[0], g.a_m = a.axis[1], g.a_k = a.axis[2];
  g.b_batch = b.axis[0], g.b_k = b.axis[1], g.b_n = b.axis[2];
  g.c_batch = c.axis[0], g.c_m = c.axis[1], g.c_n = c.axis[2];
  g.accumulate = chance(30);
  if (chance(40)) {
    g.bias = bias.memory.data();
    g.bias_batch = bias.axis[0], g.bias_m = bias.axis[1], g.bias_n = bias.axis[2];
  }
  bool real_float = dtype_in(dtype, floats);
  if (chance(40) && !dtype_in(dtype, complexes)) g.activation = real_float ? Activation(pick(1, 4)) : Activation::relu;
  // The right answer, and the size that its error is measured against.
  std::vector<Real> want(size_t(batch * m * n));
  std::vector<long double> scale(want.size());
  bool whole = dtype_in(dtype, integers);
  int bits = int(8 * size_of(result));
  for (long z = 0; z < batch; ++z)
    for (long i = 0; i < m; ++i)
      for (long j = 0; j < n; ++j) {
        size_t at = size_t((z * m + i) * n + j);
        Real sum = 0;
        long double size = 0;
        uint64_t exact = 0;
        for (long q = 0; q < k; ++q) {
          Real x = get(dtype, g.a + a.at(z, i, q) * size_of(dtype)),
               y = get(dtype, g.b + b.at(z, q, j) * size_of(dtype));
          if (whole) exact += uint64_t(int64_t(x.real())) * uint64_t(int64_t(y.real()));
          sum += x * y, size += std::abs(x) * std::abs(y);
        }
        auto more = [&](Real x) {
          if (whole) exact += uint64_t(int64_t(x.real()));
          sum += x, size += std::abs(x);
        };
        if (g.accumulate) more(get(result, c.memory.data() + c.at(z, i, j) * size_of(result)));
        if (g.bias) more(get(result, g.bias + bias.at(z, i, j) * size_of(result)));
        if (whole) {
          uint64_t mask = bits == 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
          exact &= mask;
          if (result == DType::U8) sum = (long double)exact;
          else {
            if (bits < 64 && exact >> (bits - 1)) exact |= ~mask;
            sum = (long double)int64_t(exact);
          }
          size = 0;
        }
        long double x = sum.real();
        if (g.activation == Activation::relu) sum = x < 0 ? 0 : x;
        if (g.activation == Activation::tanh) sum = std::tanh(x);
        if (g.activation == Activation::sigmoid) sum = 1 / (1 + std::exp(-x));
        if (g.activation == Activation::gelu) sum = x / 2 * (1 + std::erf(x / std::sqrt(2.0L)));
        want[at] = sum, scale[at] = size;
      }
  long double eps = 0, out_eps = 0;
  switch (dtype) {
  case DType::F16: eps = 1.2e-7L, out_eps = 1e-3L; break;
  case DType::BF16: eps = 1.2e-7L, out_eps = 8e-3L; break;
  case DType::F32:
  case DType::C64: eps = 1.2e-7L, out_eps = 3e-7L; break;
  case DType::F64:
  case DType::C128: eps = 2.3e-16L, out_eps = 5e-16L; break;
  default: break;
  }
  std::vector<char> before = c.memory, packed;
  for (Route route :
       {Route::reference, Route::packed, Route::direct, Route::skinny, Route::tall, Route::gemv, Route::dot}) {
    for (int threads = 1; threads <= 3; threads += 2) {
      c.memory = before;
      g.c = c.memory.data();
      g.route = route, g.threads = threads;
      gemm(g);
      ++runs;
      bool blocked = route != Route::reference && route != Route::gemv && route != Route::dot;
      if (route == Route::packed && threads == 1) packed = c.memory;
      bool bad = blocked && packed != c.memory;
      std::vector<bool> mine(size_t(c.elements));
      long wrong = 0;
      for (long z = 0; z < batch; ++z)
        for (long i = 0; i < m; ++i)
          for (long j = 0; j < n; ++j) {
            size_t at = size_t((z * m + i) * n + j);
            mine[size_t(c.at(z, i, j))] = true;
            Real got = get(result, c.memory.data() + c.at(z, i, j) * size_of(result));
            long double steps = route == Route::reference ? (long double)k / 4 : 2 * std::sqrt((long double)k);
            long double allowed =
                eps * (2 + steps) * scale[at] + out_eps * std::abs(want[at]) + (dtype == DType::F16 ? 6e-8L : 0);
            if (!(std::abs(got - want[at]) <= allowed) && wrong++ == 0)
              std::printf("  [%ld,%ld,%ld] got %Lg%+Lgi want %Lg%+Lgi allowed %Lg\n", z, i, j, got.real(), got.imag(),
                          want[at].real(), want[at].imag(), allowed);
          }
      for (long e = 0; e < c.elements; ++e)
        if (!mine[size_t(e)] && std::memcmp(&c.memory[size_t(e * size_of(result))],
                                            &before[size_t(e * size_of(result))], size_t(size_of(result))))
          wrong += 1000000;
      if (wrong || bad) {
        std::printf(
            "%s %s->%s %s batch %ld m %ld n %ld k %ld threads %d accumulate %d bias %d activation %d plain %d: %ld "
            "wrong%s\n",
            level, info(dtype).name, info(result).name, route_name[int(route)], batch, m, n, k, threads, g.accumulate,
            g.bias != nullptr, int(g.activation), plain, wrong, bad ? ", not the bits of packed" : "");
        if (++failures > 20) std::exit(1);
      }
    }
  }
}

void all(void (*gemm)(const Gemm &), const char *level, DType t, int rounds) {
  for (int r = 0; r < rounds; ++r) {
    bool plain = chance(40);
    long small = chance(50) ? 9 : 40;
    one(gemm, level, t, pick(1, 4), pick(1, small), pick(1, small), pick(0, small), plain);
    one(gemm, level, t, pick(1, 3), 1, pick(1, 70), pick(0, 80), plain);
    one(gemm, level, t, pick(1, 3), pick(1, 70), 1, pick(0, 80), plain);
    one(gemm, level, t, pick(1, 3), 1, 1, pick(0, 300), plain);
  }
  one(gemm, level, t, 1, pick(60, 130), pick(60, 130), pick(300, 420), true);
  one(gemm, level, t, 1, pick(10, 30), pick(10, 30), pick(800, 900), false);
  one(gemm, level, t, 1, pick(10, 30), pick(30, 70), pick(1600, 1700), true);
  one(gemm, level, t, 1, 3, 2, pick(4000, 9000), false);
  one(gemm, level, t, 1, 1, 700, 600, true);
  one(gemm, level, t, 1, 1, 1, pick(8000, 20000), false);
}
} // namespace

int main(int argc, char **argv) {
  int rounds = argc > 1 ? std::atoi(argv[1]) : 30;
  set_num_threads(3);
  for (const char *name : {"v2", "v3", "v4", "neon"}) {
    const Level *found = find_level(name);
    if (!found) continue;
    const Level &level = *found;
    for (int t = 1; t < dtype_count; ++t) all(level.gemm, level.name, DType(t), rounds);
  }
  for (DType t : {DType::U8, DType::I8, DType::I16, DType::BF16}) all(plain::gemm_dot, "plain dot", t, rounds);
  const Extras &e = extras();
  std::printf("instructions beyond the level: AVX-VNNI %d, AVX512_VNNI %d, AVX512_BF16 %d\n", e.avx_vnni, e.avx512_vnni,
              e.avx512_bf16);
  std::printf("%d products, %d failures\n", runs, failures);
  return failures != 0;
}
