/* One direction of an LSTM layer, forward and backward, for R independent runs.

   Shapes: runs R, time T, batch B, inputs I, hidden H; gates i, f, g, o in the rows of the weights.
   Matrix products are done here because the cell can then be computed on a tile of them while it
   is in registers, weights are rearranged once for all steps, and a run's numbers depend on nothing
   but itself: not on R and not on the number of threads. */

#ifndef REAL

/* All kernels are compiled for products fused into sums, and for sums in any order. Only the first
   is wanted here: vectors are written out, and rounding by adding and taking away a large number
   (in exp) is lost in another order. */
#pragma GCC optimize("no-associative-math")
#pragma clang fp reassociate(off)

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__AVX512F__)
#define BYTES 64
#define ROWS 6 /* times 4 vectors: 24 sums in 32 registers */
#elif defined(__AVX__)
#define BYTES 32
#define ROWS 3 /* times 4 vectors: 12 sums in 16 registers */
#else
#define BYTES 16
#define ROWS 6
#endif

#define DEPTH 128 /* times 4 vectors of 64 bytes: 32 KiB of a panel */

#define INLINE static inline __attribute__((always_inline))
#define PASTE(a, b) a##b
#define JOIN(a, b) PASTE(a, b)
#define NAME(name) JOIN(JOIN(name, _), REAL)

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t blocks(int64_t length, int64_t size) { return (length + size - 1) / size; }

/* A part of the threads that work on one run. */
typedef struct {
    int index, count;
} team;

INLINE int64_t first(team all, int64_t things) { return things * all.index / all.count; }
INLINE int64_t last(team all, int64_t things) { return things * (all.index + 1) / all.count; }

static void wait_for_all(team all) {
    if (all.count > 1) {
#pragma omp barrier
    }
}

static void *scratch(int64_t bytes) {
    return aligned_alloc(64, (size_t)blocks(bytes, 64) * 64 + 64);
}

#define REAL float
#include __FILE__
#undef REAL
#define REAL double
#include __FILE__

#else /* everything below is read twice, for float and for double */

typedef REAL NAME(vec) __attribute__((vector_size(BYTES)));
typedef REAL NAME(loose) __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
#define V ((int)(BYTES / sizeof(REAL)))
#define VEC NAME(vec)

INLINE VEC NAME(get)(const REAL *from) { return *(const NAME(loose) *)from; }
INLINE void NAME(put)(REAL *to, VEC value) { *(NAME(loose) *)to = value; }

/* The first n of V numbers; the others are 0, or stay. */
INLINE VEC NAME(load)(const REAL *from, int n) {
    if (n >= V) return NAME(get)(from);
    VEC value = {0};
    for (int j = 0; j < n; j++) value[j] = from[j];
    return value;
}
INLINE void NAME(store)(REAL *to, VEC value, int n) {
    if (n >= V) {
        NAME(put)(to, value);
    } else {
        for (int j = 0; j < n; j++) to[j] = value[j];
    }
}

/* sums[i][j] += sum over k of a[i * row + k * step] * panel[k * width + j], for m rows i and
   c vectors of columns j. The sum over k starts from zero, so that in a long sum, which is made of
   many of these, a product is not rounded at the size of the whole. */
INLINE void NAME(multiply)(int m, int c, REAL *sums, int64_t stride, const REAL *a, int64_t row,
                           int64_t step, const REAL *panel, int64_t width, int64_t count) {
    VEC sum[ROWS][4];
#pragma GCC unroll 6
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < c; j++) sum[i][j] = (VEC){0};
    for (int64_t k = 0; k < count; k++, a += step, panel += width) {
        VEC columns[4];
#pragma GCC unroll 4
        for (int j = 0; j < c; j++) columns[j] = NAME(get)(panel + j * V);
#pragma GCC unroll 6
        for (int i = 0; i < m; i++) {
            VEC each = a[i * row] - (VEC){0};
#pragma GCC unroll 4
            for (int j = 0; j < c; j++) sum[i][j] += each * columns[j];
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < c; j++) {
            REAL *to = sums + i * stride + j * V;
            NAME(put)(to, NAME(get)(to) + sum[i][j]);
        }
}

#define CASE(m, c) \
    case (m) * 8 + (c): \
        if ((m) <= ROWS) NAME(multiply)(m, c, sums, stride, a, row, step, panel, width, count); \
        break;
#define CASES(m) CASE(m, 1) CASE(m, 2) CASE(m, 4)

static void NAME(tile)(int m, int c, REAL *sums, int64_t stride, const REAL *a, int64_t row,
                       int64_t step, const REAL *panel, int64_t width, int64_t count) {
    switch (m * 8 + c) { CASES(1) CASES(2) CASES(3) CASES(4) CASES(5) CASES(6) }
}
#undef CASE
#undef CASES

/* The same for any number m of rows; a part of the panel stays in the fastest cache meanwhile. */
static void NAME(sweep)(int64_t m, int c, REAL *sums, int64_t stride, const REAL *a, int64_t row,
                        int64_t step, const REAL *panel, int64_t width, int64_t count) {
    for (int64_t k = 0; k < count; k += DEPTH)
        for (int64_t i = 0; i < m; i += ROWS)
            NAME(tile)(smaller(ROWS, m - i), c, sums + i * stride, stride, a + i * row + k * step,
                       row, step, panel + k * width, width, smaller(DEPTH, count - k));
}

/* How many vectors of columns to take at once when `left` columns are left. */
INLINE int NAME(vectors)(int64_t left) {
    int64_t count = blocks(left, V);
    return count >= 4 ? 4 : count >= 2 ? 2 : 1;
}

/* to[j][i] = from[i][j] */
static void NAME(transpose)(REAL *to, int64_t to_stride, const REAL *from, int64_t from_stride,
                            int64_t rows, int64_t columns) {
    for (int64_t c = 0; c < columns; c += 16)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = c; j < smaller(c + 16, columns); j++)
                to[j * to_stride + i] = from[i * from_stride + j];
}

/* The rows of a (count, columns) matrix cut into panels of 4, 2 or 1 vectors, each laid close. */
static REAL *NAME(panels)(const REAL *from, int64_t count, int64_t columns) {
    REAL *all = scratch(count * blocks(columns, V) * V * sizeof(REAL));
    REAL *to = all;
    if (!all) return all;
    for (int64_t j = 0; j < columns;) {
        int64_t width = NAME(vectors)(columns - j) * V, n = smaller(width, columns - j);
        for (int64_t k = 0; k < count; k++, to += width) {
            memcpy(to, from + k * columns + j, n * sizeof(REAL));
            if (n < width) memset(to + n, 0, (width - n) * sizeof(REAL));
        }
        j += width;
    }
    return all;
}

/* ---- functions of the gates ---- */

#define IS_FLOAT (sizeof(REAL) == 4)
typedef int32_t NAME(bits) __attribute__((vector_size(BYTES)));

/* exp(-x) - 1 = scale - 1 + scale * rest for x >= 0; both are 0 from x = 88 on, where float has no
   such normal number. The polynomial is (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, to 7e-8. */
INLINE VEC NAME(decay)(VEC x, VEC *scale) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to whole numbers */
    NAME(bits) far = (NAME(bits))(x > 88.0f);
    x = (VEC)((far & (NAME(bits))((VEC){0} + 88.0f)) | (~far & (NAME(bits))x));
    VEC shifted = shift - x * 1.44269504f, n = shifted - shift;
    VEC r = -x - n * 0.693359375f; /* ln 2 in two parts; the first has few digits */
    r = r + n * 2.12194440e-4f;
    VEC tail = r * 1.39337e-3f + 8.36318e-3f;
    tail = tail * r + 4.166646e-2f;
    tail = tail * r + 0.16666577f;
    tail = tail * r + 0.5f;
    *scale = (VEC)(((NAME(bits))shifted << 23) + 0x3f800000);
    return tail * (r * r) + r;
}

INLINE VEC NAME(magnitude)(VEC x) { return (VEC)((NAME(bits))x & 0x7fffffff); }

/* In float exact to some 1e-7 of its value, where that is no subnormal number: then it is 0. */
INLINE VEC NAME(sigmoid)(VEC x) {
    if (!IS_FLOAT) {
        for (int j = 0; j < V; j++) x[j] = 1 / (1 + exp(-x[j]));
        return x;
    }
    VEC scale, rest = NAME(decay)(NAME(magnitude)(x), &scale);
    VEC small = scale + scale * rest;
    NAME(bits) below = (NAME(bits))(x < 0.0f);
    VEC top = (VEC)((below & (NAME(bits))small) | (~below & (NAME(bits))((VEC){0} + 1.0f)));
    return top / (1.0f + small);
}

/* In float exact to some 1e-7 of its value, near 0 too. */
INLINE VEC NAME(tanh)(VEC x) {
    if (!IS_FLOAT) {
        for (int j = 0; j < V; j++) x[j] = tanh(x[j]);
        return x;
    }
    VEC scale, rest = NAME(decay)(2.0f * NAME(magnitude)(x), &scale);
    VEC lost = (1.0f - scale) - scale * rest;
    VEC result = lost / (2.0f - lost);
    return (VEC)((NAME(bits))result | ((NAME(bits))x & (int32_t)0x80000000));
}

/* ---- forward ---- */

typedef struct {
    int64_t T, B, I, H;
    int64_t x_step, x_row, reverse;
    const REAL *x, *h0, *c0, *w_ih, *w_hh, *b_ih, *b_hh;
    const int64_t *lengths;
    REAL *y, *h_n, *c_n, *gates, *cells;
} NAME(forward_run);

/* Gates, cells and outputs of n units of all rows from the gates' sums. */
INLINE void NAME(cell)(const NAME(forward_run) *p, const VEC (*sums)[4], int64_t t, int64_t u,
                       int n, const REAL *h, const REAL *c, REAL *c_new) {
    for (int64_t b = 0; b < p->B; b++) {
        int64_t at = b * p->H + u;
        REAL *y = p->y + t * p->B * p->H + at;
        REAL *kept = p->gates ? p->gates + (t * p->B + b) * 4 * p->H + u : NULL;
        VEC before = NAME(load)(c + at, n);
        if (p->lengths && t >= p->lengths[b]) {
            NAME(store)(y, NAME(load)(h + at, n), n);
            NAME(store)(c_new + at, before, n);
            for (int k = 0; kept && k < 4; k++) NAME(store)(kept + k * p->H, (VEC){0}, n);
            continue;
        }
        VEC i = NAME(sigmoid)(sums[b][0]), f = NAME(sigmoid)(sums[b][1]);
        VEC g = NAME(tanh)(sums[b][2]), o = NAME(sigmoid)(sums[b][3]);
        VEC now = f * before + i * g;
        NAME(store)(c_new + at, now, n);
        NAME(store)(y, o * NAME(tanh)(now), n);
        if (kept) {
            NAME(store)(kept, i, n);
            NAME(store)(kept + p->H, f, n);
            NAME(store)(kept + 2 * p->H, g, n);
            NAME(store)(kept + 3 * p->H, o, n);
        }
    }
}

/* Biases of units u .. u+n as (4 gates, V), then their weights as (I + H, 4 gates, V). */
static void NAME(pack_units)(const NAME(forward_run) *p, int64_t u, int n, REAL *to) {
    int64_t width = 4 * V;
    memset(to, 0, (n < V ? p->I + p->H + 1 : 1) * width * sizeof(REAL));
    for (int g = 0; g < 4; g++) {
        int64_t row = g * p->H + u;
        REAL *panel = to + width + g * V;
        for (int j = 0; j < n && p->b_ih; j++) to[g * V + j] += p->b_ih[row + j];
        for (int j = 0; j < n && p->b_hh; j++) to[g * V + j] += p->b_hh[row + j];
        NAME(transpose)(panel, width, p->w_ih + row * p->I, p->I, n, p->I);
        NAME(transpose)(panel + p->I * width, width, p->w_hh + row * p->H, p->H, n, p->H);
    }
}

static void NAME(forward)(const NAME(forward_run) *p, REAL *panels, REAL *all_sums, team all) {
    int64_t B = p->B, H = p->H, I = p->I, width = 4 * V, panel_size = (I + H + 1) * width;
    int64_t begin = first(all, blocks(H, V)), end = last(all, blocks(H, V));
    REAL *sums = all_sums + all.index * B * width;
    for (int64_t k = begin; k < end; k++)
        NAME(pack_units)(p, k * V, smaller(V, H - k * V), panels + k * panel_size);
    const REAL *h = p->h0, *c = p->c0;
    for (int64_t s = 0; s < p->T; s++) {
        int64_t t = p->reverse ? p->T - 1 - s : s;
        const REAL *x = p->x + t * p->x_step;
        REAL *c_new = p->cells ? p->cells + t * B * H : p->c_n;
        for (int64_t k = begin; k < end; k++) {
            const REAL *bias = panels + k * panel_size, *panel = bias + width;
            for (int64_t b = 0; b < B; b++) memcpy(sums + b * width, bias, width * sizeof(REAL));
            NAME(sweep)(B, 4, sums, width, x, p->x_row, 1, panel, width, I);
            NAME(sweep)(B, 4, sums, width, h, H, 1, panel + I * width, width, H);
            NAME(cell)(p, (VEC(*)[4])sums, t, k * V, smaller(V, H - k * V), h, c, c_new);
        }
        wait_for_all(all);
        h = p->y + t * B * H, c = c_new;
    }
    if (all.index == 0) {
        memcpy(p->h_n, h, B * H * sizeof(REAL));
        if (c != p->c_n) memcpy(p->c_n, c, B * H * sizeof(REAL));
    }
}

/* ---- backward ---- */

#define CHUNK 256 /* rows that a product for the weights' gradients should have at least */

typedef struct {
    int64_t T, B, I, H;
    int64_t x_step, x_row, reverse;
    const REAL *dy, *dh_n, *dc_n; /* NULL: 0 */
    int64_t dy_step, dy_row;
    const REAL *x, *h0, *c0, *w_ih, *w_hh;
    const int64_t *lengths;
    const REAL *y, *gates, *cells;
    REAL *dx, *dh0, *dc0, *dw_ih, *dw_hh, *db; /* NULL: not wanted */
    /* Scratch: gradients of the gates of the last steps, and what these steps read, (steps, B,
       stride); gradients of cells and of held states; of weights and biases transposed, (I + H + 1,
       columns); sums of each thread; weights rearranged. */
    int64_t chunk, slots, stride, source_stride, columns;
    REAL *steps, *sources, *dc, *held, *dw, *sums, *panels_hh, *panels_ih;
} NAME(backward_run);

INLINE int64_t NAME(time_of)(const NAME(backward_run) *p, int64_t s) {
    return p->reverse ? p->T - 1 - s : s;
}
INLINE REAL *NAME(slot)(const NAME(backward_run) *p, int64_t s) {
    return p->steps + s % p->slots * p->B * p->stride;
}

/* Gradients of the gates' sums of one row and n units, from dL/dh. */
INLINE void NAME(cell_backward)(const NAME(backward_run) *p, VEC dh, int64_t t, int64_t b,
                                int64_t u, int n, const REAL *c_before, REAL *to) {
    int64_t H = p->H, at = b * H + u, row = t * p->B + b;
    if (p->dy) dh += NAME(load)(p->dy + t * p->dy_step + b * p->dy_row + u, n);
    dh += NAME(load)(p->held + at, n);
    to += b * p->stride + u;
    if (p->lengths && t >= p->lengths[b]) {
        NAME(store)(p->held + at, dh, n);
        for (int k = 0; k < 4; k++) NAME(store)(to + k * H, (VEC){0}, n);
        return;
    }
    NAME(store)(p->held + at, (VEC){0}, n);
    const REAL *kept = p->gates + row * 4 * H + u;
    VEC i = NAME(load)(kept, n), f = NAME(load)(kept + H, n);
    VEC g = NAME(load)(kept + 2 * H, n), o = NAME(load)(kept + 3 * H, n);
    VEC bent = NAME(tanh)(NAME(load)(p->cells + row * H + u, n));
    VEC dc = NAME(load)(p->dc + at, n) + dh * o * (1 - bent * bent);
    NAME(store)(p->dc + at, dc * f, n);
    NAME(store)(to, dc * g * i * (1 - i), n);
    NAME(store)(to + H, dc * NAME(load)(c_before + at, n) * f * (1 - f), n);
    NAME(store)(to + 2 * H, dc * i * (1 - g * g), n);
    NAME(store)(to + 3 * H, dh * bent * o * (1 - o), n);
}

/* Step s: gradients of its gates, for this thread's units; s = -1 only gives dh0. */
static void NAME(step_backward)(const NAME(backward_run) *p, int64_t s, team all) {
    int64_t B = p->B, H = p->H, t = NAME(time_of)(p, s), before = NAME(time_of)(p, s - 1);
    const REAL *c_before = s > 0 ? p->cells + before * B * H : p->c0, *panel = p->panels_hh;
    REAL *now = s < 0 ? NULL : NAME(slot)(p, s), *sums = p->sums + all.index * B * 4 * V;
    int64_t begin = first(all, blocks(H, 4 * V)) * 4 * V, end = last(all, blocks(H, 4 * V)) * 4 * V;
    for (int64_t u = 0; u < H && u < end;) {
        int c = NAME(vectors)(H - u);
        if (u >= begin) {
            memset(sums, 0, B * c * sizeof(VEC));
            if (s < p->T - 1)
                NAME(sweep)(B, c, sums, c * V, NAME(slot)(p, s + 1), p->stride, 1, panel, c * V,
                            4 * H);
            for (int64_t k = 0; k < B * c; k++) {
                int64_t b = k / c, w = u + k % c * V, at = b * H + w;
                int n = smaller(V, H - w);
                VEC dh = NAME(get)(sums + k * V);
                if (n <= 0) continue;
                if (now) {
                    NAME(cell_backward)(p, dh, t, b, w, n, c_before, now);
                } else {
                    NAME(store)(p->dh0 + at, dh + NAME(load)(p->held + at, n), n);
                }
            }
        }
        panel += 4 * H * c * V;
        u += c * V;
    }
}

/* dx of step s, this thread's rows. */
static void NAME(input_gradient)(const NAME(backward_run) *p, int64_t s, team all) {
    int64_t B = p->B, I = p->I, begin = first(all, B), rows = last(all, B) - begin;
    const REAL *now = NAME(slot)(p, s) + begin * p->stride, *panel = p->panels_ih;
    REAL *sums = p->sums + all.index * B * 4 * V;
    REAL *dx = p->dx + (NAME(time_of)(p, s) * B + begin) * I;
    for (int64_t i = 0; i < I;) {
        int c = NAME(vectors)(I - i);
        memset(sums, 0, rows * c * sizeof(VEC));
        NAME(sweep)(rows, c, sums, c * V, now, p->stride, 1, panel, c * V, 4 * p->H);
        for (int64_t b = 0; b < rows; b++)
            memcpy(dx + b * I + i, sums + b * c * V, smaller(c * V, I - i) * sizeof(REAL));
        panel += 4 * p->H * c * V;
        i += c * V;
    }
}

/* Copy what the gates of step s read: inputs, states before, and a one for the biases. */
static void NAME(gather)(const NAME(backward_run) *p, int64_t s, team all) {
    int64_t B = p->B, I = p->I, H = p->H;
    const REAL *x = p->x + NAME(time_of)(p, s) * p->x_step;
    const REAL *h = s ? p->y + NAME(time_of)(p, s - 1) * B * H : p->h0;
    for (int64_t b = first(all, B); b < last(all, B); b++) {
        REAL *to = p->sources + (s % p->slots * B + b) * p->source_stride;
        memcpy(to, x + b * p->x_row, I * sizeof(REAL));
        memcpy(to + I, h + b * H, H * sizeof(REAL));
        to[I + H] = 1;
    }
}

/* Add steps s .. s+count to the gradients of weights and biases, for this thread's gates. */
static void NAME(weight_gradients)(const NAME(backward_run) *p, int64_t s, int64_t count,
                                   team all) {
    int64_t wide = blocks(p->columns, 4 * V), end = smaller(last(all, wide) * 4 * V, p->columns);
    int64_t from = p->dw_ih ? 0 : p->dw_hh ? p->I : p->I + p->H;
    int64_t to = p->db ? p->I + p->H + 1 : p->dw_hh ? p->I + p->H : p->I;
    const REAL *sources = p->sources + s % p->slots * p->B * p->source_stride;
    for (int64_t m = first(all, wide) * 4 * V; m < end;) {
        int c = NAME(vectors)(end - m);
        NAME(sweep)(to - from, c, p->dw + from * p->columns + m, p->columns, sources + from, 1,
                    p->source_stride, NAME(slot)(p, s) + m, p->stride, count * p->B);
        m += c * V;
    }
}

static void NAME(backward)(const NAME(backward_run) *p, team all) {
    int64_t columns = p->columns, to = p->T, weights = p->dw_ih || p->dw_hh || p->db;
    for (int64_t s = p->T - 1; s >= 0; s--) {
        NAME(step_backward)(p, s, all);
        if (weights) NAME(gather)(p, s, all);
        wait_for_all(all);
        if (p->dx) NAME(input_gradient)(p, s, all);
        if (weights && s % p->chunk == 0) {
            NAME(weight_gradients)(p, s, to - s, all);
            wait_for_all(all);
            to = s;
        }
    }
    if (p->dh0) NAME(step_backward)(p, -1, all);
    wait_for_all(all);
    if (all.index) return;
    if (p->dc0) memcpy(p->dc0, p->dc, p->B * p->H * sizeof(REAL));
    if (p->dw_ih) NAME(transpose)(p->dw_ih, p->I, p->dw, columns, p->I, 4 * p->H);
    if (p->dw_hh) NAME(transpose)(p->dw_hh, p->H, p->dw + p->I * columns, columns, p->H, 4 * p->H);
    if (p->db) memcpy(p->db, p->dw + (p->I + p->H) * columns, 4 * p->H * sizeof(REAL));
}

static int NAME(whole_forward)(const NAME(forward_run) *p, int threads) {
    int64_t panels = blocks(p->H, V) * 4 * V * (p->I + p->H + 1);
    REAL *all = scratch((panels + threads * p->B * 4 * V) * sizeof(REAL));
    if (!all) return 1;
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads(threads)
        NAME(forward)(p, all, all + panels, (team){omp_get_thread_num(), omp_get_num_threads()});
    } else
#endif
        NAME(forward)(p, all, all + panels, (team){0, 1});
    free(all);
    return 0;
}

static int NAME(whole_backward)(NAME(backward_run) *p, int threads) {
    int64_t B = p->B, states = B * p->H, sources = p->I + p->H + 1;
    p->chunk = smaller(p->T, blocks(CHUNK, B ? B : 1));
    p->slots = p->chunk > 1 ? p->chunk : 2; /* the step after the present one must stay */
    p->columns = blocks(4 * p->H, V) * V;
    p->stride = p->columns + V; /* no power of 2, or rows would share a place in the cache */
    p->source_stride = blocks(sources, V) * V + V;
    int64_t zeros = p->slots * B * p->stride + sources * p->columns + 2 * states;
    int64_t rest = p->slots * B * p->source_stride + threads * B * 4 * V;
    REAL *all = scratch((zeros + rest) * sizeof(REAL));
    p->panels_hh = NAME(panels)(p->w_hh, 4 * p->H, p->H);
    p->panels_ih = p->dx ? NAME(panels)(p->w_ih, 4 * p->H, p->I) : NULL;
    int failed = !all || !p->panels_hh || (p->dx && !p->panels_ih);
    if (!failed) {
        memset(all, 0, zeros * sizeof(REAL));
        p->steps = all, p->dw = all + p->slots * B * p->stride;
        p->sums = all + zeros, p->sources = p->sums + threads * B * 4 * V;
        p->held = p->dw + sources * p->columns, p->dc = p->held + states;
        if (p->dh_n) memcpy(p->held, p->dh_n, states * sizeof(REAL));
        if (p->dc_n) memcpy(p->dc, p->dc_n, states * sizeof(REAL));
#ifdef _OPENMP
        if (threads > 1) {
#pragma omp parallel num_threads(threads)
            NAME(backward)(p, (team){omp_get_thread_num(), omp_get_num_threads()});
        } else
#endif
            NAME(backward)(p, (team){0, 1});
    }
    free(all), free(p->panels_hh), free(p->panels_ih);
    return failed;
}

/* Threads for each run, when the runs themselves are or are not shared out among them. */
static int NAME(threads_within)(int64_t R, int64_t B, int64_t I, int64_t H, int threads) {
    return R >= threads || B * H * (I + H) < 1 << 17 ? 1 : threads;
}

#define AT(pointer, size) ((pointer) ? (pointer) + r * (size) : NULL)

/* Sizes: R, T, B, I, H, strides of x (run, step, row), reverse, threads. Returns 0, or 1 when
   there is no memory. */
int NAME(lstm_forward)(const int64_t *sizes, const REAL *x, const REAL *h0, const REAL *c0,
                       const REAL *w_ih, const REAL *w_hh, const REAL *b_ih, const REAL *b_hh,
                       const int64_t *lengths, REAL *y, REAL *h_n, REAL *c_n, REAL *gates,
                       REAL *cells) {
    int64_t R = sizes[0], T = sizes[1], B = sizes[2], I = sizes[3], H = sizes[4];
    int threads = sizes[9], within = NAME(threads_within)(R, B, I, H, threads), failed = 0;
    int apart = within == 1 && threads > 1 && R > 1;
#pragma omp parallel for num_threads(threads) if (apart) reduction(| : failed)
    for (int64_t r = 0; r < R; r++) {
        NAME(forward_run) p = {T, B, I, H, sizes[6], sizes[7], sizes[8]};
        p.x = x + r * sizes[5], p.h0 = h0 + r * B * H, p.c0 = c0 + r * B * H;
        p.w_ih = w_ih + r * 4 * H * I, p.w_hh = w_hh + r * 4 * H * H;
        p.b_ih = AT(b_ih, 4 * H), p.b_hh = AT(b_hh, 4 * H), p.lengths = AT(lengths, B);
        p.y = y + r * T * B * H, p.h_n = h_n + r * B * H, p.c_n = c_n + r * B * H;
        p.gates = AT(gates, T * B * 4 * H), p.cells = AT(cells, T * B * H);
        failed |= NAME(whole_forward)(&p, within);
    }
    return failed;
}

/* Sizes: as above, then strides of dy (run, step, row). What is not wanted is NULL. */
int NAME(lstm_backward)(const int64_t *sizes, const REAL *dy, const REAL *dh_n, const REAL *dc_n,
                        const REAL *x, const REAL *h0, const REAL *c0, const REAL *w_ih,
                        const REAL *w_hh, const int64_t *lengths, const REAL *y,
                        const REAL *gates, const REAL *cells, REAL *dx, REAL *dh0, REAL *dc0,
                        REAL *dw_ih, REAL *dw_hh, REAL *db) {
    int64_t R = sizes[0], T = sizes[1], B = sizes[2], I = sizes[3], H = sizes[4];
    int threads = sizes[9], within = NAME(threads_within)(R, B, I, H, threads), failed = 0;
    int apart = within == 1 && threads > 1 && R > 1;
#pragma omp parallel for num_threads(threads) if (apart) reduction(| : failed)
    for (int64_t r = 0; r < R; r++) {
        NAME(backward_run) p = {T, B, I, H, sizes[6], sizes[7], sizes[8]};
        p.dy = AT(dy, sizes[10]), p.dy_step = sizes[11], p.dy_row = sizes[12];
        p.dh_n = AT(dh_n, B * H), p.dc_n = AT(dc_n, B * H);
        p.x = x + r * sizes[5], p.h0 = h0 + r * B * H, p.c0 = c0 + r * B * H;
        p.w_ih = w_ih + r * 4 * H * I, p.w_hh = w_hh + r * 4 * H * H, p.lengths = AT(lengths, B);
        p.y = y + r * T * B * H, p.cells = cells + r * T * B * H;
        p.gates = gates + r * T * B * 4 * H;
        p.dx = AT(dx, T * B * I), p.dh0 = AT(dh0, B * H), p.dc0 = AT(dc0, B * H);
        p.dw_ih = AT(dw_ih, 4 * H * I), p.dw_hh = AT(dw_hh, 4 * H * H), p.db = AT(db, 4 * H);
        failed |= NAME(whole_backward)(&p, within);
    }
    return failed;
}

#undef AT
#undef V
#undef VEC
#undef CHUNK
#undef IS_FLOAT

#endif
