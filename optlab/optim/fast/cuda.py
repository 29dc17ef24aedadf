"""CUDA sources made into kernels with NVIDIA's runtime compiler, and launched.

NVRTC comes with PyTorch; neither a CUDA toolkit nor a C compiler is needed. A kernel takes a tenth
of a second to compile and is kept for the process.
"""

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from optlab.compiler import NoCompiler, NotCompiled

#: As the CPU's kernels: one rounding per operation.
_FLAGS = ("--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false")
_CAPABILITY, _DRIVER_VERSION = (7, 0), 12010  # what takes arguments of more than 4 kB
_NO_CONTEXT = 201
_DRIVER = "libcuda.so.1"


class Launcher:
    """A kernel on one device; call it to launch it on PyTorch's current stream there.

    Args:
        code: What `cubin` returns.
        device: Number of the device.
    """

    def __init__(self, code: bytes, device: int) -> None:
        self._device, self._context = device, ctypes.c_void_p()
        module, self._function = ctypes.c_void_p(), ctypes.c_void_p()
        with torch.cuda.device(device):
            _call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
            _call("cuCtxSetCurrent", self._context)
            _call("cuModuleLoadData", ctypes.byref(module), code)
            _call("cuModuleGetFunction", ctypes.byref(self._function), module, b"optlab_step")

    def __call__(self, blocks: int, threads: int, arguments: ctypes.Structure) -> None:
        """Launch ``blocks`` blocks; ``arguments`` may be changed as soon as this returns."""
        if torch.cuda.current_device() != self._device:
            with torch.cuda.device(self._device):
                self(blocks, threads, arguments)
            return
        shape = (blocks, 1, 1, threads, 1, 1, 0)
        stream = torch.cuda.current_stream(self._device).cuda_stream
        places = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        launch = _driver().cuLaunchKernel
        error = launch(self._function, *shape, stream, places, None)
        if error == _NO_CONTEXT:  # a thread that has not called CUDA yet
            _call("cuCtxSetCurrent", self._context)
            error = launch(self._function, *shape, stream, places, None)
        _check("cuLaunchKernel", error)


def is_capturing() -> bool:
    """Return whether launches now go into a CUDA graph."""
    return torch.cuda.is_current_stream_capturing()


@functools.cache
def launcher(source: str, device: int) -> Launcher:
    """Return the kernel ``optlab_step`` of a CUDA file on a device.

    Raises:
        NotCompiled: When this device, its driver or this PyTorch has no use for it.
    """
    if torch.version.hip:
        raise NotCompiled("kernels are for CUDA, this PyTorch is for ROCm")
    capability = torch.cuda.get_device_capability(device)
    if capability < _CAPABILITY:
        has = "{}.{}".format(*capability)
        raise NotCompiled(f"kernels need compute capability 7.0, cuda:{device} has {has}")
    version = ctypes.c_int()
    _call("cuDriverGetVersion", ctypes.byref(version))
    if version.value < _DRIVER_VERSION:
        has = f"{version.value // 1000}.{version.value % 1000 // 10}"
        raise NotCompiled(f"kernels need a driver for CUDA 12.1, this one is for {has}")
    code = cubin(source, "sm_{}{}".format(*capability))
    try:
        return Launcher(code, device)
    except RuntimeError as error:
        raise NotCompiled(f"cuda:{device} refused a kernel: {error}") from error


@functools.cache
def cubin(source: str, architecture: str) -> bytes:
    """Return a CUDA file compiled for an architecture such as ``sm_90``.

    Raises:
        NoCompiler: When there is no NVRTC, or it refuses.
    """
    return _compiled(source, architecture, "CUBIN")


def ptx(source: str, architecture: str) -> str:
    """Return the virtual assembly of a CUDA file for an architecture such as ``compute_90``.

    Raises:
        NoCompiler: As `cubin`.
    """
    return _compiled(source, architecture, "PTX").rstrip(b"\0").decode()


def _compiled(source: str, architecture: str, what: str) -> bytes:
    nvrtc, program = _nvrtc(), ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"optlab.cu", 0, None, None)
    try:
        options = [flag.encode() for flag in (f"--gpu-architecture={architecture}", *_FLAGS)]
        given = (ctypes.c_char_p * len(options))(*options)
        if nvrtc.nvrtcCompileProgram(program, len(options), given):
            log = _text(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog)
            lines = log.rstrip(b"\0").decode().strip().splitlines() or ["no message"]
            complaint = next((line for line in lines if "error" in line), lines[0])
            raise NoCompiler(f"NVRTC refused a kernel for {architecture}: {complaint}")
        size, get = getattr(nvrtc, f"nvrtcGet{what}Size"), getattr(nvrtc, f"nvrtcGet{what}")
        return _text(program, size, get)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(program: ctypes.c_void_p, size: Callable[..., int], get: Callable[..., int]) -> bytes:
    length = ctypes.c_size_t()
    size(program, ctypes.byref(length))
    text = ctypes.create_string_buffer(length.value)
    get(program, text)
    return text.raw


@functools.cache
def _nvrtc() -> Any:
    if torch.version.cuda is None:
        raise NoCompiler("this PyTorch is built without CUDA")
    name = f"libnvrtc.so.{torch.version.cuda.partition('.')[0]}"
    packages = Path(torch.__file__).parents[1]
    beside = [*packages.glob(f"torch/lib/{name}"), *packages.glob(f"nvidia/*/lib/{name}")]
    for place in (name, *beside):
        try:
            return ctypes.CDLL(str(place))
        except OSError:
            continue
    raise NoCompiler(f"no {name} on this machine; it comes with PyTorch's packages for CUDA")


@functools.cache
def _driver() -> Any:
    driver = ctypes.CDLL(_DRIVER)
    pointer, number = ctypes.c_void_p, ctypes.c_uint
    driver.cuLaunchKernel.argtypes = [pointer, *[number] * 7, pointer, pointer, pointer]
    return driver


def _call(name: str, *arguments: Any) -> None:
    _check(name, getattr(_driver(), name)(*arguments))


def _check(name: str, error: int) -> None:
    if error:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(error, ctypes.byref(text))
        raise RuntimeError(f"{name}: {(text.value or b'unknown error').decode()} ({error})")
