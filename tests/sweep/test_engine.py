"""Which engine trains runs that can be stacked."""

import pytest

from optlab.config import ConfigError
from optlab.sweep import engine
from optlab.sweep.engine import choose, missing_compiler, pays_off

LONG, SHORT = 10**6, 10


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setattr(engine, "missing_compiler", lambda: "no compiler on PATH")


@pytest.mark.parametrize("wanted", ["compiled", "eager"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_asked_for_is_taken(wanted, device):
    assert choose(wanted, device, SHORT) == (wanted, "")


def test_single_runs_on_request_say_so():
    assert choose("single", "cpu", LONG) == ("single", "sweep.engine=single")


def test_a_cpu_with_a_compiler_runs_c(monkeypatch):
    monkeypatch.setattr(engine, "missing_compiler", lambda: "")
    assert choose("auto", "cpu", SHORT).engine == choose("native", "cpu", SHORT).engine == "native"


@pytest.mark.usefixtures("no_compiler")
def test_a_cpu_without_a_compiler_trains_singly_and_says_why():
    assert choose("auto", "cpu", LONG) == ("single", "no compiler on PATH")
    with pytest.raises(ConfigError, match="native needs a C compiler: no compiler on PATH"):
        choose("native", "cpu", LONG)


def test_c_on_cuda_is_refused():
    with pytest.raises(ConfigError, match=r"native is for the CPU.*'cuda'.*device=cpu"):
        choose("native", "cuda", LONG)


def test_on_cuda_long_runs_are_compiled_and_short_ones_are_not():
    assert choose("auto", "cuda", LONG).engine == "compiled"
    assert choose("auto", "cuda", SHORT).engine == "eager"


def test_setting_up_pays_from_the_update_at_which_it_has_been_saved():
    saved_each = {"setup_s": 6.0, "before_s": 0.003, "after_s": 0.001}
    assert not pays_off(3000, **saved_each)
    assert pays_off(3001, **saved_each)
    assert not pays_off(10**9, setup_s=0.0, before_s=0.001, after_s=0.001)


def test_a_compiler_that_refuses_is_reported(monkeypatch):
    monkeypatch.setenv("CC", "/no/such/compiler")
    monkeypatch.setenv("PATH", "")
    missing_compiler.cache_clear()
    from optlab import compiler

    compiler.c_library.cache_clear()
    try:
        assert "no compiler on PATH" in missing_compiler()
    finally:
        missing_compiler.cache_clear()
        compiler.c_library.cache_clear()
