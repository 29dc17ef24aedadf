/* Euclidean norms of many small tensors, each added up in double. */

#include <math.h>
#include <stdint.h>

#define LENGTH(NAME, REAL)                                                          \
    static double NAME(const REAL *x, const REAL *minus, int64_t size) {            \
        double sum = 0;                                                             \
        if (minus)                                                                  \
            for (int64_t i = 0; i < size; i++) {                                    \
                const double d = (double)x[i] - (double)minus[i];                   \
                sum += d * d;                                                       \
            }                                                                       \
        else                                                                        \
            for (int64_t i = 0; i < size; i++) sum += (double)x[i] * (double)x[i];  \
        return sqrt(sum);                                                           \
    }

LENGTH(of_float, float)
LENGTH(of_double, double)

/* A tensor, what to take from it before (or NULL), its elements, and the bytes of each. */
typedef struct {
    const void *x, *minus;
    int64_t size, bytes;
} tensor;

void lengths(int64_t count, const tensor *all, double *out) {
    for (int64_t i = 0; i < count; i++) {
        const tensor *t = all + i;
        out[i] = t->bytes == 4 ? of_float(t->x, t->minus, t->size)
                               : of_double(t->x, t->minus, t->size);
    }
}
