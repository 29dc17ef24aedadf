/* Simple recurrent units: the loop over time, forwards and backwards.

   Arrays lie as in rnn_operation.py, without gaps: runs R, time T, batch B, inputs I, units H.
   Matrix products are those of the BLAS that PyTorch brings along; its functions are passed in.
   They are column-major: an array (rows, columns) of ours is one (columns, rows) of theirs. Sizes
   below 2^31 read alike as 32-bit and as 64-bit integers where the low bytes come first.
   Every run is computed by itself, so that its numbers do not depend on how many there are. */

#ifndef REAL

#include <math.h>
#include <stdint.h>
#include <string.h>

/* All kernels are compiled for products fused into sums, and for sums in any order. Only the first
   is wanted here: exp(r) - 1 below has its digits in the order in which it is written. */
#if defined(__clang__)
#pragma clang fp reassociate(off)
#else
#pragma GCC optimize("no-associative-math")
#endif

enum { TANH, RELU, IDENTITY };

#define DEPTH 2048 /* rows of one matrix product in a sum over all rows */
#define LINES 256  /* rows that a plain sum takes at a time */

#define REAL float
#define WORD int32_t
#define NAME(name) name##_float
#define nearest_float rintf
#define MANTISSA 23
#define EXPONENT_OF_ONE 127
#define TERMS 8      /* of the series of exp(r): the next is 0.35^8 / 9! = 6e-10 of r */
#define SATURATED 80 /* exp(-80) is a normal number, and nothing beside 1 */
#include __FILE__

#undef REAL
#undef WORD
#undef NAME
#undef MANTISSA
#undef EXPONENT_OF_ONE
#undef TERMS
#undef SATURATED
#define REAL double
#define WORD int64_t
#define NAME(name) name##_double
#define nearest_double rint
#define MANTISSA 52
#define EXPONENT_OF_ONE 1023
#define TERMS 14 /* 0.35^14 / 15! = 3e-19 */
#define SATURATED 80
#include __FILE__

#else

typedef void NAME(gemm)(const char *, const char *, const int64_t *, const int64_t *,
                        const int64_t *, const REAL *, const REAL *, const int64_t *,
                        const REAL *, const int64_t *, const REAL *, REAL *, const int64_t *);

/* c = a b + keep c for c (m, n), a (m, k), b (k, n); a flag says that an array lies transposed. */
static void NAME(multiply)(NAME(gemm) *gemm, int a_flipped, int b_flipped, int64_t m, int64_t n,
                           int64_t k, const REAL *a, const REAL *b, REAL keep, REAL *c)
{
    const REAL one = 1;
    int64_t a_row = a_flipped ? m : k, b_row = b_flipped ? k : n;
    a_row += !a_row, b_row += !b_row; /* at least 1 is asked for, of an empty array too */
    if (m && n)
        gemm(b_flipped ? "T" : "N", a_flipped ? "T" : "N", &n, &m, &k, &one, b, &b_row, a, &a_row,
             &keep, c, &n);
}

/* tanh(z) = -e / (2 + e) with e = exp(-2 |z|) - 1 = 2^k (exp(r) - 1) + 2^k - 1, |r| <= ln(2) / 2:
   exact to a few units of the last place, near 0 too. NaN stays NaN. */
static inline REAL NAME(tanh_of)(REAL z)
{
    REAL y = -2 * (z < 0 ? -z : z);
    y = y < -SATURATED ? -SATURATED : y;
    REAL k = NAME(nearest)(y * (REAL)1.44269504088896340736);
    REAL r = y - k * (REAL)0.69314718055994530942;
    REAL rest = 0; /* (exp(r) - 1) / r - 1 */
    for (int n = TERMS; n > 1; n--)
        rest = (rest + 1) * (r * ((REAL)1 / n));
    WORD bits = ((WORD)k + EXPONENT_OF_ONE) << MANTISSA;
    REAL power;
    memcpy(&power, &bits, sizeof power);
    REAL e = power * (r + r * rest) + (power - 1);
    REAL size = -e / (2 + e);
    return z < 0 ? -size : size;
}

static void NAME(activate)(int kind, int64_t count, REAL *z)
{
    if (kind == TANH)
        for (int64_t i = 0; i < count; i++)
            z[i] = NAME(tanh_of)(z[i]);
    if (kind == RELU) /* written so that NaN stays */
        for (int64_t i = 0; i < count; i++)
            z[i] = z[i] < 0 ? 0 : z[i];
}

/* Whether sequence b has a step t. */
static inline int NAME(goes_on)(const int64_t *lengths, int64_t b, int64_t t)
{
    return !lengths || t < lengths[b];
}

/* x (T, B, I), initial (B, H), weights (H, I) and (H, H), biases (H) or NULL, lengths (B) or NULL
   -> states (T, B, H). */
static void NAME(forward_run)(NAME(gemm) *gemm, int64_t T, int64_t B, int64_t I, int64_t H,
                              int kind, int reverse, const REAL *x, const REAL *initial,
                              const REAL *weight_ih, const REAL *weight_hh, const REAL *bias_ih,
                              const REAL *bias_hh, const int64_t *lengths, REAL *states)
{
    for (int64_t row = 0; row < T * B; row++)
        for (int64_t h = 0; h < H; h++)
            states[row * H + h] = (bias_ih ? bias_ih[h] : 0) + (bias_hh ? bias_hh[h] : 0);
    NAME(multiply)(gemm, 0, 1, T * B, H, I, x, weight_ih, 1, states);
    const REAL *before = initial;
    for (int64_t step = 0; step < T; step++) {
        int64_t t = reverse ? T - 1 - step : step;
        REAL *now = states + t * B * H;
        NAME(multiply)(gemm, 0, 1, B, H, H, before, weight_hh, 1, now);
        NAME(activate)(kind, B * H, now);
        for (int64_t b = 0; b < B; b++)
            if (!NAME(goes_on)(lengths, b, t))
                memcpy(now + b * H, before + b * H, H * sizeof(REAL));
        before = now;
    }
}

#define AT(array, place) (array ? array + r * apart[place] : NULL)

/* sizes: R, T, B, I, H, kind, reverse; then how far apart runs lie in each array, in order. */
void NAME(forward)(NAME(gemm) *gemm, const int64_t *sizes, const REAL *x, const REAL *initial,
                   const REAL *weight_ih, const REAL *weight_hh, const REAL *bias_ih,
                   const REAL *bias_hh, const int64_t *lengths, REAL *states)
{
    const int64_t *apart = sizes + 7;
    for (int64_t r = 0; r < sizes[0]; r++)
        NAME(forward_run)(gemm, sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6],
                          AT(x, 0), AT(initial, 1), AT(weight_ih, 2), AT(weight_hh, 3),
                          AT(bias_ih, 4), AT(bias_hh, 5), AT(lengths, 6), AT(states, 7));
}

/* dz = dh f'(z), from h = f(z). */
static void NAME(pull)(int kind, int64_t count, const REAL *h, const REAL *dh, REAL *dz)
{
    if (kind == TANH)
        for (int64_t i = 0; i < count; i++)
            dz[i] = dh[i] * (1 - h[i] * h[i]);
    if (kind == RELU)
        for (int64_t i = 0; i < count; i++)
            dz[i] = h[i] > 0 ? dh[i] : 0;
    if (kind == IDENTITY)
        memcpy(dz, dh, count * sizeof(REAL));
}

/* dL/dz(t) of all steps, (T, B, H), from dL/dh(t) (or NULL) and dL/dh(T), which lies in carried
   (B, H) at first; then carried holds dL/dh(0). held is room for (B, H). */
static void NAME(backward_run)(NAME(gemm) *gemm, int64_t T, int64_t B, int64_t H, int kind,
                               int reverse, const REAL *grad_states, const REAL *weight_hh,
                               const int64_t *lengths, const REAL *states, REAL *carried,
                               REAL *grad_z, REAL *held)
{
    for (int64_t step = T - 1; step >= 0; step--) {
        int64_t t = reverse ? T - 1 - step : step;
        const REAL *now = states + t * B * H;
        REAL *dz = grad_z + t * B * H;
        if (grad_states)
            for (int64_t i = 0; i < B * H; i++)
                carried[i] += grad_states[t * B * H + i];
        NAME(pull)(kind, B * H, now, carried, dz);
        if (lengths)
            memcpy(held, carried, B * H * sizeof(REAL));
        for (int64_t b = 0; b < B; b++)
            if (!NAME(goes_on)(lengths, b, t))
                memset(dz + b * H, 0, H * sizeof(REAL));
        NAME(multiply)(gemm, 0, 0, B, H, H, dz, weight_hh, 0, carried);
        for (int64_t b = 0; b < B; b++)
            if (!NAME(goes_on)(lengths, b, t))
                memcpy(carried + b * H, held + b * H, H * sizeof(REAL));
    }
}

/* to (H, I) += the sum of dz x' over all rows of dz (N, H) and x (N, I); spare is room for as much.
   Some rows at a time are summed from zero: a product is not rounded at the size of the whole sum.
   The narrower array comes first: BLAS is up to ten times faster at that. */
static void NAME(outer)(NAME(gemm) *gemm, int64_t N, int64_t H, int64_t I, const REAL *dz,
                        const REAL *x, REAL *to, REAL *spare)
{
    for (int64_t n = 0; n < N; n += DEPTH, dz += DEPTH * H, x += DEPTH * I) {
        int64_t count = N - n < DEPTH ? N - n : DEPTH;
        if (I >= H) {
            NAME(multiply)(gemm, 1, 0, H, I, count, dz, x, 0, spare);
            for (int64_t i = 0; i < H * I; i++)
                to[i] += spare[i];
        } else {
            NAME(multiply)(gemm, 1, 0, I, H, count, x, dz, 0, spare);
            for (int64_t h = 0; h < H; h++)
                for (int64_t i = 0; i < I; i++)
                    to[h * I + i] += spare[i * H + h];
        }
    }
}

/* to (H) = the sum of dz (N, H) over all rows, some at a time: fewer roundings. */
static void NAME(sum)(int64_t N, int64_t H, const REAL *dz, REAL *to, REAL *spare)
{
    memset(to, 0, H * sizeof(REAL));
    for (int64_t n = 0; n < N; n += LINES) {
        memset(spare, 0, H * sizeof(REAL));
        for (int64_t row = n; row < n + LINES && row < N; row++, dz += H)
            for (int64_t h = 0; h < H; h++)
                spare[h] += dz[h];
        for (int64_t h = 0; h < H; h++)
            to[h] += spare[h];
    }
}

/* Gradients of the tensors, each NULL if not wanted. The state before the first step is the
   initial one, before the others it is that of the step before. */
static void NAME(gradients)(NAME(gemm) *gemm, int64_t T, int64_t B, int64_t I, int64_t H,
                            int reverse, const REAL *x, const REAL *initial, const REAL *weight_ih,
                            const REAL *states, const REAL *dz, REAL *grad_x, REAL *grad_weight_ih,
                            REAL *grad_weight_hh, REAL *grad_bias, REAL *spare)
{
    int64_t first = reverse ? T - 1 : 0, later = !reverse, before = reverse;
    if (grad_x)
        NAME(multiply)(gemm, 0, 0, T * B, I, H, dz, weight_ih, 0, grad_x);
    if (grad_weight_ih) {
        memset(grad_weight_ih, 0, H * I * sizeof(REAL));
        NAME(outer)(gemm, T * B, H, I, dz, x, grad_weight_ih, spare);
    }
    if (grad_weight_hh) {
        memset(grad_weight_hh, 0, H * H * sizeof(REAL));
        NAME(outer)(gemm, B, H, H, dz + first * B * H, initial, grad_weight_hh, spare);
        NAME(outer)(gemm, (T - 1) * B, H, H, dz + later * B * H, states + before * B * H,
                    grad_weight_hh, spare);
    }
    if (grad_bias)
        NAME(sum)(T * B, H, dz, grad_bias, spare);
}

/* sizes: R, T, B, I, H, kind, reverse; then how far apart runs lie in each array, in order.
   carried (B, H) is dL/dh(T) at first, and dL/dh(0) in the end; grad_z (T, B, H), held (B, H) and
   spare (H, the larger of H and I) are room. */
void NAME(backward)(NAME(gemm) *gemm, const int64_t *sizes, const REAL *grad_states, const REAL *x,
                    const REAL *initial, const REAL *weight_ih, const REAL *weight_hh,
                    const int64_t *lengths, const REAL *states, REAL *carried, REAL *grad_x,
                    REAL *grad_weight_ih, REAL *grad_weight_hh, REAL *grad_bias, REAL *grad_z,
                    REAL *held, REAL *spare)
{
    const int64_t *apart = sizes + 7;
    int64_t T = sizes[1], B = sizes[2], I = sizes[3], H = sizes[4];
    for (int64_t r = 0; r < sizes[0]; r++) {
        NAME(backward_run)(gemm, T, B, H, sizes[5], sizes[6], AT(grad_states, 0), AT(weight_hh, 4),
                           AT(lengths, 5), AT(states, 6), AT(carried, 7), grad_z, held);
        NAME(gradients)(gemm, T, B, I, H, sizes[6], AT(x, 1), AT(initial, 2), AT(weight_ih, 3),
                        AT(states, 6), grad_z, AT(grad_x, 8), AT(grad_weight_ih, 9),
                        AT(grad_weight_hh, 10), AT(grad_bias, 11), spare);
    }
}

#undef AT
#endif
