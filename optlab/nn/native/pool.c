/* Maximum and mean over windows of images (float32, float64; planes of H x W) and their gradients.

   A row of results is made window position by window position, so that the inner loop runs along
   the row. Letters: P, Q height and width of the result; window M x N; `which` is m * N + n, the
   place of the maximum. Functions return 0, or 1 where there is no memory. */

#ifndef REAL

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t planes, H, W, P, Q, M, N, stride_h, stride_w, top, left;
} Sizes;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Results first..last - 1 of a row have a pixel inside the image at one column of their window;
   that of result `first` is column `at` of the image. */
typedef struct {
    int64_t first, last, at;
} Inside;

/* Return this for each column of a window, or NULL where there is no memory; free it. */
static Inside *columns_inside(const Sizes *s) {
    Inside *columns = malloc(s->N * sizeof(Inside));
    if (!columns) return NULL;
    for (int64_t n = 0; n < s->N; n++) {
        int64_t start = n - s->left;
        int64_t first = start < 0 ? (-start + s->stride_w - 1) / s->stride_w : 0;
        int64_t last = start < s->W ? smaller(s->Q, (s->W - 1 - start) / s->stride_w + 1) : 0;
        columns[n] = (Inside){first, larger(first, last), start + first * s->stride_w};
    }
    return columns;
}

/* The number of this thread among those of a loop. */
#ifdef _OPENMP
#include <omp.h>
#define THREAD omp_get_thread_num()
#else
#define THREAD 0
#endif

/* Results that are computed together. */
#define PIECE 16

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(a) JOIN(a, REAL)

#define REAL float
#define INDEX int32_t
#include __FILE__
#undef REAL
#undef INDEX
#define REAL double
#define INDEX int64_t
#include __FILE__
#undef REAL
#undef INDEX

#else

static inline __attribute__((always_inline)) void NAME(take_larger)(
    const REAL *restrict x, const int64_t step, int64_t count, INDEX place, REAL *restrict best,
    INDEX *restrict which) {
    for (int64_t q = 0; q < count; q++) {
        REAL value = x[q * step];
        int take = (value > best[q]) | (value != value);
        best[q] = take ? value : best[q];
        which[q] = take ? place : which[q];
    }
}

/* One row of results; `first` holds the first place inside the image of each in a whole window. */
static void NAME(max_row)(const Sizes *s, const Inside *columns, const INDEX *restrict first,
                          const REAL *x, int64_t p, REAL *restrict best, INDEX *restrict which) {
    int64_t top = p * s->stride_h - s->top, from = larger(0, -top);
    INDEX skipped = from * s->N;
    for (int64_t q = 0; q < s->Q; q++) {
        best[q] = -__builtin_inf();
        which[q] = skipped + first[q];
    }
    for (int64_t m = from; m < smaller(s->M, s->H - top); m++)
        for (int64_t n = 0; n < s->N; n++) {
            int64_t at = columns[n].first, count = columns[n].last - at;
            const REAL *start = x + (top + m) * s->W + columns[n].at;
            INDEX place = m * s->N + n;
            if (s->stride_w == 1)
                NAME(take_larger)(start, 1, count, place, best + at, which + at);
            else if (s->stride_w == 2)
                NAME(take_larger)(start, 2, count, place, best + at, which + at);
            else
                NAME(take_larger)(start, s->stride_w, count, place, best + at, which + at);
        }
}

/* PIECE results of 2 x 2 windows side by side, the usual ones. A fixed number of them, and both
   columns of a window read together, make this quick. */
static void NAME(max_of_fours)(const REAL *restrict upper, const REAL *restrict lower,
                               REAL *restrict y, INDEX *restrict which) {
    for (int64_t q = 0; q < PIECE; q++) {
        REAL values[4] = {upper[2 * q], upper[2 * q + 1], lower[2 * q], lower[2 * q + 1]};
        REAL best = values[0];
        INDEX place = 0;
#pragma GCC unroll 4
        for (INDEX k = 1; k < 4; k++) {
            int take = (values[k] > best) | (values[k] != values[k]);
            best = take ? values[k] : best;
            place = take ? k : place;
        }
        y[q] = best;
        which[q] = place;
    }
}

/* A row of such results. The last may be fewer than PIECE: they are made in a copy, from a copy
   where there is nothing to read behind them. */
static void NAME(max_row_of_fours)(const REAL *upper, const REAL *lower, const REAL *end,
                                   int64_t count, REAL *y, INDEX *which) {
    int64_t q = 0;
    for (; q + PIECE <= count; q += PIECE)
        NAME(max_of_fours)(upper + 2 * q, lower + 2 * q, y + q, which + q);
    if (q == count) return;
    REAL from[4 * PIECE] = {0}, some[PIECE];
    upper += 2 * q, lower += 2 * q;
    if (end - lower < 2 * PIECE) {
        memcpy(from, upper, 2 * (count - q) * sizeof(REAL));
        memcpy(from + 2 * PIECE, lower, 2 * (count - q) * sizeof(REAL));
        upper = from, lower = from + 2 * PIECE;
    }
    NAME(max_of_fours)(upper, lower, some, which + q);
    for (int64_t i = 0; q + i < count; i++) y[q + i] = some[i];
}

int NAME(max_pool2d)(const Sizes *s, const REAL *x, REAL *y, int16_t *places, int threads) {
    const REAL *end = x + s->planes * s->H * s->W;
    int halves = s->M == 2 && s->N == 2 && s->stride_w == 2 && s->left == 0 && s->top == 0;
    Inside *columns = columns_inside(s);
    INDEX *first = malloc((s->Q + 1) * sizeof(INDEX)), *rows;
    rows = malloc(larger(1, threads) * (s->Q + PIECE) * sizeof(INDEX));
    int failed = !columns || !first || !rows;
    for (int64_t q = 0; !failed && q < s->Q; q++) first[q] = larger(0, s->left - q * s->stride_w);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t plane = 0; plane < (failed ? 0 : s->planes); plane++) {
        INDEX *which = rows + THREAD * (s->Q + PIECE);
        for (int64_t p = 0; p < s->P; p++) {
            const REAL *image = x + plane * s->H * s->W, *row = image + p * s->stride_h * s->W;
            int64_t at = (plane * s->P + p) * s->Q;
            if (halves)
                NAME(max_row_of_fours)(row, row + s->W, end, s->Q, y + at, which);
            else
                NAME(max_row)(s, columns, first, image, p, y + at, which);
            for (int64_t q = 0; q < s->Q; q++) places[at + q] = which[q];
        }
    }
    free(rows);
    free(first);
    free(columns);
    return failed;
}

int NAME(max_pool2d_grad)(const Sizes *s, const REAL *grad, const int16_t *places, REAL *to,
                           int threads) {
    int64_t *shift = malloc(s->M * s->N * sizeof(int64_t));
    if (!shift) return 1;
    for (int64_t place = 0; place < s->M * s->N; place++)
        shift[place] = place / s->N * s->W + place % s->N;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t plane = 0; plane < s->planes; plane++) {
        REAL *image = to + plane * s->H * s->W;
        memset(image, 0, s->H * s->W * sizeof(REAL));
        for (int64_t p = 0; p < s->P; p++) {
            int64_t at = (plane * s->P + p) * s->Q;
            REAL *corner = image + (p * s->stride_h - s->top) * s->W - s->left;
            for (int64_t q = 0; q < s->Q; q++)
                corner[q * s->stride_w + shift[places[at + q]]] += grad[at + q];
        }
    }
    free(shift);
    return 0;
}

int NAME(avg_pool2d)(const Sizes *s, const REAL *x, REAL *y, int threads) {
    REAL share = (REAL)1 / (s->M * s->N);
    Inside *columns = columns_inside(s);
    if (!columns) return 1;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t plane = 0; plane < s->planes; plane++)
        for (int64_t p = 0; p < s->P; p++) {
            REAL *restrict row = y + (plane * s->P + p) * s->Q;
            int64_t top = p * s->stride_h - s->top;
            for (int64_t q = 0; q < s->Q; q++) row[q] = 0;
            for (int64_t m = larger(0, -top); m < smaller(s->M, s->H - top); m++)
                for (int64_t n = 0; n < s->N; n++) {
                    const REAL *restrict from = x + (plane * s->H + top + m) * s->W + columns[n].at;
                    int64_t at = columns[n].first, count = columns[n].last - at;
                    if (s->stride_w == 2)
                        for (int64_t q = 0; q < count; q++) row[at + q] += from[2 * q];
                    else
                        for (int64_t q = 0; q < count; q++) row[at + q] += from[q * s->stride_w];
                }
            for (int64_t q = 0; q < s->Q; q++) row[q] *= share;
        }
    free(columns);
    return 0;
}

int NAME(avg_pool2d_grad)(const Sizes *s, const REAL *grad, REAL *to, int threads) {
    REAL share = (REAL)1 / (s->M * s->N);
    Inside *columns = columns_inside(s);
    if (!columns) return 1;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t plane = 0; plane < s->planes; plane++) {
        REAL *image = to + plane * s->H * s->W;
        memset(image, 0, s->H * s->W * sizeof(REAL));
        for (int64_t p = 0; p < s->P; p++) {
            const REAL *restrict row = grad + (plane * s->P + p) * s->Q;
            int64_t top = p * s->stride_h - s->top;
            for (int64_t m = larger(0, -top); m < smaller(s->M, s->H - top); m++)
                for (int64_t n = 0; n < s->N; n++) {
                    REAL *restrict line = image + (top + m) * s->W + columns[n].at;
                    int64_t at = columns[n].first, count = columns[n].last - at;
                    for (int64_t q = 0; q < count; q++)
                        line[q * s->stride_w] += row[at + q] * share;
                }
        }
    }
    free(columns);
    return 0;
}

#endif
