"""A recorded formula as a C file: one pass over the elements of any number of tensors."""

from optlab.optim.fast.source import Layout, Writer, crossing, function, indented
from optlab.optim.fast.trace import Formula


def c_source(formula: Formula, layout: Layout) -> str:
    """Return a C file that defines ``optlab_step``.

    ``void optlab_step(int64_t count, const int64_t *sizes, void **pointers, const double *hyper,
    double *scratch, int64_t threads)`` updates ``count`` tensors. ``pointers`` has one row for each
    tensor (see `Layout`), ``scratch`` has room for `scratch_size` doubles per tensor.

    Raises:
        Untraceable: For an operation without a C form, naming it.
    """
    writer = Writer(formula, layout)
    loop = ["for (int64_t i = first; i < last; i++) {", *indented(writer.element("p{}[i]")), "}"]
    given = "void *const *row, const double *scratch, int64_t first, int64_t last"
    update = function(f"void update({given})", [*writer.pointers(), *writer.known(), *loop])
    parts = [_PREAMBLE, *writer.sizes(), *writer.scalar_functions(), *update, _DRIVER]
    return "\n".join(parts)


def scratch_size(formula: Formula) -> int:
    """Return the doubles per tensor that ``optlab_step`` needs."""
    return max(1, len(crossing(formula)))


_PREAMBLE = """\
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#define FUNCTION static
typedef _Float16 float16;
typedef uint16_t bfloat16;

static inline float from_float16(float16 x) { return (float)x; }
static inline float16 to_float16(float value) { return (float16)value; }

static inline float from_bfloat16(bfloat16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline bfloat16 to_bfloat16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return value != value ? 0x7fc0 : (bfloat16)rounded;
}
"""

_DRIVER = """\
static void share(int64_t count, const int64_t *sizes, void **pointers, const double *scratch,
                  int64_t first, int64_t last) {
    int64_t start = 0;
    for (int64_t k = 0; k < count && start < last; k++) {
        const int64_t end = start + sizes[k];
        if (end > first) {
            const int64_t low = first > start ? first - start : 0;
            const int64_t high = (last < end ? last : end) - start;
            update(pointers + k * ROW, scratch + k * SCRATCH, low, high);
        }
        start = end;
    }
}

void optlab_step(int64_t count, const int64_t *sizes, void **pointers, const double *hyper,
                 double *scratch, int64_t threads) {
    int64_t total = 0;
    double seen[SCALARS + 1] = {0}, now[SCALARS + 1] = {0}, fresh[SCALARS + 1];
    for (int64_t k = 0; k < count; k++) {
        void **row = pointers + k * ROW;
        double *own = scratch + k * SCRATCH;
        look(row, now);
        if (k > 0 && memcmp(seen, now, sizeof now) == 0) {
            // In the same state as the tensor before: its powers need no second computation.
            memcpy(own, own - SCRATCH, SCRATCH * sizeof(double));
        } else {
            memcpy(seen, now, sizeof now);
            advance(now, hyper, own, fresh);
        }
        put(row, fresh);
        total += sizes[k];
    }
    const int64_t useful = total / 32768;
    if (threads > useful) threads = useful;
#ifdef _OPENMP
    if (threads > 1) {
#pragma omp parallel num_threads((int)threads)
        {
            const int64_t parts = omp_get_num_threads(), part = omp_get_thread_num();
            share(count, sizes, pointers, scratch, total * part / parts / 64 * 64,
                  part + 1 == parts ? total : total * (part + 1) / parts / 64 * 64);
        }
        return;
    }
#endif
    share(count, sizes, pointers, scratch, 0, total);
}
"""
