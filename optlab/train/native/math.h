/* Functions of numbers without branches and calls, so that a loop over them becomes vectors.

   In float exact to some 1e-7 of the value; in double they are those of the C library. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float as_float(int32_t bits) { union { int32_t i; float f; } u = {bits}; return u.f; }
INLINE int32_t bits_of(float x) { union { float f; int32_t i; } u; u.f = x; return u.i; }

/* 2^n for whole n in [-126, 127] */
INLINE float power_of_two(float n) { return as_float((int32_t)(n + 127.0f) << 23); }

/* exp(r) - 1 for |r| <= ln(2) / 2 */
INLINE float small_expm1(float r) {
    float p = 1.9875691500e-4f;
    p = __builtin_fmaf(p, r, 1.3981999507e-3f);
    p = __builtin_fmaf(p, r, 8.3334519073e-3f);
    p = __builtin_fmaf(p, r, 4.1665795894e-2f);
    p = __builtin_fmaf(p, r, 1.6666665459e-1f);
    p = __builtin_fmaf(p, r, 5.0000001201e-1f);
    return __builtin_fmaf(p, r * r, r);
}

INLINE float reduced(float x, float *n) {
    *n = __builtin_rintf(x * 1.44269504089f);
    float r = __builtin_fmaf(*n, -0.693359375f, x);
    return __builtin_fmaf(*n, 2.12194440e-4f, r);
}

INLINE float exp_float(float x) {
    float n, z = x > 89.0f ? 89.0f : x;
    z = z < -104.0f ? -104.0f : z;
    float r = reduced(z, &n);
    /* in two steps: the whole power may be larger or smaller than any normal number */
    float half = __builtin_rintf(n * 0.5f);
    float y = (small_expm1(r) + 1.0f) * power_of_two(half) * power_of_two(n - half);
    return x != x ? x : y;
}

INLINE float expm1_float(float x) {
    float n, z = x > 89.0f ? 89.0f : x;
    z = z < -20.0f ? -20.0f : z;
    float r = reduced(z, &n);
    float half = power_of_two(n - 1.0f);
    float y = 2.0f * __builtin_fmaf(half, small_expm1(r), half - 0.5f);
    y = n == 0.0f ? small_expm1(r) : y;
    return x != x ? x : y;
}

INLINE float tanh_float(float x) {
    float size = x < 0.0f ? -x : x;
    float lost = expm1_float(-2.0f * size);
    float y = -lost / (2.0f + lost);
    y = x < 0.0f ? -y : y;
    return x == 0.0f ? x : y;
}

INLINE float sigmoid_float(float x) { return 1.0f / (1.0f + exp_float(-x)); }

INLINE float log_float(float x) {
    float tiny = x < 1.17549435e-38f ? 8388608.0f : 1.0f;
    float scaled = x * tiny;
    int32_t bits = bits_of(scaled);
    int32_t exponent = ((bits >> 23) & 0xff) - 126;
    float m = as_float((bits & 0x007fffff) | 0x3f000000); /* in [0.5, 1) */
    float e = (float)exponent - (tiny > 1.0f ? 23.0f : 0.0f);
    float low = m < 0.707106781f ? 1.0f : 0.0f;
    e -= low;
    m = m + low * m - 1.0f;
    float z = m * m;
    float p = 7.0376836292e-2f;
    p = __builtin_fmaf(p, m, -1.1514610310e-1f);
    p = __builtin_fmaf(p, m, 1.1676998740e-1f);
    p = __builtin_fmaf(p, m, -1.2420140846e-1f);
    p = __builtin_fmaf(p, m, 1.4249322787e-1f);
    p = __builtin_fmaf(p, m, -1.6668057665e-1f);
    p = __builtin_fmaf(p, m, 2.0000714765e-1f);
    p = __builtin_fmaf(p, m, -2.4999993993e-1f);
    p = __builtin_fmaf(p, m, 3.3333331174e-1f);
    float y = p * m * z;
    y = __builtin_fmaf(e, -2.12194440e-4f, y);
    y = __builtin_fmaf(-0.5f, z, y);
    y = m + y;
    y = __builtin_fmaf(e, 0.693359375f, y);
    y = x == INFINITY ? x : y;
    y = x < 0.0f || x != x ? NAN : y;
    return x == 0.0f ? -INFINITY : y;
}

INLINE float log1p_float(float x) {
    float u = 1.0f + x;
    float lost = (u - 1.0f) - x;
    float y = log_float(u) - lost / u;
    y = u == INFINITY || u == 0.0f ? log_float(u) : y;
    return u == 1.0f ? x : y;
}

INLINE double exp_double(double x) { return exp(x); }
INLINE double expm1_double(double x) { return expm1(x); }
INLINE double tanh_double(double x) { return tanh(x); }
INLINE double sigmoid_double(double x) { return 1.0 / (1.0 + exp(-x)); }
INLINE double log_double(double x) { return log(x); }
INLINE double log1p_double(double x) { return log1p(x); }

typedef void product_float(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row,
                           int64_t a_column, const float *b, int64_t b_row, int64_t b_column,
                           float *c, int64_t c_row);
typedef void product_double(int64_t m, int64_t n, int64_t k, const double *a, int64_t a_row,
                            int64_t a_column, const double *b, int64_t b_row, int64_t b_column,
                            double *c, int64_t c_row);

/* What generated functions call. */
typedef struct {
    product_float *product_float;
    product_double *product_double;
} tools;
