// What the machine can do at most: multiply-adds, memory, fresh pages. Compiled for the machine it runs on.
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
// Ten chains of sums: more than latency times throughput of any core we know, and they fit its registers.
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)

// Returns the number of operations done: a multiplication and an addition count as two.
#define DEFINE(i) s##i = {0},
#define ADD(i) s##i += x * y;
#define HOLD(i) __asm__ volatile("" : KEEP(s##i));
#define FMA(name, T)                                                                                                   \
  typedef T V##name __attribute__((vector_size(BYTES)));                                                               \
  double name(long n) {                                                                                                \
    V##name CHAINS(DEFINE) x = {0}, y = {0};                                                                           \
    for (long r = 0; r < n; ++r) {                                                                                     \
      __asm__ volatile("" : KEEP(x), KEEP(y));                                                                         \
      CHAINS(ADD)                                                                                                      \
      CHAINS(HOLD)                                                                                                     \
    }                                                                                                                  \
    return 2.0 * (double)n * 10 * (BYTES / sizeof(T));                                                                 \
  }
#if defined(__x86_64__)
#define KEEP(v) "+x"(v)
#else
#define KEEP(v) "+w"(v)
#endif
FMA(fma_f32, float)
FMA(fma_f64, double)

// Products of int8 summed in int32, by the best instruction for them that is exact; 0 where none is known.
#if defined(__AVX512VNNI__)
typedef __m512i Bytes;
#define EACH 2.0 // operations a byte
#define DOT(s, x, y) _mm512_dpbusd_epi32(s, x, y)
#elif defined(__AVXVNNI__)
typedef __m256i Bytes;
#define EACH 2.0 // operations a byte
#define DOT(s, x, y) _mm256_dpbusd_avx_epi32(s, x, y)
#elif defined(__AVX512BW__)
typedef __m512i Bytes;
#define EACH 1.0
#define DOT(s, x, y) _mm512_add_epi32(s, _mm512_madd_epi16(x, y))
#elif defined(__AVX2__)
typedef __m256i Bytes;
#define EACH 1.0
#define DOT(s, x, y) _mm256_add_epi32(s, _mm256_madd_epi16(x, y))
#endif
#if defined(DOT)
#define ADD_DOT(i)                                                                                                     \
  __asm__ volatile("" : KEEP(x), KEEP(y));                                                                             \
  s##i = DOT(s##i, x, y);
double dot_i8(long n) {
  Bytes CHAINS(DEFINE) x = {0}, y = {0};
  for (long r = 0; r < n; ++r) {
    CHAINS(ADD_DOT)
    CHAINS(HOLD)
  }
  return (double)n * 10 * EACH * sizeof(Bytes);
}
#else
double dot_i8(long n) { return 0.0 * (double)n; }
#endif

typedef float Line __attribute__((vector_size(64), aligned(64)));

// Both return the bytes that crossed the memory bus; n in lines of 64 bytes.
double copy_lines(void *to, const void *from, long n) {
  Line *d = (Line *)to;
  const Line *s = (const Line *)from;
  for (long i = 0; i < n; ++i) {
#if defined(__AVX512F__)
    _mm512_stream_ps((float *)(d + i), (__m512)s[i]);
#elif defined(__AVX__)
    _mm256_stream_ps((float *)(d + i), _mm256_load_ps((const float *)(s + i)));
    _mm256_stream_ps((float *)(d + i) + 8, _mm256_load_ps((const float *)(s + i) + 8));
#else
    d[i] = s[i];
#endif
  }
#if defined(__x86_64__)
  _mm_sfence();
#endif
  return 128.0 * (double)n;
}
double read_lines(const void *from, long n, float *sink) {
  typedef float V __attribute__((vector_size(BYTES)));
  const V *s = (const V *)from;
  V a = {0}, b = {0}, c = {0}, d = {0};
  for (long i = 0; i < n * 64 / BYTES; i += 4) a += s[i], b += s[i + 1], c += s[i + 2], d += s[i + 3];
  *sink = (a + b + c + d)[0];
  return 64.0 * (double)n;
}

// Touches every 4 KiB of fresh memory; returns how many there were.
double touch_pages(long bytes, int huge) {
  char *p = (char *)mmap(0, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return 0;
#if defined(MADV_HUGEPAGE)
  madvise(p, (size_t)bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
  for (long i = 0; i < bytes; i += 4096) p[i] = 1;
  munmap(p, (size_t)bytes);
  return (double)bytes / 4096;
}
