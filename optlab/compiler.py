"""C and C++ sources made into libraries with the machine's own compiler, kept between processes.

A library lies in ``$XDG_CACHE_HOME/optlab/kernels`` (``~/.cache`` without it) under a name that
follows from its source, its compiler, its flags and the processor, and is written in one move: many
processes may compile the same at once, and none reads half of one. Where nothing can be kept, it
lies in a temporary folder of the process.
"""

import atexit
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

#: The variable that names a C compiler, and programs to look for.
C_COMPILERS = ("CC", "cc", "gcc", "clang")


class NotCompiled(Exception):
    """Something has to be done without a kernel; the message says why."""


class NoCompiler(NotCompiled):
    """Compiled kernels are not available on this machine, and why."""


@functools.cache
def c_library(source: str, reorder: bool = False) -> ctypes.CDLL:
    """Return a compiled C file.

    Args:
        source: Its text.
        reorder: Whether sums may be taken in another order and products be fused into them,
            for speed; else every operation is rounded as it is written. NaN and infinity keep
            their meaning either way.

    Raises:
        NoCompiler: When there is no compiler, or it refuses, or nothing can be written.
    """
    return _library(source, ".c", C_COMPILERS, _c_flags(reorder))


@functools.cache
def cpp_library(source: str) -> ctypes.PyDLL:
    """Return a compiled C++ file that may include PyTorch's headers and link its core library.

    Raises:
        NoCompiler: As `c_library`.
    """
    root = Path(torch.__file__).parent
    torch_flags = ("-std=c++20", f"-I{root / 'include'}", f"-L{root / 'lib'}", "-lc10")
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    flags: list[tuple[str, ...]] = [("-O2", *torch_flags, abi)]
    library = _library(source, ".cpp", ("CXX", "c++", "g++", "clang++"), flags, torch.__version__)
    # Calls keep Python's lock, so that no other thread changes a tensor that is being looked at.
    return ctypes.PyDLL(library._name)


@functools.cache
def c_compiler() -> str:
    """Return the C compiler in its own words, such as "gcc (Debian 12.2.0-14) 12.2.0", or "none".

    Versions of a compiler may round in different ways.
    """
    try:
        words = [*_compiler(C_COMPILERS), "--version"]
        said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    except (NoCompiler, OSError):
        return "none"
    return next(iter(said.splitlines()), words[0])


def _c_flags(reorder: bool) -> list[tuple[str, ...]]:
    """Return flags to try in turn: the last are those that every compiler knows."""
    loose = ("-ffp-contract=fast", "-fassociative-math", "-fno-signed-zeros")
    rounding = loose if reorder else ("-ffp-contract=off",)
    plain = ("-O3", *rounding, "-fno-math-errno", "-fno-trapping-math")
    native = (*plain, "-march=native")
    wide = ("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()
    return [(*native, *wide, "-fopenmp"), (*native, *wide), plain]


def _library(
    source: str, suffix: str, names: tuple[str, ...], tries: list[tuple[str, ...]], extra: str = ""
) -> ctypes.CDLL:
    compiler = _compiler(names)
    key = "\0".join([source, *compiler, *map(" ".join, tries), _processor(), extra])
    name = f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.so"
    reasons = []
    for folder in (_kept_folder, _own_folder):
        try:
            return _loaded(
                folder() / name, functools.partial(_compile, compiler, source, suffix, tries)
            )
        except (OSError, RuntimeError) as error:  # read-only, full, without a home, not executable
            reasons.append(str(error))
    raise NoCompiler(f"cannot write or load a compiled kernel: {'; '.join(reasons)}")


def _loaded(path: Path, build: Callable[[Path], None]) -> ctypes.CDLL:
    """Return the library at ``path``, built if there is none or if what is there is damaged."""
    if path.exists():
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            path.unlink()
    build(path)
    return ctypes.CDLL(str(path))


def _compiler(names: tuple[str, ...]) -> list[str]:
    """Return the words of a command: a variable may hold options too, or a program before it."""
    variable, *programs = names
    try:
        named = shlex.split(os.environ.get(variable, ""))
    except ValueError as error:
        raise NoCompiler(f"{variable}={os.environ[variable]!r} is no command: {error}") from None
    for program, *options in filter(None, (named, *([program] for program in programs))):
        found = shutil.which(program)
        if found:
            return [found, *options]
    raise NoCompiler(
        f"no compiler on PATH ({', '.join(programs)}); install one (Debian: g++) or set {variable}"
    )


def _compile(
    compiler: list[str], source: str, suffix: str, tries: list[tuple[str, ...]], path: Path
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="build-") as folder:
        code, built = Path(folder, f"kernel{suffix}"), Path(folder, "kernel.so")
        code.write_text(source)
        for flags in tries:
            files = (str(code), "-o", str(built))
            command = [*compiler, "-shared", "-fPIC", "-w", *files, *flags, "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                os.replace(built, path)
                return
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    complaint = next((line for line in lines if "error" in line), lines[0])
    raise NoCompiler(f"{shlex.join(compiler)} refused a kernel: {complaint}")


def _kept_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    # A source that includes itself by its name is only found by a whole one.
    return Path(base, "optlab", "kernels").absolute()


@functools.cache
def _own_folder() -> Path:
    """Return a folder of this process alone, for machines where nothing can be kept."""
    folder = tempfile.mkdtemp(prefix="optlab-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@functools.cache
def _processor() -> str:
    """Return what ``-march=native`` depends on; a home folder may serve several machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
