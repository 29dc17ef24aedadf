"""How much is tried: some hundred examples in the suite, many times as many with ``-m slow``."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings


@pytest.fixture(params=["quick", pytest.param("long", marks=pytest.mark.slow)])
def every(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return a decorator that calls a function at once with examples of strategies.

    Args of the decorator are how many examples are quick and how many take minutes; the quick ones
    are the same at every start.
    """

    def examples(quick: int, long: int, **strategies: Any) -> Callable[..., None]:
        is_quick = request.param == "quick"
        bound = settings(
            max_examples=quick if is_quick else long,
            derandomize=is_quick,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )

        def call(check: Callable[..., None]) -> None:
            bound(given(**strategies)(check))()

        return call

    return examples
