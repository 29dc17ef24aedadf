// Where the numbers of an optimizer's tensors are, looked up anew before every step.
//
// Users replace parameters' data, gradients and dtypes between steps in ways that Python does not
// see, so nothing about a tensor is remembered but the tensor itself. A row of the table is filled
// only where gradient, parameter and state have the same shape and strides and the expected dtypes,
// lie on the expected device and fill their memory; any other tensor is left to the eager update.
// Nothing here reads a number: the host never waits for a device.

#include <ATen/core/TensorBase.h>
#include <c10/core/TensorImpl.h>
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

using c10::TensorImpl;

static const c10::DispatchKeySet special({
    c10::DispatchKey::Python, c10::DispatchKey::Conjugate, c10::DispatchKey::Negative,
    c10::DispatchKey::ZeroTensor, c10::DispatchKey::FuncTorchGradWrapper,
    c10::DispatchKey::FuncTorchBatched, c10::DispatchKey::Functionalize});

static bool plain(const TensorImpl* t, int64_t dtype, c10::Device device) {
    return t->device_type() == device.type() &&
           (device.is_cpu() || t->device().index() == device.index()) &&
           t->layout() == c10::kStrided &&
           !t->key_set().has_any(special) && t->has_storage() &&
           static_cast<int64_t>(c10::typeMetaToScalarType(t->dtype())) == dtype;
}

static bool alike(const TensorImpl* a, const TensorImpl* b) {
    const auto sizes = a->sizes();
    if (sizes != b->sizes()) return false;
    const auto left = a->strides(), right = b->strides();
    for (size_t i = 0; i < sizes.size(); i++)
        if (sizes[i] > 1 && left[i] != right[i]) return false;
    return true;
}

static void wrote(TensorImpl* t) {
    if (!t->is_inference()) t->bump_version();
}

// Fills a row and returns true, or returns false for tensors that no kernel can take.
static bool fill(TensorImpl* param, TensorImpl* grad, TensorImpl* const* state,
                 c10::Device device, int64_t scalars, int64_t entries, const int64_t* dtypes,
                 void** row) try {
    const int64_t* rest = dtypes + scalars;
    if (!plain(grad, rest[0], device) || !plain(param, rest[1], device) || !alike(grad, param) ||
        !param->is_non_overlapping_and_dense())
        return false;
    for (int64_t i = 0; i < scalars; i++) {
        if (!plain(state[i], dtypes[i], device) || state[i]->numel() != 1) return false;
        row[i] = state[i]->mutable_data();
    }
    for (int64_t i = scalars; i < entries; i++) {
        if (!plain(state[i], rest[2 + i - scalars], device) || !alike(state[i], param))
            return false;
        row[i + 2] = state[i]->mutable_data();
    }
    row[scalars] = const_cast<void*>(grad->data());
    row[scalars + 1] = param->mutable_data();
    return true;
} catch (...) {
    return false;  // a tensor whose memory may not be looked at
}

// Fills one row per tensor that has a gradient and can be updated by a kernel.
//
//   kind      type of the device on which they are to be, by PyTorch's numbering
//   index     its number; not looked at for the CPU
//   count     tensors
//   scalars   0-d entries of a state; they come first in `states` and in a row
//   entries   all entries of a state
//   params    `count` tensors; their gradients are read
//   states    `count` x `entries` tensors
//   dtypes    expected: scalars, gradient, parameter, rest of the state
//   sizes     out: elements of each row's tensor
//   rows      out: pointers to scalars, gradient, parameter, rest of the state
//   others    out: numbers of the tensors that have a gradient but are not as expected
//   found     out: how many of those
//
// The version counters of what a kernel will write are advanced, so that autograd notices a backward
// pass through values that are gone. Returns the number of rows.
extern "C" int64_t optlab_gather(int64_t kind, int64_t index, int64_t count, int64_t scalars,
                                 int64_t entries, TensorImpl* const* params,
                                 TensorImpl* const* states, const int64_t* dtypes, int64_t* sizes,
                                 void** rows, int64_t* others, int64_t* found) {
    const c10::Device device(static_cast<c10::DeviceType>(kind),
                             static_cast<c10::DeviceIndex>(index));
    int64_t filled = 0;
    *found = 0;
    for (int64_t k = 0; k < count; k++) {
        TensorImpl* const param = params[k];
        const auto& grad = reinterpret_cast<const at::TensorBase&>(param->grad());
        if (!grad.defined()) continue;
        TensorImpl* const* state = states + k * entries;
        if (!fill(param, grad.unsafeGetTensorImpl(), state, device, scalars, entries, dtypes,
                  rows + filled * (entries + 2))) {
            others[(*found)++] = k;
            continue;
        }
        wrote(param);
        for (int64_t i = 0; i < entries; i++) wrote(state[i]);
        sizes[filled++] = param->numel();
    }
    return filled;
}

// Returns whether any two of `count` tensors lie on the same memory; threads must not share those.
//
//   bytes   of an element
//   width   pointers of a row
//   place   of the parameter among them
extern "C" int64_t optlab_overlap(int64_t count, const int64_t* sizes, void* const* rows,
                                  int64_t bytes, int64_t width, int64_t place) {
    std::vector<std::pair<uintptr_t, uintptr_t>> spans;
    for (int64_t k = 0; k < count; k++) {
        const auto first = reinterpret_cast<uintptr_t>(rows[k * width + place]);
        if (sizes[k] > 0) spans.emplace_back(first, first + sizes[k] * bytes);
    }
    std::sort(spans.begin(), spans.end());
    for (size_t k = 1; k < spans.size(); k++)
        if (spans[k].first < spans[k - 1].second) return 1;
    return 0;
}

// Shares the elements of `count` tensors out among the blocks of a device: at least one block for
// each tensor, and about `wanted` in all, of 1024 to 16384 elements.
//
//   first   out: number of each tensor's first block, then the number of blocks
//
// Returns the elements of a block, a multiple of 1024.
extern "C" int64_t optlab_blocks(int64_t count, const int64_t* sizes, int64_t wanted,
                                 int32_t* first) {
    int64_t total = 0;
    for (int64_t k = 0; k < count; k++) total += sizes[k];
    const int64_t even = (total / wanted + 1023) / 1024 * 1024;
    const int64_t chunk = even < 1024 ? 1024 : even > 16384 ? 16384 : even;
    int64_t blocks = 0;
    for (int64_t k = 0; k < count; k++) {
        first[k] = static_cast<int32_t>(blocks);
        blocks += sizes[k] > chunk ? (sizes[k] + chunk - 1) / chunk : 1;
    }
    first[count] = static_cast<int32_t>(blocks);
    return chunk;
}
