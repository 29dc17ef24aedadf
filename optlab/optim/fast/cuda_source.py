"""A recorded formula as a CUDA kernel: one launch over the elements of any number of tensors.

Everything that the launch needs to know, the table of pointers included, travels with it by value:
nothing is copied to the device, and a CUDA graph that holds the launch holds the table.
Hyperparameters that are tensors on the device are read when the kernel runs.

A block updates one piece of one tensor. Its first thread reads the tensor's scalars and computes
what the elements need of them; the last block of a tensor to have read them writes them back. Who
is the last is counted in a ticket per tensor, all that is kept on the device.
"""

import ctypes
import functools
from typing import Any

from optlab.optim.fast.source import STORAGE, Layout, Writer, function, indented
from optlab.optim.fast.trace import Formula

#: Threads of a block; each updates 4 elements at a time.
THREADS = 256
#: Bytes of arguments that any kernel may have, and that one may have since CUDA 12.1.
SHORT, LONG = 4096, 32764


def cuda_source(formula: Formula, layout: Layout, rows: int) -> str:
    """Return CUDA C++ that defines the kernel ``optlab_step(Arguments)``.

    `PREAMBLE` has to stand before it.

    Args:
        formula: The update.
        layout: Where its inputs and outputs are.
        rows: Tensors for which `arguments_type` has room.

    Raises:
        Untraceable: For an operation without a C form, naming it.
    """
    writer = Writer(formula, layout)
    parts = [
        *writer.sizes(),
        f"#define ROWS {rows}",
        f"#define THREADS {THREADS}",
        _ARGUMENTS,
        *writer.scalar_functions(),
        *_update(writer),
        _DRIVER,
    ]
    return "\n".join(parts)


@functools.cache
def arguments_type(layout: Layout, rows: int) -> type[ctypes.Structure]:
    """Return the kernel's argument as ctypes knows it, with the fields of ``Arguments``."""
    hypers, row = layout.hypers, layout.row
    kinds: list[tuple[str, Any]] = [
        ("numbers", ctypes.c_double * hypers),
        ("places", ctypes.c_void_p * hypers),
        ("sizes", ctypes.c_int64 * rows),
        ("rows", ctypes.c_void_p * (rows * row)),
        ("tickets", ctypes.c_void_p),
        ("chunk", ctypes.c_int64),
        ("kinds", ctypes.c_int32 * hypers),
        ("first", ctypes.c_int32 * (rows + 1)),
        ("count", ctypes.c_int32),
    ]
    return type("Arguments", (ctypes.Structure,), {"_fields_": kinds})


def rows_within(layout: Layout, limit: int) -> int:
    """Return the tensors for which arguments of at most ``limit`` bytes have room."""
    empty = ctypes.sizeof(arguments_type(layout, 0)) + 8  # 8: filled up to whole words
    return (limit - empty) // (8 * layout.row + 8 + 4)


def _update(writer: Writer) -> list[str]:
    """Return the function of one piece of one tensor: 4 elements per thread and turn."""
    written = [str(i) for i in range(len(writer.layout.elements))]
    names, stored = ["g", *written], [writer.layout.gradient, *writer.layout.elements]
    aligned = " && ".join(f"is_aligned(p{name})" for name in names)
    turn = [
        "const bool whole = aligned && at + LANES <= end;",
        *(f"{STORAGE[k][0]} e{n}[LANES];" for k, n in zip(stored, names, strict=True)),
        *(f"take(e{name}, p{name} + at, whole, end - at);" for name in names),
        *("for (int i = 0; i < LANES; i++) {", *indented(writer.element("e{}[i]")), "}"),
        *(f"give(p{name} + at, e{name}, whole, end - at);" for name in written),
    ]
    body = [
        *writer.pointers(),
        *writer.known(),
        f"const bool aligned = {aligned};",
        "for (int64_t at = begin + LANES * threadIdx.x; at < end; at += LANES * THREADS) {",
        *indented(turn),
        "}",
    ]
    given = "void *const *row, const double *scratch, int64_t begin, int64_t end"
    return function(f"void update({given})", body)


BFLOAT16 = """\
FUNCTION float from_bfloat16(bfloat16 x) { return __uint_as_float((unsigned)x << 16); }

FUNCTION bfloat16 to_bfloat16(float value) {
    const unsigned bits = __float_as_uint(value);
    const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return value != value ? 0x7fc0 : (bfloat16)rounded;
}
"""

#: What NVRTC does not know of itself.
PREAMBLE = f"""\
#define FUNCTION static __device__ __forceinline__
#define NAN __int_as_float(0x7fffffff)
#define INFINITY __int_as_float(0x7f800000)
typedef int int32_t;
typedef long long int64_t;
typedef unsigned short float16, bfloat16;

FUNCTION float from_float16(float16 x) {{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x));
    return value;
}}

FUNCTION float16 to_float16(float value) {{
    float16 x;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(x) : "f"(value));
    return x;
}}

{BFLOAT16}"""

_ARGUMENTS = """\
#define LANES 4

// sizes, rows  elements of each tensor, and the pointers to what belongs to it
// places       where on the device a number of `numbers` is to be read instead, in the type `kinds`
// tickets      a zero per row; zero again when the kernel ends
// chunk, first elements of a block; first block of each row, then the number of blocks
struct Arguments {
    double numbers[HYPERS];
    const void *places[HYPERS];
    int64_t sizes[ROWS];
    void *rows[ROWS * ROW];
    unsigned *tickets;
    int64_t chunk;
    int32_t kinds[HYPERS];
    int32_t first[ROWS + 1];
    int32_t count;
};

template <class T> struct alignas(sizeof(T) < 4 ? LANES * sizeof(T) : 16) Lanes { T x[LANES]; };

template <class T> FUNCTION bool is_aligned(const T *place) {
    return (size_t)place % alignof(Lanes<T>) == 0;
}

template <class T> FUNCTION void take(T *lanes, const T *from, bool whole, int64_t left) {
    if (whole) {
        const Lanes<T> all = *(const Lanes<T> *)from;
        for (int i = 0; i < LANES; i++) lanes[i] = all.x[i];
    } else {
        for (int i = 0; i < LANES; i++) lanes[i] = i < left ? from[i] : T(0);
    }
}

template <class T> FUNCTION void give(T *to, const T *lanes, bool whole, int64_t left) {
    if (whole) {
        Lanes<T> all;
        for (int i = 0; i < LANES; i++) all.x[i] = lanes[i];
        *(Lanes<T> *)to = all;
    } else {
        for (int i = 0; i < LANES; i++)
            if (i < left) to[i] = lanes[i];
    }
}
"""

_DRIVER = """\
FUNCTION double number(const Arguments &a, int i) {
    const void *const place = a.places[i];
    if (!place) return a.numbers[i];
    switch (a.kinds[i]) {
        case 5: return from_float16(*(const float16 *)place);
        case 6: return *(const float *)place;
        case 7: return *(const double *)place;
        default: return from_bfloat16(*(const bfloat16 *)place);
    }
}

FUNCTION int row_of(const Arguments &a, int block) {
    int low = 0, high = a.count;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (a.first[middle] <= block) low = middle; else high = middle;
    }
    return low;
}

// Whether all other blocks of a tensor have read its scalars; the fences keep their reads before
// and our writes behind.
FUNCTION bool is_last_reader(unsigned *ticket, unsigned readers) {
    __threadfence();
    if (atomicAdd(ticket, 1u) + 1 != readers) return false;
    *ticket = 0;
    __threadfence();
    return true;
}

extern "C" __global__ void __launch_bounds__(THREADS)
optlab_step(const __grid_constant__ Arguments a) {
    __shared__ double scratch[SCRATCH];
    double fresh[SCALARS + 1];
    const int block = blockIdx.x, k = row_of(a, block), blocks = a.first[k + 1] - a.first[k];
    void *const *row = a.rows + k * ROW;
    if (threadIdx.x == 0) {
        double hyper[HYPERS], seen[SCALARS + 1];
        for (int i = 0; i < HYPERS; i++) hyper[i] = number(a, i);
        look(row, seen);
        advance(seen, hyper, scratch, fresh);
    }
    __syncthreads();
    if (SCALARS && threadIdx.x == 0 && is_last_reader(a.tickets + k, blocks)) put(row, fresh);
    const int64_t begin = (block - a.first[k]) * a.chunk, size = a.sizes[k];
    update(row, scratch, begin, begin + a.chunk < size ? begin + a.chunk : size);
}
"""
