/* Dropout with the numbers of optlab.seeding.uniform_at, in one pass over x.

   Element i of a run is hashed with the run's key and count; the mask is never stored, since the
   gradient goes through the same function. */

#include <math.h>
#include <stdint.h>

enum { BLOCK = 16384 };

/* The finalizer of MurmurHash3. */
static inline uint32_t mix(uint32_t word) {
    word = (word ^ (word >> 16)) * 0x85EBCA6Bu;
    word = (word ^ (word >> 13)) * 0xC2B2AE35u;
    return word ^ (word >> 16);
}

/* Elements begin to end - 1 of a run. A number is word / 2^8 * 2^-24, compared as an integer. */
#define DROP(NAME, REAL)                                                                         \
    typedef struct {                                                                             \
        const REAL *x;                                                                           \
        const int64_t *key, *count;                                                              \
        double rate;                                                                             \
        int64_t runs, elements, threads;                                                         \
        REAL *y;                                                                                 \
    } Call_##NAME;                                                                               \
    static void block_##NAME(const REAL *restrict x, REAL *restrict y, uint32_t first,           \
                             uint32_t second, uint32_t least, REAL scale, long begin, long end) { \
        for (long i = begin; i < end; i++) {                                                     \
            const uint32_t word = mix(mix((uint32_t)i ^ first) + second);                        \
            y[i] = x[i] * ((word >> 8) >= least ? scale : (REAL)0);                              \
        }                                                                                        \
    }                                                                                            \
    int dropout_##NAME(const Call_##NAME *call) {                                                \
        const long blocks = (call->elements + BLOCK - 1) / BLOCK;                                \
        const uint32_t least = ceil((double)(float)call->rate * 16777216);                       \
        const REAL scale = 1 / (1 - call->rate);                                                 \
        _Pragma("omp parallel for num_threads(call->threads) if (call->threads > 1)")            \
        for (long task = 0; task < call->runs * blocks; task++) {                                \
            const long run = task / blocks, begin = task % blocks * BLOCK;                       \
            const long end = begin + BLOCK < call->elements ? begin + BLOCK : call->elements;    \
            const uint64_t key = call->key[run];                                                 \
            const uint32_t word = mix((uint32_t)key) ^ (uint32_t)(key >> 32);                    \
            const uint32_t first = mix(mix(word) ^ (uint32_t)call->count[run]);                  \
            block_##NAME(call->x + run * call->elements, call->y + run * call->elements, first,  \
                         mix(first + 0x9E3779B1u), least, scale, begin, end);                    \
        }                                                                                        \
        return 0;                                                                                \
    }

DROP(float, float)
DROP(double, double)
