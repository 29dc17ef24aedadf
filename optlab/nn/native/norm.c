/* Batch and layer normalization, forward and backward, for float and double.

   Shapes: R runs, N rows, C channels, L positions; a tensor [R, N, C, L] lies with L innermost.
   A variance is taken about a pivot near the mean (the mean of a sample), in one pass:
   sums of x - pivot are small, so that they keep their digits however far from 0 the mean is.
   Means are kept in two parts, mean + rest, since the difference x - mean is exact and a rounded
   mean is not. Results do not depend on the number of threads, nor those of a run on R.

   This text is read three times: once as it stands, which includes it for either type. */

#ifndef REAL

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* (sum + x) - pivot is not sum + (x - pivot) when x and pivot are large. */
#if defined(__clang__)
#pragma clang fp reassociate(off)
#elif defined(__GNUC__)
#pragma GCC optimize("no-associative-math")
#endif

enum { VECTOR_BYTES = 64, SAMPLES = 32, FLUSH = 4096, BLOCK_ELEMENTS = 65536 };

static inline long least(long a, long b) { return a < b ? a : b; }
static inline long most(long a, long b) { return a > b ? a : b; }

/* Rows of a block: few enough for float sums, and for the block to stay in a cache. */
static inline long block_rows(long columns) {
    return least(most(BLOCK_ELEMENTS / most(columns, 1), 16), 256);
}

/* What normalizes: 1 / sqrt(v + eps), or 1 / (sqrt(v) + eps). */
static inline double gain_of(double variance, double eps, int sigma) {
    return 1 / (sigma ? sqrt(variance) + eps : sqrt(variance + eps));
}

/* -d gain / d value * count / (gain * centred value), a number of the channel. */
static inline double slope_of(double variance, double gain, int sigma) {
    if (!sigma) return gain * gain;
    return variance > 0 ? gain / sqrt(variance) : 0;
}

/* Do something for i = 0 .. count - 1, by as many threads: entering a region of one takes long. */
#define EACH(i, count, threads, ...)                                    \
    do {                                                                \
        if ((threads) > 1) {                                            \
            _Pragma("omp parallel for num_threads(threads)")            \
            for (long i = 0; i < (count); i++) __VA_ARGS__              \
        } else                                                          \
            for (long i = 0; i < (count); i++) __VA_ARGS__              \
    } while (0)

#define REAL float
#define BITS int32_t
#define NAME(name) name##_float
#include __FILE__
#undef REAL
#undef BITS
#undef NAME
#define REAL double
#define BITS int64_t
#define NAME(name) name##_double
#include __FILE__

#else

typedef REAL NAME(vector)
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef BITS NAME(bits)
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(BITS)), may_alias));
typedef REAL NAME(half) __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef REAL NAME(quarter) __attribute__((vector_size(VECTOR_BYTES / 4)));
#define VECTOR NAME(vector)
#define LANES ((long)(VECTOR_BYTES / sizeof(REAL)))
#define AT(pointer) (*(const VECTOR *)(pointer))

/* ---- Sums over stretches of L positions: first and second are sums of d and d * d with
   d = x - pivot, or of g and g * d where there is a gradient g. ---- */

static inline REAL NAME(total)(VECTOR v) {
    NAME(half) halves[2];
    memcpy(halves, &v, sizeof v);
    const NAME(half) half = halves[0] + halves[1];
    NAME(quarter) quarters[2];
    memcpy(quarters, &half, sizeof half);
    const NAME(quarter) quarter = quarters[0] + quarters[1];
    REAL sum = 0;
    for (long i = 0; i < LANES / 4; i += 2) sum += quarter[i] + quarter[i + 1];
    return sum;
}

/* All ones in the last `kept` lanes: a vector that ends where a stretch ends was partly read. */
static inline NAME(bits) NAME(last)(long kept) {
    static const BITS table[2 * VECTOR_BYTES / sizeof(BITS)] = {
        [VECTOR_BYTES / sizeof(BITS) ... 2 * VECTOR_BYTES / sizeof(BITS) - 1] = -1};
    return *(const NAME(bits) *)(table + kept);
}

typedef struct {
    VECTOR first[4], second[4];
    double first_total, second_total;
    long count;
} NAME(Sums);

static inline void NAME(flush)(NAME(Sums) *sums) {
    VECTOR *a = sums->first, *b = sums->second;
    sums->first_total += NAME(total)((a[0] + a[1]) + (a[2] + a[3]));
    sums->second_total += NAME(total)((b[0] + b[1]) + (b[2] + b[3]));
    memset(a, 0, sizeof sums->first);
    memset(b, 0, sizeof sums->second);
    sums->count = 0;
}

static inline __attribute__((always_inline)) void NAME(add_stretch)(
    NAME(Sums) *sums, const REAL *x, const REAL *grad, REAL pivot, long length) {
    VECTOR a0 = sums->first[0], a1 = sums->first[1], a2 = sums->first[2], a3 = sums->first[3];
    VECTOR b0 = sums->second[0], b1 = sums->second[1], b2 = sums->second[2], b3 = sums->second[3];
    long i = 0;
#define ADD(k)                                                 \
    {                                                          \
        const VECTOR d = AT(x + i + k * LANES) - pivot;        \
        const VECTOR g = grad ? AT(grad + i + k * LANES) : d;  \
        a##k += g;                                             \
        b##k += g * d;                                         \
    }
    for (; i + 4 * LANES <= length; i += 4 * LANES) {
        ADD(0) ADD(1) ADD(2) ADD(3)
    }
    for (; i + LANES <= length; i += LANES) ADD(0)
#undef ADD
    if (i < length && length >= LANES) {
        const NAME(bits) kept = NAME(last)(length - i);
        const VECTOR d = AT(x + length - LANES) - pivot;
        const VECTOR g = grad ? AT(grad + length - LANES) : d, gd = g * d;
        a1 += (VECTOR)((NAME(bits))g & kept);
        b1 += (VECTOR)((NAME(bits))gd & kept);
    } else {
        for (; i < length; i++) {
            const REAL d = x[i] - pivot, g = grad ? grad[i] : d;
            sums->first_total += g;
            sums->second_total += g * d;
        }
    }
    sums->first[0] = a0, sums->first[1] = a1, sums->first[2] = a2, sums->first[3] = a3;
    sums->second[0] = b0, sums->second[1] = b1, sums->second[2] = b2, sums->second[3] = b3;
    if ((sums->count += length) >= FLUSH) NAME(flush)(sums);
}

/* Sums over `rows` stretches that begin `stride` elements apart. */
static inline __attribute__((always_inline)) void NAME(stretch_sums)(
    const REAL *x, const REAL *grad, REAL pivot, long rows, long stride, long length,
    double *first, double *second) {
    NAME(Sums) sums;
    memset(&sums, 0, sizeof sums);
    for (long row = 0; row < rows; row++)
        for (long start = 0; start < length; start += FLUSH) {
            const long from = row * stride + start;
            NAME(add_stretch)(&sums, x + from, grad ? grad + from : 0, pivot,
                              least(length - start, FLUSH));
        }
    NAME(flush)(&sums);
    *first = sums.first_total;
    *second = sums.second_total;
}

/* The mean of a sample of vectors spread over the channel, whose stretches hold at least one. */
static REAL NAME(stretch_pivot)(const REAL *x, long rows, long stride, long length) {
    const REAL begin = x[0];
    VECTOR sum = {0};
    for (long s = 0; s < SAMPLES; s++)
        sum += AT(x + s * rows / SAMPLES * stride + (length - LANES) * (s % 4) / 3) - begin;
    return begin + NAME(total)(sum) / (SAMPLES * LANES);
}

/* ---- What a channel's sums make of its elements: out = scale * (x - mean) + shift, and
   dx = a * g + b * (x - mean) + d. ---- */

typedef struct {
    REAL mean, scale, shift;
} NAME(Map);

typedef struct {
    REAL mean, a, b, d;
} NAME(Slope);

static inline NAME(Map) NAME(map_of)(double mean, double variance, double weight, double bias,
                                     double eps, int sigma) {
    const double scale = weight * gain_of(variance, eps, sigma);
    const REAL rounded = mean;
    return (NAME(Map)){rounded, scale, bias - (mean - rounded) * scale};
}

/* Writes the gradients of weight and bias too; count 0 says that statistics were given. */
static inline NAME(Slope) NAME(slope_from)(
    double first, double second, double mean, double variance, double rest, double weight,
    double eps, int sigma, double count, REAL *dweight, REAL *dbias) {
    const double gain = gain_of(variance, eps, sigma), a = weight * gain;
    second -= rest * first;
    if (dweight) *dweight = second * gain;
    if (dbias) *dbias = first;
    if (count == 0) return (NAME(Slope)){mean, a, 0, 0};
    const double b = -a * second * slope_of(variance, gain, sigma) / count;
    return (NAME(Slope)){mean, a, b, -a * first / count - b * rest};
}

/* ---- Calls, as Python packs them: eight bytes each. Weight, bias, given statistics and gradients
   that nobody wants may be null; moments [R, 3, C]: mean, variance (biased), rest of mean. ---- */

typedef struct {
    const REAL *x, *weight, *bias, *mean, *variance;
    double eps;
    int64_t sigma, runs, rows, channels, length, threads;
    REAL *y, *moments;
} NAME(Forward);

typedef struct {
    const REAL *grad, *x, *weight, *moments;
    double eps;
    int64_t sigma, given, runs, rows, channels, length, threads;
    REAL *dx, *dweight, *dbias;
} NAME(Backward);

typedef struct {
    const REAL *moments;
    double momentum, count;
    int64_t channels;
    REAL *mean, *variance;
    int64_t *batches;
} NAME(Track);

/* ---- Long stretches: one channel after the other. ---- */

static void NAME(forward_channel)(const NAME(Forward) *call, long rc) {
    const long rows = call->rows, channels = call->channels, length = call->length;
    const long run = rc / channels, c = rc % channels, stride = channels * length;
    const REAL *x = call->x + run * rows * stride + c * length;
    REAL *y = call->y + run * rows * stride + c * length;
    const REAL pivot = NAME(stretch_pivot)(x, rows, stride, length);
    double first, second;
    NAME(stretch_sums)(x, 0, pivot, rows, stride, length, &first, &second);
    first /= rows * length;
    const double mean = pivot + first, biased = second / (rows * length) - first * first;
    const double variance = biased < 0 ? 0 : biased;
    const NAME(Map) map = NAME(map_of)(mean, variance, call->weight ? call->weight[rc] : 1,
                                       call->bias ? call->bias[rc] : 0, call->eps, call->sigma);
    REAL *kept = call->moments + 3 * run * channels + c;
    kept[0] = map.mean, kept[channels] = variance, kept[2 * channels] = mean - map.mean;
    for (long row = 0; row < rows; row++) {
        const REAL *restrict in = x + row * stride;
        REAL *restrict out = y + row * stride;
        for (long i = 0; i < length; i++) out[i] = map.scale * (in[i] - map.mean) + map.shift;
    }
}

/* One row of all channels by given statistics: memory is gone through in order. */
static void NAME(forward_given)(const NAME(Forward) *call, const NAME(Map) *maps, long row) {
    const long channels = call->channels, length = call->length, run = row / call->rows;
    for (long c = 0; c < channels; c++) {
        const NAME(Map) map = maps[run * channels + c];
        const REAL *restrict x = call->x + (row * channels + c) * length;
        REAL *restrict y = call->y + (row * channels + c) * length;
        for (long i = 0; i < length; i++) y[i] = map.scale * (x[i] - map.mean) + map.shift;
    }
}

static int NAME(forward_all_given)(const NAME(Forward) *call, int threads) {
    const long channels = call->channels;
    NAME(Map) *maps = malloc(call->runs * channels * sizeof(NAME(Map)));
    if (!maps) return 1;
    for (long rc = 0; rc < call->runs * channels; rc++) {
        REAL *kept = call->moments + 3 * (rc / channels) * channels + rc % channels;
        kept[0] = call->mean[rc], kept[channels] = call->variance[rc], kept[2 * channels] = 0;
        maps[rc] = NAME(map_of)(call->mean[rc], call->variance[rc],
                                call->weight ? call->weight[rc] : 1,
                                call->bias ? call->bias[rc] : 0, call->eps, call->sigma);
    }
    EACH(row, call->runs * call->rows, threads, { NAME(forward_given)(call, maps, row); });
    free(maps);
    return 0;
}

static void NAME(backward_channel)(const NAME(Backward) *call, long rc) {
    const long rows = call->rows, channels = call->channels, length = call->length;
    const long run = rc / channels, c = rc % channels, stride = channels * length;
    const long from = run * rows * stride + c * length;
    const REAL *kept = call->moments + 3 * run * channels + c;
    double first, second;
    NAME(stretch_sums)(call->x + from, call->grad + from, kept[0], rows, stride, length, &first,
                       &second);
    const NAME(Slope) s = NAME(slope_from)(
        first, second, kept[0], kept[channels], kept[2 * channels],
        call->weight ? call->weight[rc] : 1, call->eps, call->sigma,
        call->given ? 0 : rows * length, call->dweight ? call->dweight + rc : 0,
        call->dbias ? call->dbias + rc : 0);
    for (long row = 0; call->dx && row < rows; row++) {
        const REAL *restrict x = call->x + from + row * stride;
        const REAL *restrict grad = call->grad + from + row * stride;
        REAL *restrict dx = call->dx + from + row * stride;
        if (call->given)
            for (long i = 0; i < length; i++) dx[i] = s.a * grad[i];
        else
            for (long i = 0; i < length; i++)
                dx[i] = s.a * grad[i] + s.b * (x[i] - s.mean) + s.d;
    }
}

/* ---- Short stretches, or one position: rows of C * L columns, whose sums are taken side by side
   and then put together by channel. ---- */

static __attribute__((noinline)) void NAME(row_sums)(
    const REAL *restrict x, const REAL *restrict grad, const REAL *restrict pivot, long rows,
    long columns, REAL *restrict first, REAL *restrict second) {
    memset(first, 0, columns * sizeof(REAL));
    memset(second, 0, columns * sizeof(REAL));
    long row = 0;
    for (; row + 4 <= rows; row += 4) {
        const REAL *x0 = x + row * columns, *x1 = x0 + columns, *x2 = x1 + columns;
        const REAL *x3 = x2 + columns, *g0 = grad ? grad + row * columns : x0;
        const REAL *g1 = g0 + columns, *g2 = g1 + columns, *g3 = g2 + columns;
        if (grad)
            for (long c = 0; c < columns; c++) {
                first[c] += (g0[c] + g1[c]) + (g2[c] + g3[c]);
                second[c] += (g0[c] * (x0[c] - pivot[c]) + g1[c] * (x1[c] - pivot[c])) +
                             (g2[c] * (x2[c] - pivot[c]) + g3[c] * (x3[c] - pivot[c]));
            }
        else
            for (long c = 0; c < columns; c++) {
                const REAL d0 = x0[c] - pivot[c], d1 = x1[c] - pivot[c];
                const REAL d2 = x2[c] - pivot[c], d3 = x3[c] - pivot[c];
                first[c] += (d0 + d1) + (d2 + d3);
                second[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
            }
    }
    for (; row < rows; row++)
        for (long c = 0; c < columns; c++) {
            const REAL d = x[row * columns + c] - pivot[c], g = grad ? grad[row * columns + c] : d;
            first[c] += g;
            second[c] += g * d;
        }
}

static __attribute__((noinline)) void NAME(row_pivots)(
    const REAL *restrict x, long rows, long columns, REAL *restrict pivot) {
    const long samples = least(rows, SAMPLES / 2);
    memset(pivot, 0, columns * sizeof(REAL));
    for (long s = 1; s < samples; s++) {
        const REAL *row = x + s * rows / samples * columns;
        for (long c = 0; c < columns; c++) pivot[c] += row[c] - x[c];
    }
    for (long c = 0; c < columns; c++) pivot[c] = x[c] + pivot[c] / samples;
}

/* Sums of all rows of a run, by column and in double: parts are the blocks' sums. */
static void NAME(all_row_sums)(const REAL *x, const REAL *grad, const REAL *pivot, long rows,
                               long columns, REAL *parts, double *sums, int threads) {
    const long step = block_rows(columns), blocks = (rows + step - 1) / step;
    EACH(b, blocks, threads, {
        const long from = b * step * columns;
        NAME(row_sums)(x + from, grad ? grad + from : 0, pivot, least(rows - b * step, step),
                       columns, parts + 2 * b * columns, parts + (2 * b + 1) * columns);
    });
    memset(sums, 0, 2 * columns * sizeof(double));
    for (long b = 0; b < blocks; b++)
        for (long c = 0; c < 2 * columns; c++) sums[c] += parts[2 * b * columns + c];
}

/* Put a channel's columns together, in place: sums becomes mean [C] and, `columns` further on,
   biased variance [C]. */
static void NAME(merge)(double *sums, const REAL *pivot, long rows, long channels, long length) {
    const long columns = channels * length;
    const double share = 1.0 / rows, part = 1.0 / length;
    for (long c = 0; c < channels; c++) {
        const long from = c * length;
        double mean = 0, squares = 0;
        for (long i = from; i < from + length; i++) mean += (pivot[i] + sums[i] * share) * part;
        for (long i = from; i < from + length; i++) {
            const double first = sums[i] * share, apart = pivot[i] + first - mean;
            squares += (sums[columns + i] * share - first * first + apart * apart) * part;
        }
        sums[c] = mean;
        sums[columns + c] = squares < 0 ? 0 : squares;
    }
}

/* Give every column the number of its channel, in place. */
static void NAME(spread)(REAL *numbers, long channels, long length) {
    for (long c = length > 1 ? channels - 1 : -1; c >= 0; c--) {
        const REAL number = numbers[c];
        for (long i = 0; i < length; i++) numbers[c * length + i] = number;
    }
}

/* Numbers of the columns of one run. */
typedef struct {
    double *sums;
    REAL *mean, *first, *second, *third, *parts;
} NAME(Columns);

static int NAME(reserve)(NAME(Columns) *work, long rows, long columns) {
    const long step = block_rows(columns), blocks = (rows + step - 1) / step;
    work->sums = malloc(columns * (2 * sizeof(double) + (4 + 2 * blocks) * sizeof(REAL)));
    work->mean = (REAL *)(work->sums + 2 * columns);
    work->first = work->mean + columns, work->second = work->first + columns;
    work->third = work->second + columns, work->parts = work->third + columns;
    return work->sums != 0;
}

static __attribute__((noinline)) void NAME(map_rows)(
    const REAL *restrict x, const REAL *restrict mean, const REAL *restrict scale,
    const REAL *restrict shift, long rows, long columns, REAL *restrict y) {
    for (long row = 0; row < rows; row++, x += columns, y += columns)
        for (long c = 0; c < columns; c++) y[c] = scale[c] * (x[c] - mean[c]) + shift[c];
}

static __attribute__((noinline)) void NAME(pull_rows)(
    const REAL *restrict grad, const REAL *restrict x, const REAL *restrict mean,
    const REAL *restrict a, const REAL *restrict b, const REAL *restrict d, long rows,
    long columns, int given, REAL *restrict dx) {
    for (long row = 0; row < rows; row++, grad += columns, x += columns, dx += columns)
        if (given)
            for (long c = 0; c < columns; c++) dx[c] = a[c] * grad[c];
        else
            for (long c = 0; c < columns; c++)
                dx[c] = a[c] * grad[c] + b[c] * (x[c] - mean[c]) + d[c];
}

static int NAME(forward_run)(const NAME(Forward) *call, long run, int threads) {
    const long rows = call->rows, channels = call->channels, length = call->length;
    const long columns = channels * length, at = run * rows * columns, rc = run * channels;
    const long step = block_rows(columns), blocks = (rows + step - 1) / step;
    NAME(Columns) work;
    if (!NAME(reserve)(&work, rows, columns)) return 1;
    double *mean = work.sums, *variance = work.sums + columns;
    if (call->mean) {
        for (long c = 0; c < channels; c++)
            mean[c] = call->mean[rc + c], variance[c] = call->variance[rc + c];
    } else {
        NAME(row_pivots)(call->x + at, rows, columns, work.first);
        NAME(all_row_sums)(call->x + at, 0, work.first, rows, columns, work.parts, work.sums,
                           threads);
        NAME(merge)(work.sums, work.first, rows, channels, length);
    }
    REAL *kept = call->moments + 3 * rc;
    for (long c = 0; c < channels; c++) {
        const NAME(Map) map = NAME(map_of)(mean[c], variance[c],
                                           call->weight ? call->weight[rc + c] : 1,
                                           call->bias ? call->bias[rc + c] : 0, call->eps,
                                           call->sigma);
        work.mean[c] = map.mean, work.first[c] = map.scale, work.second[c] = map.shift;
        kept[c] = map.mean, kept[channels + c] = variance[c];
        kept[2 * channels + c] = mean[c] - map.mean;
    }
    NAME(spread)(work.mean, channels, length);
    NAME(spread)(work.first, channels, length);
    NAME(spread)(work.second, channels, length);
    EACH(b, blocks, threads, {
        const long from = at + b * step * columns;
        NAME(map_rows)(call->x + from, work.mean, work.first, work.second,
                       least(rows - b * step, step), columns, call->y + from);
    });
    free(work.sums);
    return 0;
}

static int NAME(backward_run)(const NAME(Backward) *call, long run, int threads) {
    const long rows = call->rows, channels = call->channels, length = call->length;
    const long columns = channels * length, at = run * rows * columns, rc = run * channels;
    const long step = block_rows(columns), blocks = (rows + step - 1) / step;
    const REAL *kept = call->moments + 3 * rc;
    NAME(Columns) work;
    if (!NAME(reserve)(&work, rows, columns)) return 1;
    memcpy(work.mean, kept, channels * sizeof(REAL));
    NAME(spread)(work.mean, channels, length);
    NAME(all_row_sums)(call->x + at, call->grad + at, work.mean, rows, columns, work.parts,
                       work.sums, threads);
    for (long c = 0; c < channels; c++) {
        double first = 0, second = 0;
        for (long i = c * length; i < (c + 1) * length; i++)
            first += work.sums[i], second += work.sums[columns + i];
        const NAME(Slope) s = NAME(slope_from)(
            first, second, kept[c], kept[channels + c], kept[2 * channels + c],
            call->weight ? call->weight[rc + c] : 1, call->eps, call->sigma,
            call->given ? 0 : rows * length, call->dweight ? call->dweight + rc + c : 0,
            call->dbias ? call->dbias + rc + c : 0);
        work.first[c] = s.a, work.second[c] = s.b, work.third[c] = s.d;
    }
    NAME(spread)(work.first, channels, length);
    NAME(spread)(work.second, channels, length);
    NAME(spread)(work.third, channels, length);
    EACH(b, call->dx ? blocks : 0, threads, {
        const long from = at + b * step * columns;
        NAME(pull_rows)(call->grad + from, call->x + from, work.mean, work.first, work.second,
                        work.third, least(rows - b * step, step), columns, call->given,
                        call->dx + from);
    });
    free(work.sums);
    return 0;
}

/* ---- Entries; they return 1 without memory. Runs share the threads, or one's blocks do. ---- */

int NAME(batch_norm)(const NAME(Forward) *call) {
    const int threads = call->threads, within = call->runs > 1 ? 1 : threads;
    int failed = 0;
    if (call->length >= LANES && call->mean)
        failed = NAME(forward_all_given)(call, threads);
    else if (call->length >= LANES)
        EACH(rc, call->runs * call->channels, threads, { NAME(forward_channel)(call, rc); });
    else
        EACH(run, call->runs, call->runs > 1 ? threads : 1, {
            if (NAME(forward_run)(call, run, within)) failed = 1;
        });
    return failed;
}

int NAME(batch_norm_backward)(const NAME(Backward) *call) {
    const int threads = call->threads, within = call->runs > 1 ? 1 : threads;
    int failed = 0;
    if (call->length >= LANES)
        EACH(rc, call->runs * call->channels, threads, { NAME(backward_channel)(call, rc); });
    else
        EACH(run, call->runs, call->runs > 1 ? threads : 1, {
            if (NAME(backward_run)(call, run, within)) failed = 1;
        });
    return failed;
}

/* Moves running statistics in place, the variance to the unbiased one; momentum < 0 makes them
   plain averages. */
int NAME(track)(const NAME(Track) *call) {
    *call->batches += 1;
    const double momentum = call->momentum < 0 ? 1.0 / *call->batches : call->momentum;
    const REAL old = 1 - momentum, now = momentum;
    const REAL unbiased = momentum * (call->count / (call->count - 1));
    const REAL *restrict moments = call->moments;
    REAL *restrict mean = call->mean, *restrict variance = call->variance;
    for (long c = 0; c < call->channels; c++) {
        mean[c] = old * mean[c] + now * moments[c];
        variance[c] = old * variance[c] + unbiased * moments[call->channels + c];
    }
    return 0;
}

/* ---- Layer normalization: [R, N, C], every row by its own mean and variance over C.
   moments [R, N, 3]: mean, gain, rest of the mean. ---- */

typedef struct {
    const REAL *x, *weight, *bias;
    double eps;
    int64_t runs, rows, columns, threads;
    REAL *y, *moments;
} NAME(LayerForward);

typedef struct {
    const REAL *grad, *x, *weight, *moments;
    int64_t runs, rows, columns, threads;
    REAL *dx, *dweight, *dbias;
} NAME(LayerBackward);

static inline __attribute__((always_inline)) void NAME(scale_row)(
    const REAL *restrict x, const REAL *restrict weight, const REAL *restrict bias, REAL mean,
    REAL rest, REAL gain, long columns, REAL *restrict y) {
    for (long c = 0; c < columns; c++)
        y[c] = (x[c] - mean - rest) * gain * (weight ? weight[c] : 1) + (bias ? bias[c] : 0);
}

/* Sums of x - pivot and of its squares over one row. */
static inline __attribute__((always_inline)) void NAME(row_totals)(
    const REAL *restrict x, REAL pivot, long columns, REAL *first, REAL *second) {
    VECTOR a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};
    REAL a = 0, b = 0;
    long i = 0;
    for (; i + 2 * LANES <= columns; i += 2 * LANES) {
        const VECTOR c = AT(x + i) - pivot, d = AT(x + i + LANES) - pivot;
        a0 += c, a1 += d, b0 += c * c, b1 += d * d;
    }
    for (; i + LANES <= columns; i += LANES) {
        const VECTOR c = AT(x + i) - pivot;
        a0 += c, b0 += c * c;
    }
    if (i < columns && columns >= LANES) {
        const VECTOR c = AT(x + columns - LANES) - pivot, square = c * c;
        const NAME(bits) kept = NAME(last)(columns - i);
        a1 += (VECTOR)((NAME(bits))c & kept);
        b1 += (VECTOR)((NAME(bits))square & kept);
    } else {
        for (; i < columns; i++) a += x[i] - pivot, b += (x[i] - pivot) * (x[i] - pivot);
    }
    *first = columns < LANES ? a : NAME(total)(a0 + a1);
    *second = columns < LANES ? b : NAME(total)(b0 + b1);
}

static inline __attribute__((always_inline)) void NAME(layer_forward_row)(
    const REAL *restrict x, const REAL *restrict weight, const REAL *restrict bias, double eps,
    double share, long columns, REAL *restrict y, REAL *restrict moments) {
    REAL first, second;
    NAME(row_totals)(x, x[0], columns, &first, &second);
    const REAL mean = x[0] + first * share;
    NAME(row_totals)(x, mean, columns, &first, &second);
    const double apart = first * share, variance = second * share - apart * apart;
    const REAL gain = gain_of(variance < 0 ? 0 : variance, eps, 0), rest = apart;
    moments[0] = mean, moments[1] = gain, moments[2] = rest;
    NAME(scale_row)(x, weight, bias, mean, rest, gain, columns, y);
}

static __attribute__((noinline)) void NAME(layer_forward_rows)(
    const REAL *restrict x, const REAL *restrict weight, const REAL *restrict bias, double eps,
    long rows, long columns, REAL *restrict y, REAL *restrict moments) {
    const double share = 1.0 / columns;
    for (long n = 0; n < rows; n++, x += columns, y += columns, moments += 3)
        if (weight && bias)
            NAME(layer_forward_row)(x, weight, bias, eps, share, columns, y, moments);
        else if (weight)
            NAME(layer_forward_row)(x, weight, 0, eps, share, columns, y, moments);
        else
            NAME(layer_forward_row)(x, 0, 0, eps, share, columns, y, moments);
}

int NAME(layer_norm)(const NAME(LayerForward) *call) {
    const long rows = call->rows, columns = call->columns, step = block_rows(columns);
    const long blocks = (rows + step - 1) / step;
    const int threads = call->threads;
    EACH(task, call->runs * blocks, threads, {
        const long run = task / blocks, begin = task % blocks * step, rn = run * rows + begin;
        NAME(layer_forward_rows)(call->x + rn * columns,
                                 call->weight ? call->weight + run * columns : 0,
                                 call->bias ? call->bias + run * columns : 0, call->eps,
                                 least(rows - begin, step), columns, call->y + rn * columns,
                                 call->moments + 3 * rn);
    });
    return 0;
}

/* One row: with c = (x - mean) * gain, dx = gain * (g w - mean(g w) - c * mean(g w c)), and the
   sums of g * c and of g go on in dweight and dbias. */
static inline __attribute__((always_inline)) void NAME(layer_row)(
    const REAL *restrict grad, const REAL *restrict x, const REAL *restrict weight,
    const REAL *moments, long columns, REAL *restrict dx, REAL *restrict dweight,
    REAL *restrict dbias, int weighted) {
    const REAL mean = moments[0], gain = moments[1], rest = moments[2];
    VECTOR a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0};
    const VECTOR one = a0 + 1;
    REAL first = 0, second = 0;
    long i = 0;
#define ADD(k)                                                        \
    {                                                                 \
        const long j = i + k * LANES;                                 \
        const VECTOR g = AT(grad + j), n = (AT(x + j) - mean - rest) * gain; \
        const VECTOR gn = g * n;                                      \
        VECTOR w = one;                                               \
        if (weighted) w = AT(weight + j);                             \
        a##k += g * w;                                                \
        b##k += gn * w;                                               \
        *(VECTOR *)(dweight + j) += gn;                               \
        *(VECTOR *)(dbias + j) += g;                                  \
    }
    for (; i + 2 * LANES <= columns; i += 2 * LANES) {
        ADD(0) ADD(1)
    }
    for (; i + LANES <= columns; i += LANES) ADD(0)
#undef ADD
    for (; i < columns; i++) {
        const REAL normal = (x[i] - mean - rest) * gain, w = weighted ? weight[i] : 1;
        first += grad[i] * w;
        second += grad[i] * normal * w;
        dweight[i] += grad[i] * normal;
        dbias[i] += grad[i];
    }
    const REAL shift = (first + NAME(total)(a0 + a1)) / columns;
    const REAL slope = (second + NAME(total)(b0 + b1)) / columns;
    for (i = 0; dx && i < columns; i++)
        dx[i] = gain * ((weighted ? grad[i] * weight[i] : grad[i]) - shift -
                        (x[i] - mean - rest) * gain * slope);
}

/* A block of rows; sums [2, C] take the gradients of weight and bias. */
static void NAME(layer_backward_block)(const NAME(LayerBackward) *call, long task, REAL *sums) {
    const long rows = call->rows, columns = call->columns, step = block_rows(columns);
    const long blocks = (rows + step - 1) / step, run = task / blocks;
    const long begin = task % blocks * step, end = least(begin + step, rows);
    const REAL *weight = call->weight ? call->weight + run * columns : 0;
    for (long rn = run * rows + begin; rn < run * rows + end; rn++) {
        const REAL *grad = call->grad + rn * columns, *x = call->x + rn * columns;
        REAL *dx = call->dx ? call->dx + rn * columns : 0;
        if (weight)
            NAME(layer_row)(grad, x, weight, call->moments + 3 * rn, columns, dx, sums,
                            sums + columns, 1);
        else
            NAME(layer_row)(grad, x, weight, call->moments + 3 * rn, columns, dx, sums,
                            sums + columns, 0);
    }
}

int NAME(layer_norm_backward)(const NAME(LayerBackward) *call) {
    const long columns = call->columns, step = block_rows(columns);
    const long blocks = (call->rows + step - 1) / step;
    const int threads = call->threads;
    REAL *parts = calloc(most(call->runs * blocks * 2 * columns, 1), sizeof(REAL));
    if (!parts) return 1;
    EACH(task, call->runs * blocks, threads, {
        NAME(layer_backward_block)(call, task, parts + task * 2 * columns);
    });
    for (long run = 0; run < call->runs; run++)
        for (long c = 0; c < columns; c++) {
            double scale = 0, shift = 0;
            for (long block = run * blocks; block < (run + 1) * blocks; block++) {
                scale += parts[2 * block * columns + c];
                shift += parts[(2 * block + 1) * columns + c];
            }
            if (call->dweight) call->dweight[run * columns + c] = scale;
            if (call->dbias) call->dbias[run * columns + c] = shift;
        }
    free(parts);
    return 0;
}

#undef VECTOR
#undef LANES
#undef AT

#endif
