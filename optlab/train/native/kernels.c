/* What generated functions call, and the loop that trains many runs.

   A run's numbers depend on nothing but itself: a product of matrices is made by one thread, in an
   order that follows from its sizes alone. */

#ifndef REAL

/* Products may be fused into sums; the order of sums is as written. */
#pragma GCC optimize("no-associative-math")
#pragma clang fp reassociate(off)

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#define ROWS 6 /* times 4 vectors: 24 sums in 32 registers */
#elif defined(__AVX__)
#define BYTES 32
#define ROWS 3
#else
#define BYTES 16
#define ROWS 6
#endif
#define DEPTH 256 /* of a panel of 4 vectors: 64 KiB at most */

#define INLINE static inline __attribute__((always_inline))
#define PASTE(a, b) a##b
#define JOIN(a, b) PASTE(a, b)
#define NAME(name) JOIN(JOIN(name, _), REAL)

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

#define REAL float
#include __FILE__
#undef REAL
#define REAL double
#include __FILE__
#undef REAL
#define REAL_IS_DONE

#elif !defined(REAL_IS_DONE) /* read twice, for float and for double */

typedef REAL NAME(vec) __attribute__((vector_size(BYTES)));
typedef REAL NAME(loose) __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
#define V ((int)(BYTES / sizeof(REAL)))
#define VEC NAME(vec)

INLINE VEC NAME(get)(const REAL *from) { return *(const NAME(loose) *)from; }
INLINE void NAME(put)(REAL *to, VEC value) { *(NAME(loose) *)to = value; }

/* c[i][j] = (or +=) sum over k of a[i * row + k * step] * panel[k * width + j], for m rows i and v
   vectors of columns j. */
INLINE void NAME(rows)(int m, int v, REAL *c, int64_t c_row, const REAL *a, int64_t row,
                       int64_t step, const REAL *panel, int64_t width, int64_t count, int more) {
    VEC sum[ROWS][4];
#pragma GCC unroll 6
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < v; j++)
            sum[i][j] = more ? NAME(get)(c + i * c_row + j * V) : (VEC){0};
    for (int64_t k = 0; k < count; k++, a += step, panel += width) {
        VEC columns[4];
#pragma GCC unroll 4
        for (int j = 0; j < v; j++) columns[j] = NAME(get)(panel + j * V);
#pragma GCC unroll 6
        for (int i = 0; i < m; i++) {
            VEC each = a[i * row] - (VEC){0};
#pragma GCC unroll 4
            for (int j = 0; j < v; j++) sum[i][j] += each * columns[j];
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < m; i++)
#pragma GCC unroll 4
        for (int j = 0; j < v; j++) NAME(put)(c + i * c_row + j * V, sum[i][j]);
}

#define CASE(m, v) \
    case (m) * 8 + (v): \
        if ((m) <= ROWS) NAME(rows)(m, v, c, c_row, a, row, step, panel, width, count, more); \
        break;
#define CASES(m) CASE(m, 1) CASE(m, 2) CASE(m, 4)

static void NAME(tile)(int m, int v, REAL *c, int64_t c_row, const REAL *a, int64_t row,
                       int64_t step, const REAL *panel, int64_t width, int64_t count, int more) {
    switch (m * 8 + v) { CASES(1) CASES(2) CASES(3) CASES(4) CASES(5) CASES(6) }
}
#undef CASE
#undef CASES

/* The columns j .. j + n of rows k .. k + count of b, side by side in rows of `width`. */
static void NAME(pack)(REAL *panel, int64_t width, const REAL *b, int64_t b_row, int64_t b_column,
                       int64_t count, int64_t n) {
    if (b_column == 1) {
        for (int64_t k = 0; k < count; k++) {
            memcpy(panel + k * width, b + k * b_row, n * sizeof(REAL));
            for (int64_t j = n; j < width; j++) panel[k * width + j] = 0;
        }
        return;
    }
    for (int64_t k = 0; k < count; k += 16) {
        const int64_t end = smaller(k + 16, count);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = k; i < end; i++) panel[i * width + j] = b[i * b_row + j * b_column];
    }
    for (int64_t k = 0; k < count; k++)
        for (int64_t j = n; j < width; j++) panel[k * width + j] = 0;
}

/* c = a b for a of m rows and k columns and b of k rows and n columns, of any strides. */
void NAME(product)(int64_t m, int64_t n, int64_t k, const REAL *a, int64_t a_row, int64_t a_column,
                   const REAL *b, int64_t b_row, int64_t b_column, REAL *c, int64_t c_row) {
    REAL packed[DEPTH * 4 * V] __attribute__((aligned(64)));
    REAL edge[ROWS * 4 * V] __attribute__((aligned(64)));
    if (k == 0)
        for (int64_t i = 0; i < m; i++) memset(c + i * c_row, 0, n * sizeof(REAL));
    for (int64_t j = 0; j < n;) {
        const int64_t left = (n - j + V - 1) / V;
        const int v = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        const int64_t have = smaller(n - j, v * V), width = v * V;
        for (int64_t d = 0; d < k; d += DEPTH) {
            const int64_t count = smaller(DEPTH, k - d);
            const REAL *panel = b + d * b_row + j;
            int64_t panel_row = b_row;
            if (b_column != 1 || have < width) {
                NAME(pack)(packed, width, b + d * b_row + j * b_column, b_row, b_column, count, have);
                panel = packed;
                panel_row = width;
            }
            for (int64_t i = 0; i < m; i += ROWS) {
                const int r = (int)smaller(ROWS, m - i);
                const REAL *from = a + i * a_row + d * a_column;
                REAL *to = c + i * c_row + j;
                if (have == width) {
                    NAME(tile)(r, v, to, c_row, from, a_row, a_column, panel, panel_row, count, d > 0);
                    continue;
                }
                if (d > 0)
                    for (int q = 0; q < r; q++) {
                        memcpy(edge + q * width, to + q * c_row, have * sizeof(REAL));
                        for (int64_t p = have; p < width; p++) edge[q * width + p] = 0;
                    }
                NAME(tile)(r, v, edge, width, from, a_row, a_column, panel, panel_row, count, d > 0);
                for (int q = 0; q < r; q++)
                    memcpy(to + q * c_row, edge + q * width, have * sizeof(REAL));
            }
        }
        j += width;
    }
}

#undef V
#undef VEC
#endif

#ifdef REAL_IS_DONE

/* A run: its gradient and its update, where its batch goes, and what it reports. */
typedef void part(char *const *given, char *room, const void *with);

typedef struct {
    part *gradient, *update;
    char *const *gradient_given, *const *update_given;
    const char *x, *y;             /* all rows */
    int64_t x_bytes, y_bytes;      /* of one row */
    int64_t x_place, y_place;      /* of the batch in the room */
    const int64_t *rows;           /* steps x batch, or NULL: all rows, where they are */
    int64_t batch, steps;
    const double *factors;         /* of the learning rate, one per step */
    double lr, *lr_place;
    int64_t values;
    const double *value_place;
    double *values_out;            /* steps x values */
} run;

static void train(const run *r, char *room, const void *with) {
    const int64_t *rows = r->rows;
    for (int64_t s = 0; s < r->steps; s++) {
        if (rows) {
            char *x = room + r->x_place, *y = room + r->y_place;
            for (int64_t b = 0; b < r->batch; b++) {
                memcpy(x + b * r->x_bytes, r->x + rows[b] * r->x_bytes, r->x_bytes);
                memcpy(y + b * r->y_bytes, r->y + rows[b] * r->y_bytes, r->y_bytes);
            }
            rows += r->batch;
        }
        *r->lr_place = r->lr * r->factors[s];
        r->gradient(r->gradient_given, room, with);
        memcpy(r->values_out + s * r->values, r->value_place, r->values * sizeof(double));
        r->update(r->update_given, room, with);
    }
}

/* What is done for each of many runs: its training, or else a function with its arguments. */
typedef struct {
    const run *const *runs;
    part *function;
    char *const *const *given;
    const void *with;
} jobs;

static void job(const jobs *all, int64_t i, char *room) {
    if (all->runs)
        train(all->runs[i], room, all->with);
    else
        all->function(all->given[i], room, all->with);
}

/* Does all jobs, each by one thread in a room of its own. */
static void each(const jobs *all, int64_t count, char *rooms, int64_t room, int64_t threads) {
    if (threads > count) threads = count;
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel for schedule(dynamic) num_threads((int)threads)
        for (int64_t i = 0; i < count; i++) {
            extern int omp_get_thread_num(void);
            job(all, i, rooms + omp_get_thread_num() * room);
        }
        return;
    }
#endif
    for (int64_t i = 0; i < count; i++) job(all, i, rooms);
}

void train_all(const run *const *runs, int64_t count, char *rooms, int64_t room, const void *with,
               int64_t threads) {
    const jobs all = {.runs = runs, .with = with};
    each(&all, count, rooms, room, threads);
}

void call_all(part *function, char *const *const *given, int64_t count, char *rooms, int64_t room,
              const void *with, int64_t threads) {
    const jobs all = {.function = function, .given = given, .with = with};
    each(&all, count, rooms, room, threads);
}
#endif
