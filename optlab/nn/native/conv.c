/* Convolution of images (float32, float64; NCHW) and its gradients.

   The images are laid out once per column of the kernel: plane n holds x shifted by that column, at
   the width of the output, with the rows that the kernel's rows need. What a tap (channel, row,
   column) contributes to consecutive outputs then lies consecutively in memory, across rows too:
   the convolution is a matrix product whose right side is read in place through a table with one
   offset per tap. Nothing is multiplied in vain but the padding. The gradient with respect to x is
   such a product as well, one for each phase of the stride; that with respect to the weights is one
   of rows of the output's gradient and the same planes. Long sums are made of parts, so that their
   rounding does not grow with every term. Functions return 0, or 1 where there is no memory.

   The sums of one image do not depend on the others, nor on the number of runs; the gradients of
   weights are summed in the order of the batch, in one part per thread. Where the pixels of a
   result do not fill whole vectors, NaN or infinity in a run's images may reach more of the
   gradient of its weights than the formula says (0 times what lies behind an image's last pixel),
   but no other run.

   Letters: R runs, B batch, G groups, and of one group C channels, O outputs; H, W height and width
   of x; P, Q those of y; kernel M x N. */

#ifndef REAL

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Vectors as wide as the machine's, and a block of accumulators that its registers can hold. */
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define MANY_REGISTERS 1
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#ifdef MANY_REGISTERS
#define BLOCK_OUTPUTS 8   /* outputs at a time, in a product */
#define BLOCK_TAPS 6      /* taps at a time, in a gradient of weights */
#else
#define BLOCK_OUTPUTS 4
#define BLOCK_TAPS 3
#endif
#define BLOCK_VECTORS 3   /* vectors of pixels at a time */
#define GRAD_OUTPUTS 4    /* outputs at a time, in a gradient of weights */
#define PART_TAPS 512     /* taps in one part of a sum, in a product */
#define PLANE_BYTES (256 << 10) /* of planes that stay in a core's cache, in a product */
#define GRAD_BYTES (384 << 10)  /* of planes and gradients, in a gradient of weights */

/* Keep a vector in a register: compilers would load it again for each product it is in. */
#if defined(__x86_64__)
#define KEEP(v) __asm__("" : "+v"(v))
#else
#define KEEP(v)
#endif

typedef struct {
    int64_t R, B, G, C, O, H, W, P, Q, M, N;
    int64_t stride_h, stride_w, top, left, dilation_h, dilation_w;
} Sizes;

/* One shifted copy of a channel: row i, column j is source row `row + i * step_h`, column
   `column + j * step_w`, or 0 outside of it. */
typedef struct {
    int64_t row, step_h, column, step_w, rows, at;
} Plane;

/* A tap reads a plane from source row `row` on; that is `at` elements into its channel. `of` is its
   index m * N + n in the weights. */
typedef struct {
    int64_t of, plane, row, at;
} Tap;

/* How one channel is laid out for products. */
typedef struct {
    int64_t rows, columns; /* of the result */
    int64_t height, width; /* of the source */
    int64_t num_planes, num_taps, size;
    Plane *planes;
    Tap *taps;
} Layout;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int new_layout(Layout *at, const Sizes *s) {
    at->num_planes = at->num_taps = at->size = 0;
    at->planes = malloc(s->M * s->N * sizeof(Plane));
    at->taps = malloc(s->M * s->N * sizeof(Tap));
    return !at->planes || !at->taps;
}

static void free_layout(Layout *at) {
    free(at->planes);
    free(at->taps);
}

/* Enter a tap that reads source row `row + i * step_h` and column `column + j * step_w` for row i
   and column j of the result. Taps whose rows mesh share a plane, which grows to hold them all. */
static void add_tap(Layout *at, int64_t of, int64_t row, int64_t step_h, int64_t column,
                    int64_t step_w) {
    int64_t k = 0;
    while (k < at->num_planes
           && (at->planes[k].column != column || (at->planes[k].row - row) % step_h != 0))
        k++;
    Plane *plane = at->planes + k;
    if (k == at->num_planes) {
        *plane = (Plane){row, step_h, column, step_w, at->rows, 0};
        at->num_planes++;
    }
    int64_t last = larger(plane->row + (plane->rows - 1) * step_h, row + (at->rows - 1) * step_h);
    plane->row = smaller(plane->row, row);
    plane->rows = (last - plane->row) / step_h + 1;
    at->taps[at->num_taps++] = (Tap){of, k, row, 0};
}

static void finish_layout(Layout *at) {
    for (int64_t k = 0; k < at->num_planes; k++) {
        at->planes[k].at = at->size;
        at->size += at->planes[k].rows * at->columns;
    }
    for (Tap *tap = at->taps; tap < at->taps + at->num_taps; tap++) {
        const Plane *plane = at->planes + tap->plane;
        tap->at = plane->at + (tap->row - plane->row) / plane->step_h * at->columns;
    }
}

/* Lay out x for y and for the gradient of the weights. */
static int layout_of_x(Layout *at, const Sizes *s) {
    if (new_layout(at, s)) return 1;
    at->rows = s->P, at->columns = s->Q, at->height = s->H, at->width = s->W;
    for (int64_t m = 0; m < s->M; m++)
        for (int64_t n = 0; n < s->N; n++)
            add_tap(at, m * s->N + n, m * s->dilation_h - s->top, s->stride_h,
                    n * s->dilation_w - s->left, s->stride_w);
    finish_layout(at);
    return 0;
}

/* Lay out the gradient of y for rows `phase_h` and columns `phase_w` of x, modulo the stride. */
static int layout_of_grad(Layout *at, const Sizes *s, int64_t phase_h, int64_t phase_w) {
    if (new_layout(at, s)) return 1;
    at->rows = (s->H - phase_h + s->stride_h - 1) / s->stride_h;
    at->columns = (s->W - phase_w + s->stride_w - 1) / s->stride_w;
    at->height = s->P, at->width = s->Q;
    for (int64_t m = 0; m < s->M; m++)
        for (int64_t n = 0; n < s->N; n++) {
            int64_t row = phase_h + s->top - m * s->dilation_h;
            int64_t column = phase_w + s->left - n * s->dilation_w;
            if (row % s->stride_h == 0 && column % s->stride_w == 0)
                add_tap(at, m * s->N + n, row / s->stride_h, 1, column / s->stride_w, 1);
        }
    finish_layout(at);
    return 0;
}

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(a) JOIN(a, REAL)

#define REAL float
#define INTEGER int32_t
#include __FILE__
#undef REAL
#undef INTEGER
#define REAL double
#define INTEGER int64_t
#include __FILE__
#undef REAL
#undef INTEGER

#else

#define LANES ((int64_t)(VECTOR_BYTES / sizeof(REAL)))
typedef REAL NAME(vec) __attribute__((vector_size(VECTOR_BYTES)));
typedef REAL NAME(anywhere)
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef INTEGER NAME(lanes) __attribute__((vector_size(VECTOR_BYTES)));
#define VEC NAME(vec)
#define LOAD(p) ((VEC) * (const NAME(anywhere) *)(p))
#define STORE(p, v) (*(NAME(anywhere) *)(p) = (v))

static REAL *NAME(scratch)(int64_t count) {
    size_t bytes = (count * sizeof(REAL) / 64 + 1) * 64;
    return aligned_alloc(64, bytes);
}

/* Copy a plane whose rows are as long as the source's and lie as in it, but for a shift: all at
   once, and zeros over what was shifted in from the row before or behind. */
static void NAME(shift)(const Layout *at, const Plane *plane, const REAL *restrict source,
                        REAL *restrict to) {
    int64_t width = at->width, left = larger(0, -plane->column), right = larger(0, plane->column);
    if (left >= width || right >= width) {
        memset(to, 0, plane->rows * width * sizeof(REAL));
        return;
    }
    int64_t above = smaller(plane->rows, larger(0, -plane->row));
    int64_t last = larger(above, smaller(plane->rows, at->height - plane->row));
    int64_t first = above * width + left, end = last * width - right;
    for (int64_t i = 0; i < above * width; i++) to[i] = 0;
    if (end > first)
        memcpy(to + first, source + plane->row * width + plane->column + first,
               (end - first) * sizeof(REAL));
    for (int64_t i = above; i < last; i++) {
        for (int64_t j = 0; j < left; j++) to[i * width + j] = 0;
        for (int64_t j = width - right; j < width; j++) to[i * width + j] = 0;
    }
    for (int64_t i = last * width; i < plane->rows * width; i++) to[i] = 0;
}

/* Copy one row of a plane. */
static inline __attribute__((always_inline)) void NAME(copy_row)(
    const REAL *restrict from, int64_t step, int64_t before, int64_t end, int64_t columns,
    REAL *restrict to) {
    for (int64_t j = 0; j < before; j++) to[j] = 0;
    for (int64_t j = before; j < end; j++) to[j] = from[j * step];
    for (int64_t j = end; j < columns; j++) to[j] = 0;
}

/* Copy a plane from its source. */
static void NAME(copy_plane)(const Layout *at, const Plane *plane, const REAL *restrict source,
                             REAL *restrict to) {
    int64_t columns = at->columns, width = at->width, step = plane->step_w;
    int64_t before = plane->column < 0 ? smaller(columns, (-plane->column + step - 1) / step) : 0;
    int64_t inside = plane->column < width ? (width - 1 - plane->column) / step + 1 : 0;
    int64_t end = larger(before, smaller(columns, inside));
    for (int64_t i = 0; i < plane->rows; i++, to += columns) {
        int64_t row = plane->row + i * plane->step_h;
        const REAL *from = source + row * width + plane->column;
        if (row < 0 || row >= at->height)
            for (int64_t j = 0; j < columns; j++) to[j] = 0;
        else if (step == 1)
            NAME(copy_row)(from, 1, before, end, columns, to);
        else if (step == 2)
            NAME(copy_row)(from, 2, before, end, columns, to);
        else
            NAME(copy_row)(from, step, before, end, columns, to);
    }
}

/* Copy the planes of one channel whose sides are multiples of the stride 2: first every phase of
   the source is copied together, from where the planes are shifted. */
static void NAME(lay_out_halves)(const Layout *at, const REAL *restrict source, REAL *to,
                                 REAL *restrict halves) {
    int64_t rows = at->height / 2, columns = at->width / 2;
    for (int64_t i = 0; i < at->height; i++, source += at->width) {
        REAL *even = halves + (i % 2 * 2 * rows + i / 2) * columns, *odd = even + rows * columns;
        for (int64_t j = 0; j < columns; j++) even[j] = source[2 * j], odd[j] = source[2 * j + 1];
    }
    Layout half = {at->rows, at->columns, rows, columns, 0, 0, 0, NULL, NULL};
    for (const Plane *plane = at->planes; plane < at->planes + at->num_planes; plane++) {
        int64_t odd_row = plane->row & 1, odd_column = plane->column & 1;
        Plane shifted = {(plane->row - odd_row) / 2, 1, (plane->column - odd_column) / 2, 1,
                         plane->rows, plane->at};
        NAME(shift)(&half, &shifted, halves + (2 * odd_row + odd_column) * rows * columns,
                    to + plane->at);
    }
}

/* Copy the planes of one channel from its source; `space` has room for one channel. */
static void NAME(lay_out)(const Layout *at, const REAL *source, REAL *to, REAL *space) {
    const Plane *first = at->planes;
    if (at->num_planes > 1 && first->step_h == 2 && first->step_w == 2 && at->height % 2 == 0
        && at->width == 2 * at->columns) {
        NAME(lay_out_halves)(at, source, to, space);
        return;
    }
    for (const Plane *plane = first; plane < first + at->num_planes; plane++)
        if (plane->step_h == 1 && plane->step_w == 1 && at->columns == at->width)
            NAME(shift)(at, plane, source, to + plane->at);
        else
            NAME(copy_plane)(at, plane, source, to + plane->at);
}

/* Sum over all taps, for `outputs` outputs and `vectors` vectors of pixels (both constants where it
   is called, as is whether the taps are more than one part). `weights` holds the outputs of each
   tap side by side. */
static inline __attribute__((always_inline)) void NAME(block)(
    const int outputs, const int vectors, const int in_parts, int64_t taps,
    const int64_t *restrict offsets, const REAL *restrict weights, const REAL *const *from,
    const REAL *restrict bias, REAL *const *to, int64_t pitch, int64_t count) {
    VEC sums[BLOCK_OUTPUTS][BLOCK_VECTORS], totals[BLOCK_OUTPUTS][BLOCK_VECTORS];
    const REAL *start[BLOCK_VECTORS];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) start[v] = from[v];
#pragma GCC unroll 8
    for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) sums[o][v] = (VEC){} + bias[o];
    if (in_parts)
#pragma GCC unroll 8
        for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) totals[o][v] = (VEC){};
    for (int64_t t = 0, end = in_parts ? PART_TAPS : taps;; end = smaller(taps, end + PART_TAPS)) {
        for (; t < end; t++, weights += outputs) {
            VEC pixels[BLOCK_VECTORS];
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) pixels[v] = LOAD(start[v] + offsets[t]);
#pragma GCC unroll 8
            for (int o = 0; o < outputs; o++) {
                VEC weight = (VEC){} + weights[o];
#pragma GCC unroll 8
                for (int v = 0; v < vectors; v++) sums[o][v] += weight * pixels[v];
            }
        }
        if (!in_parts || end == taps) break;
#pragma GCC unroll 8
        for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) totals[o][v] += sums[o][v], sums[o][v] = (VEC){};
    }
    if (in_parts)
#pragma GCC unroll 8
        for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) sums[o][v] += totals[o][v];
#pragma GCC unroll 8
    for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            if (count >= LANES)
                STORE(to[v] + o * pitch, sums[o][v]);
            else
                for (int64_t i = 0; i < count; i++) to[v][o * pitch + i] = sums[o][v][i];
}

#define BLOCK(outputs, vectors)                                                                   \
    case outputs * 8 + vectors:                                                                   \
        if (taps > PART_TAPS)                                                                     \
            NAME(block)(outputs, vectors, 1, taps, offsets, weights, from, bias, to, pitch,       \
                        count);                                                                   \
        else                                                                                      \
            NAME(block)(outputs, vectors, 0, taps, offsets, weights, from, bias, to, pitch,       \
                        count);                                                                   \
        break

static void NAME(any_block)(int outputs, int vectors, int64_t taps, const int64_t *offsets,
                            const REAL *weights, const REAL *const *from, const REAL *bias,
                            REAL *const *to, int64_t pitch, int64_t count) {
    switch (outputs * 8 + vectors) {
#if BLOCK_OUTPUTS == 8
        BLOCK(8, 3);
        BLOCK(8, 2);
        BLOCK(8, 1);
#endif
        BLOCK(4, 3);
        BLOCK(4, 2);
        BLOCK(4, 1);
        BLOCK(2, 3);
        BLOCK(2, 2);
        BLOCK(2, 1);
        BLOCK(1, 3);
        BLOCK(1, 2);
        BLOCK(1, 1);
    }
}

static int NAME(outputs_from)(int64_t first, int64_t count) {
    int outputs = BLOCK_OUTPUTS;
    while (outputs > count - first) outputs /= 2;
    return outputs;
}

/* Lay the weights out for products: blocks of outputs, in them taps, in them outputs. An output's
   weights begin `by_output` apart and a channel's `by_channel`. */
static void NAME(pack_weights)(const Layout *at, const REAL *restrict weights, int64_t outputs,
                               int64_t channels, int64_t by_output, int64_t by_channel,
                               REAL *restrict to) {
    for (int64_t first = 0, width; first < outputs; first += width) {
        width = NAME(outputs_from)(first, outputs);
        for (int64_t c = 0; c < channels; c++)
            for (int64_t t = 0; t < at->num_taps; t++)
                for (int64_t o = 0; o < width; o++)
                    *to++ = weights[(first + o) * by_output + c * by_channel + at->taps[t].of];
    }
}

/* Write the results of some images, (images, outputs, rows, columns) with pitches between images
   and outputs. Vectors that do not fill the last place of an image begin earlier instead. */
static void NAME(multiply)(const Layout *at, int64_t images, int64_t channels, int64_t outputs,
                           const int64_t *offsets, const REAL *planes, const REAL *weights,
                           const REAL *bias, REAL *to, int64_t by_image, int64_t by_output) {
    int64_t pixels = at->rows * at->columns, taps = channels * at->num_taps;
    int64_t vectors = (pixels + LANES - 1) / LANES, all = images * vectors;
    for (int64_t first = 0; first < all; first += BLOCK_VECTORS) {
        const REAL *from[BLOCK_VECTORS];
        REAL *place[BLOCK_VECTORS], *shifted[BLOCK_VECTORS];
        int width = smaller(BLOCK_VECTORS, all - first);
        for (int v = 0; v < width; v++) {
            int64_t image = (first + v) / vectors, pixel = (first + v) % vectors * LANES;
            pixel = larger(0, smaller(pixel, pixels - LANES));
            from[v] = planes + image * channels * at->size + pixel;
            place[v] = to + image * by_image + pixel;
        }
        const REAL *block = weights;
        for (int64_t o = 0, step; o < outputs; o += step, block += step * taps) {
            step = NAME(outputs_from)(o, outputs);
            for (int v = 0; v < width; v++) shifted[v] = place[v] + o * by_output;
            NAME(any_block)(step, width, taps, offsets, block, from, bias + o, shifted, by_output,
                            pixels);
        }
    }
}

/* Where every tap begins in the planes of an image whose channels lie `to_channel` apart. */
static int64_t *NAME(all_offsets)(const Layout *at, int64_t channels, int64_t to_channel) {
    int64_t *offsets = malloc((channels * at->num_taps + 1) * sizeof(int64_t));
    for (int64_t c = 0; offsets && c < channels; c++)
        for (int64_t t = 0; t < at->num_taps; t++)
            offsets[c * at->num_taps + t] = c * to_channel + at->taps[t].at;
    return offsets;
}

/* Return how many images of so many numbers fit into some bytes, at least one. */
static int64_t NAME(images_at_once)(int64_t images, int64_t numbers, int64_t bytes) {
    return larger(1, smaller(images, bytes / larger(1, numbers * sizeof(REAL))));
}

/* Planes of `images` images, with zeros behind for vectors that reach over the end. */
static REAL *NAME(new_planes)(const Layout *at, int64_t channels, int64_t images) {
    int64_t size = images * channels * at->size;
    REAL *planes = NAME(scratch)(size + LANES);
    if (planes) memset(planes + size, 0, LANES * sizeof(REAL));
    return planes;
}

/* Lay out some images, whose planes lie `to_image` and `to_channel` apart. */
static int NAME(lay_out_images)(const Layout *at, const REAL *source, int64_t by_image,
                                int64_t channels, int64_t images, REAL *planes, int64_t to_image,
                                int64_t to_channel) {
    REAL *space = NAME(scratch)(at->height * at->width);
    if (!space) return 1;
    for (int64_t b = 0; b < images; b++)
        for (int64_t c = 0; c < channels; c++)
            NAME(lay_out)(at, source + b * by_image + c * at->height * at->width,
                          planes + b * to_image + c * to_channel, space);
    free(space);
    return 0;
}

/* Convolve some images of one group: source images to results, both whole. */
static int NAME(convolve)(const Layout *at, const REAL *source, int64_t source_by_image,
                          int64_t channels, const REAL *weights, const REAL *bias, REAL *to,
                          int64_t by_image, int64_t outputs, int64_t images) {
    int64_t some = NAME(images_at_once)(images, channels * at->size, PLANE_BYTES);
    int64_t pixels = at->rows * at->columns;
    int64_t *offsets = NAME(all_offsets)(at, channels, at->size);
    REAL *planes = NAME(new_planes)(at, channels, some);
    int failed = !offsets || !planes;
    for (int64_t b = 0; !failed && b < images; b += some) {
        int64_t now = smaller(some, images - b);
        failed = NAME(lay_out_images)(at, source + b * source_by_image, source_by_image, channels,
                                      now, planes, channels * at->size, at->size);
        if (failed) break;
        NAME(multiply)(at, now, channels, outputs, offsets, planes, weights, bias,
                       to + b * by_image, by_image, pixels);
    }
    free(planes);
    free(offsets);
    return failed;
}

int NAME(conv2d)(const Sizes *s, const REAL *x, const REAL *weight, const REAL *bias, REAL *y,
                 int threads) {
    int64_t parts = larger(1, threads / larger(1, s->R * s->G));
    int64_t taps = s->C * s->M * s->N;
    int64_t x_image = s->G * s->C * s->H * s->W, y_image = s->G * s->O * s->P * s->Q;
    Layout at;
    int failed = layout_of_x(&at, s);
    int64_t units = failed ? 0 : s->R * s->G * parts;
#pragma omp parallel for num_threads(threads) if (threads > 1) reduction(| : failed)
    for (int64_t unit = 0; unit < units; unit++) {
        int64_t part = unit % parts, group = unit / parts % s->G, run = unit / parts / s->G;
        int64_t first = s->B * part / parts, last = s->B * (part + 1) / parts;
        int64_t output = (run * s->G + group) * s->O;
        REAL *packed = NAME(scratch)(s->O * taps), *shifts = NAME(scratch)(s->O);
        if (packed && shifts) {
            for (int64_t o = 0; o < s->O; o++) shifts[o] = bias ? bias[output + o] : 0;
            NAME(pack_weights)(&at, weight + output * taps, s->O, s->C, taps, s->M * s->N, packed);
            failed |= NAME(convolve)(
                &at, x + (run * s->B + first) * x_image + group * s->C * s->H * s->W, x_image,
                s->C, packed, shifts,
                y + (run * s->B + first) * y_image + group * s->O * s->P * s->Q, y_image, s->O,
                last - first);
        } else {
            failed = 1;
        }
        free(packed);
        free(shifts);
    }
    free_layout(&at);
    return failed;
}

/* Write a row of x's gradient. All of its columns of a phase lie in a row of `phases` each, or are
   0 where that is NULL; there are no more phases than columns. */
static void NAME(weave)(const REAL *const *phases, int64_t step, int64_t width, REAL *restrict to) {
    if (step == 2 && width > 1 && phases[0] && phases[1]) {
        const REAL *even = phases[0], *odd = phases[1];
        for (int64_t j = 0; j < width / 2; j++) to[2 * j] = even[j], to[2 * j + 1] = odd[j];
        if (width % 2) to[width - 1] = even[width / 2];
        return;
    }
    for (int64_t j = 0; j < width; j++) to[j] = 0;
    for (int64_t w = 0; w < smaller(step, width); w++)
        for (int64_t j = 0; phases[w] && j * step + w < width; j++) to[j * step + w] = phases[w][j];
}

/* Phases of the stride that an image has: those of its rows times those of its columns. */
typedef struct {
    int64_t high, wide, size; /* `size` numbers of an image belong to one, at most */
    Layout *at;
    REAL **packed, *zeros, *results;
    const REAL **rows;
} NAME(Phases);

static void NAME(free_phases)(NAME(Phases) *all) {
    for (int64_t k = 0; k < all->high * all->wide; k++) {
        if (all->at) free_layout(all->at + k);
        if (all->packed) free(all->packed[k]);
    }
    free(all->results);
    free(all->rows);
    free(all->zeros);
    free(all->packed);
    free(all->at);
}

static int NAME(new_phases)(NAME(Phases) *all, const Sizes *s, const REAL *weight) {
    int64_t taps = s->M * s->N, num;
    all->high = smaller(s->stride_h, s->H), all->wide = smaller(s->stride_w, s->W);
    all->size = s->C * (s->H / s->stride_h + 1) * (s->W / s->stride_w + 1);
    num = all->high * all->wide;
    all->at = calloc(num, sizeof(Layout));
    all->packed = calloc(num, sizeof(REAL *));
    all->rows = malloc(all->wide * sizeof(REAL *));
    all->zeros = NAME(scratch)(s->C);
    all->results = NULL;
    if (!all->at || !all->packed || !all->rows || !all->zeros) return 1;
    memset(all->zeros, 0, s->C * sizeof(REAL));
    for (int64_t k = 0; k < num; k++) {
        Layout *at = all->at + k;
        if (layout_of_grad(at, s, k / all->wide, k % all->wide)) return 1;
        all->packed[k] = NAME(scratch)(s->O * s->C * at->num_taps);
        if (!all->packed[k]) return 1;
        NAME(pack_weights)(at, weight, s->C, s->O, taps, s->C * taps, all->packed[k]);
    }
    return 0;
}

/* Weave the phases of some images, `pitch` images of each phase after the other, to whole ones. */
static void NAME(weave_images)(const Sizes *s, const NAME(Phases) *all, int64_t images,
                               int64_t pitch, REAL *to, int64_t by_image) {
    for (int64_t i = 0; i < images * s->C * s->H; i++) {
        int64_t image = i / s->H / s->C, channel = i / s->H % s->C, row = i % s->H;
        for (int64_t w = 0; w < all->wide; w++) {
            int64_t k = row % s->stride_h * all->wide + w;
            const Layout *at = all->at + k;
            const REAL *phase = all->results + (k * pitch + image) * all->size;
            int64_t begin = (channel * at->rows + row / s->stride_h) * at->columns;
            all->rows[w] = at->num_taps ? phase + begin : NULL;
        }
        NAME(weave)(all->rows, s->stride_w, s->W,
                    to + image * by_image + (channel * s->H + row) * s->W);
    }
}

/* The gradient of x, of some images of one group: a convolution for every phase of the stride,
   whose results are woven together a few images at a time. */
static int NAME(grad_images)(const Sizes *s, const REAL *grad, const REAL *weight, REAL *to,
                             int64_t images) {
    int64_t grad_image = s->G * s->O * s->P * s->Q, x_image = s->G * s->C * s->H * s->W;
    NAME(Phases) all;
    int failed = NAME(new_phases)(&all, s, weight);
    int64_t num = all.high * all.wide, some = 1;
    if (!failed) some = NAME(images_at_once)(images, s->O * all.at->size, PLANE_BYTES);
    if (!failed && num > 1) {
        all.results = NAME(scratch)(num * some * all.size);
        failed = !all.results;
    }
    for (int64_t b = 0; !failed && b < images; b += some) {
        int64_t now = smaller(some, images - b);
        for (int64_t k = 0; k < num; k++)
            if (num == 1 || all.at[k].num_taps)
                failed |= NAME(convolve)(
                    all.at + k, grad + b * grad_image, grad_image, s->O, all.packed[k], all.zeros,
                    num == 1 ? to + b * x_image : all.results + k * some * all.size,
                    num == 1 ? x_image : all.size, s->C, now);
        if (num > 1 && !failed) NAME(weave_images)(s, &all, now, some, to + b * x_image, x_image);
    }
    NAME(free_phases)(&all);
    return failed;
}

int NAME(conv2d_grad_x)(const Sizes *s, const REAL *grad, const REAL *weight, REAL *to,
                        int threads) {
    int64_t parts = larger(1, threads / larger(1, s->R * s->G));
    int64_t x_image = s->G * s->C * s->H * s->W, y_image = s->G * s->O * s->P * s->Q;
    int failed = 0;
#pragma omp parallel for num_threads(threads) if (threads > 1) reduction(| : failed)
    for (int64_t unit = 0; unit < s->R * s->G * parts; unit++) {
        int64_t part = unit % parts, group = unit / parts % s->G, run = unit / parts / s->G;
        int64_t first = s->B * part / parts, last = s->B * (part + 1) / parts;
        failed |= NAME(grad_images)(
            s, grad + (run * s->B + first) * y_image + group * s->O * s->P * s->Q,
            weight + (run * s->G + group) * s->O * s->C * s->M * s->N,
            to + (run * s->B + first) * x_image + group * s->C * s->H * s->W, last - first);
    }
    return failed;
}

/* Return the sums of neighbours: first those of a, then those of b. */
static inline __attribute__((always_inline)) VEC NAME(neighbours)(VEC a, VEC b) {
#ifdef __clang__
    VEC sums = a;
    for (int i = 0; i < LANES / 2; i++) {
        sums[i] = a[2 * i] + a[2 * i + 1];
        sums[i + LANES / 2] = b[2 * i] + b[2 * i + 1];
    }
    return sums;
#else
    NAME(lanes) even = {}, odd = {};
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) even[i] = 2 * i, odd[i] = 2 * i + 1;
    return __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd);
#endif
}

/* Return the totals of as many vectors as there are lanes, one in each lane. */
static inline __attribute__((always_inline)) VEC NAME(totals)(VEC *all) {
#pragma GCC unroll 8
    for (int count = LANES / 2; count; count /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) all[i] = NAME(neighbours)(all[2 * i], all[2 * i + 1]);
    return all[0];
}

/* Add sums over images and pixels of `outputs` gradients times `taps` taps (both constants where it
   is called) to the gradient of the weights. */
static inline __attribute__((always_inline)) void NAME(grad_block)(
    const int outputs, const int taps, int64_t images, int64_t pixels, const REAL *restrict grad,
    int64_t grad_image, int64_t grad_output, const REAL *restrict planes, int64_t planes_image,
    const int64_t *offsets, REAL *restrict to, int64_t by_output) {
    VEC sums[GRAD_OUTPUTS][BLOCK_TAPS] = {};
    for (int64_t b = 0; b < images; b++, grad += grad_image, planes += planes_image) {
        const REAL *from[BLOCK_TAPS];
#pragma GCC unroll 8
        for (int t = 0; t < taps; t++) from[t] = planes + offsets[t];
        for (int64_t i = 0; i < pixels; i += LANES) {
            VEC slope[GRAD_OUTPUTS];
#pragma GCC unroll 8
            for (int o = 0; o < outputs; o++) slope[o] = LOAD(grad + o * grad_output + i);
#pragma GCC unroll 8
            for (int t = 0; t < taps; t++) {
                VEC pixel = LOAD(from[t] + i);
                KEEP(pixel);
#pragma GCC unroll 8
                for (int o = 0; o < outputs; o++) sums[o][t] += slope[o] * pixel;
            }
        }
    }
#pragma GCC unroll 8
    for (int first = 0; first < outputs * taps; first += LANES) {
        VEC some[LANES] = {};
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (first + i < outputs * taps)
                some[i] = sums[(first + i) / taps][(first + i) % taps];
        VEC found = NAME(totals)(some);
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (first + i < outputs * taps)
                to[(first + i) / taps * by_output + (first + i) % taps] += found[i];
    }
}

#define GRAD_BLOCK(outputs, taps)                                                                 \
    if (height == outputs && width == taps)                                                       \
    NAME(grad_block)(outputs, taps, images, pixels, grad + o * grad_output, grad_image,           \
                     grad_output, planes, planes_image, offsets + t, to + o * taps_all + t,       \
                     taps_all)

/* Add what some images contribute to the gradient of one group's weights, (outputs, taps_all). The
   number of pixels is a multiple of the lanes. */
static void NAME(grad_blocks)(int64_t outputs, int64_t taps_all, int64_t images, int64_t pixels,
                              const REAL *grad, int64_t grad_image, int64_t grad_output,
                              const REAL *planes, int64_t planes_image, const int64_t *offsets,
                              REAL *to) {
    for (int64_t o = 0, height; o < outputs; o += height) {
        height = outputs - o >= GRAD_OUTPUTS ? GRAD_OUTPUTS : 1;
        for (int64_t t = 0, width; t < taps_all; t += width) {
            int64_t left = taps_all - t;
            width = left >= BLOCK_TAPS ? BLOCK_TAPS : left >= 3 ? 3 : 1;
            GRAD_BLOCK(GRAD_OUTPUTS, BLOCK_TAPS);
#if BLOCK_TAPS != 3
            GRAD_BLOCK(GRAD_OUTPUTS, 3);
            GRAD_BLOCK(1, 3);
#endif
            GRAD_BLOCK(GRAD_OUTPUTS, 1);
            GRAD_BLOCK(1, BLOCK_TAPS);
            GRAD_BLOCK(1, 1);
        }
    }
}

/* The gradient of one group's weights from some images. */
static int NAME(grad_taps)(const Sizes *s, const Layout *at, const REAL *grad, const REAL *x,
                           REAL *to, int64_t images) {
    int64_t pixels = s->P * s->Q, filled = (pixels + LANES - 1) / LANES * LANES;
    int64_t grad_image = s->G * s->O * pixels, x_image = s->G * s->C * s->H * s->W;
    int64_t some = NAME(images_at_once)(images, s->C * at->size + s->O * filled, GRAD_BYTES);
    int64_t *offsets = NAME(all_offsets)(at, s->C, some * at->size);
    REAL *planes = NAME(new_planes)(at, s->C, some);
    REAL *slopes = filled == pixels ? NULL : NAME(scratch)(some * s->O * filled);
    int failed = !offsets || !planes || (filled != pixels && !slopes);
    if (!failed) memset(to, 0, s->O * s->C * s->M * s->N * sizeof(REAL));
    for (int64_t b = 0; !failed && b < images; b += some) {
        int64_t now = smaller(some, images - b);
        const REAL *from = grad + b * grad_image;
        failed = NAME(lay_out_images)(at, x + b * x_image, x_image, s->C, now, planes, at->size,
                                      some * at->size);
        if (failed) break;
        for (int64_t i = 0; slopes && i < now; i++)
            for (int64_t o = 0; o < s->O; o++) {
                REAL *line = slopes + (i * s->O + o) * filled;
                memcpy(line, from + i * grad_image + o * pixels, pixels * sizeof(REAL));
                memset(line + pixels, 0, (filled - pixels) * sizeof(REAL));
            }
        NAME(grad_blocks)(s->O, s->C * at->num_taps, now, filled, slopes ? slopes : from,
                          slopes ? s->O * filled : grad_image, slopes ? filled : pixels, planes,
                          at->size, offsets, to);
    }
    free(slopes);
    free(planes);
    free(offsets);
    return failed;
}

int NAME(conv2d_grad_weight)(const Sizes *s, const REAL *grad, const REAL *x, REAL *to,
                             int threads) {
    int64_t parts = larger(1, threads / larger(1, s->R * s->G));
    int64_t size = s->O * s->C * s->M * s->N, groups = s->R * s->G;
    int64_t x_image = s->G * s->C * s->H * s->W, y_image = s->G * s->O * s->P * s->Q;
    REAL *partial = parts > 1 ? NAME(scratch)(parts * groups * size) : to;
    Layout at;
    int failed = layout_of_x(&at, s) | !partial;
    int64_t units = failed ? 0 : groups * parts;
#pragma omp parallel for num_threads(threads) if (threads > 1) reduction(| : failed)
    for (int64_t unit = 0; unit < units; unit++) {
        int64_t part = unit / groups, group = unit % s->G, run = unit % groups / s->G;
        int64_t first = s->B * part / parts, last = s->B * (part + 1) / parts;
        failed |= NAME(grad_taps)(
            s, &at, grad + (run * s->B + first) * y_image + group * s->O * s->P * s->Q,
            x + (run * s->B + first) * x_image + group * s->C * s->H * s->W,
            partial + unit * size, last - first);
    }
    for (int64_t i = 0; parts > 1 && !failed && i < groups * size; i++) {
        to[i] = 0;
        for (int64_t part = 0; part < parts; part++) to[i] += partial[part * groups * size + i];
    }
    if (parts > 1) free(partial);
    free_layout(&at);
    return failed;
}

#undef LANES
#undef VEC
#undef LOAD
#undef STORE
#undef BLOCK
#undef GRAD_BLOCK

#endif
