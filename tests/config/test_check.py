"""Values checked against annotations: what fits is converted, what does not is named."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab.config import ConfigError, bind, check_value, cut, options_of, validate
from optlab.config.check import describe
from optlab.types import BatchSize, Count, Decay, NonNegative, Positive, Range, Real

Mode = Literal["outside", "inside"]


@dataclass(frozen=True)
class Point:
    x: Real
    decay: Decay = 0.9
    mode: Mode = "outside"
    steps: Count | None = None


class Layer:
    def __init__(
        self,
        width: Count,
        bias: bool = True,
        *,
        generator: torch.Generator | None = None,
        **extra: Any,
    ) -> None:
        self.width, self.bias = width, bias


def loss(output: float, target: float, *, delta: Positive = 1.0) -> float:
    return (output - target) * delta


class TestOptions:
    def test_of_a_function_are_its_keyword_only_parameters(self) -> None:
        assert list(options_of(loss)) == ["delta"]

    def test_of_a_class_leave_out_what_the_program_supplies(self) -> None:
        assert list(options_of(Layer)) == ["width", "bias"]

    def test_of_a_dataclass_are_its_fields_with_their_defaults(self) -> None:
        defaults = {name: option.default for name, option in options_of(Point).items()}
        assert defaults.pop("x") is options_of(Point)["x"].empty
        assert defaults == {"decay": 0.9, "mode": "outside", "steps": None}

    def test_keep_the_range_beside_the_type(self) -> None:
        assert Range(low=0.0, open_low=True) in options_of(loss)["delta"].annotation.__metadata__


class TestBind:
    def test_returns_converted_keyword_arguments(self) -> None:
        options = bind(loss, {"delta": 2}, "loss")
        assert options == {"delta": 2.0}
        assert isinstance(options["delta"], float)

    def test_leaves_defaults_to_the_callable(self) -> None:
        assert bind(Layer, {"width": 3}, "model") == {"width": 3}

    def test_refuses_an_unknown_option_with_the_nearest(self) -> None:
        with pytest.raises(
            ConfigError, match=r"^unknown option of model 'widht'; .*: width, bias$"
        ):
            bind(Layer, {"widht": 3}, "model")

    def test_refuses_what_only_the_program_supplies(self) -> None:
        with pytest.raises(ConfigError, match="unknown option of model 'generator'"):
            bind(Layer, {"width": 3, "generator": None}, "model")

    def test_asks_for_a_missing_option(self) -> None:
        with pytest.raises(
            ConfigError, match=r"^model\.width is required: give model\.width=VALUE"
        ):
            bind(Layer, {}, "model")

    def test_names_field_value_and_range(self) -> None:
        with pytest.raises(
            ConfigError, match=r"^delta must be in \(0, inf\), got 0.0 \(loss.delta\)"
        ):
            bind(loss, {"delta": 0.0}, "loss")


class TestValidate:
    def test_refuses_a_field_out_of_range(self) -> None:
        with pytest.raises(
            ConfigError, match=r"^decay must be in \[0, 1\), got 1.0 \(opt.decay\)$"
        ):
            validate(Point(x=0.0, decay=1.0), "opt")

    def test_names_the_bare_field_where_no_path_is_given(self) -> None:
        with pytest.raises(ConfigError, match=r"\(decay\)$"):
            validate(Point(x=0.0, decay=-1.0))

    def test_turns_an_integer_into_the_float_asked_for(self) -> None:
        point = Point(x=1)
        validate(point)
        assert isinstance(point.x, float)

    def test_takes_tensors_as_they_are(self) -> None:
        outside_the_range = torch.tensor(7.0)
        point = Point(x=0.0, decay=outside_the_range)
        validate(point)
        assert point.decay is outside_the_range


class TestCheckValue:
    @given(st.floats(min_value=0.0, max_value=1.0, exclude_max=True))
    def test_returns_a_value_in_range_unchanged(self, value: float) -> None:
        assert check_value(value, Decay, "beta") == value

    @given(st.floats(min_value=1.0) | st.floats(max_value=0.0, exclude_max=True))
    def test_refuses_every_value_out_of_range(self, value: float) -> None:
        with pytest.raises(ConfigError, match="beta must be"):
            check_value(value, Decay, "beta")

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_refuses_what_is_not_finite(self, value: float) -> None:
        with pytest.raises(ConfigError, match="lr must be a number"):
            check_value(value, Real, "lr")

    def test_refuses_an_integer_that_no_float_can_hold(self) -> None:
        for annotation in (Real, Real | None, Count):
            with pytest.raises(ConfigError, match="lr must be"):
                check_value(10**400, annotation, "lr")

    @pytest.mark.parametrize("value", [True, "0.1", None, [0.1]])
    def test_a_number_is_neither_bool_nor_text(self, value: Any) -> None:
        with pytest.raises(ConfigError, match="lr must be a number in"):
            check_value(value, NonNegative, "lr")

    def test_an_integral_float_counts_as_an_integer(self) -> None:
        width = check_value(64.0, Count, "width")
        assert width == 64
        assert isinstance(width, int)

    @pytest.mark.parametrize("value", [1.5, True, "3"])
    def test_other_values_do_not(self, value: Any) -> None:
        with pytest.raises(ConfigError, match=r"width must be an integer in \[1, inf\)"):
            check_value(value, Count, "width")

    @pytest.mark.parametrize("value", ["outside", "inside"])
    def test_takes_each_of_a_closed_set(self, value: str) -> None:
        assert check_value(value, Mode, "mode") == value

    def test_lists_a_closed_set_when_refusing(self) -> None:
        with pytest.raises(ConfigError, match="mode must be one of outside, inside, got 'between'"):
            check_value("between", Mode, "mode")

    @pytest.mark.parametrize("value", [1, True, 0])
    def test_does_not_take_an_equal_value_of_another_type(self, value: Any) -> None:
        with pytest.raises(ConfigError):
            check_value(value, Literal[1.0, "1"], "mode")

    @pytest.mark.parametrize("value", [1, 64, "full"])
    def test_takes_any_member_of_a_union(self, value: Any) -> None:
        assert check_value(value, BatchSize, "batch_size") == value

    def test_a_union_keeps_the_message_of_its_range(self) -> None:
        with pytest.raises(ConfigError, match=r"batch_size must be in \[1, inf\), got 0"):
            check_value(0, BatchSize, "batch_size")

    def test_a_union_says_all_its_members(self) -> None:
        with pytest.raises(ConfigError, match=r"an integer in \[1, inf\) or 'full', got 'ful'"):
            check_value("ful", BatchSize, "batch_size")

    def test_null_only_where_allowed(self) -> None:
        assert check_value(None, Count | None, "steps") is None
        with pytest.raises(ConfigError, match="steps must be an integer"):
            check_value(None, Count, "steps")

    def test_checks_every_element_of_a_list(self) -> None:
        assert check_value((64, 32.0), list[Count], "widths") == [64, 32]
        with pytest.raises(ConfigError, match=r"widths\[1\] must be in \[1, inf\), got 0"):
            check_value([64, 0], list[Count], "model.widths")

    @pytest.mark.parametrize("value", ["64", 64, None])
    def test_a_list_is_not_a_text_or_a_number(self, value: Any) -> None:
        with pytest.raises(ConfigError, match="widths must be a list of an integer"):
            check_value(value, list[Count], "widths")

    def test_true_and_false_are_no_numbers(self) -> None:
        assert check_value(False, bool, "bias") is False
        with pytest.raises(ConfigError, match="bias must be true or false, got 0"):
            check_value(0, bool, "bias")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (float, "a number"),
        (Decay, "a number in [0, 1)"),
        (Real, "a number"),
        (Literal["full"], "'full'"),
        (tuple[int, ...], "a list of an integer"),
        (str | None, "a text or null"),
        (Annotated[int, "no range"], "an integer"),
        (Any, "anything"),
        (Point, "Point"),
    ],
)
def test_describe_says_in_words_what_is_allowed(annotation: Any, words: str) -> None:
    assert describe(annotation) == words


class TestLimits:
    @pytest.mark.parametrize("value", [1e39, -1e39, 10**40])
    def test_a_real_number_fits_into_float32(self, value: float) -> None:
        with pytest.raises(ConfigError, match=r"^lr must be of size 3.4e\+38 at most, got"):
            check_value(value, Real, "lr")

    def test_a_whole_number_fits_into_int64(self) -> None:
        assert check_value(2**63 - 1, int, "seed") == 2**63 - 1
        with pytest.raises(ConfigError, match=r"^seed must be of size 9.22e\+18 at most, got"):
            check_value(2**63, int, "seed")

    def test_a_long_value_is_cut_in_a_message(self) -> None:
        with pytest.raises(ConfigError) as caught:
            check_value("x" * 10_000, Real, "lr")
        assert len(str(caught.value)) < 200

    def test_a_long_text_keeps_its_beginning_and_its_end(self) -> None:
        assert cut("short") == "short"
        assert cut("a" * 500 + "b" * 500) == f"{'a' * 200} ... {'b' * 80}"

    def test_bounds_are_written_as_they_are_typed(self) -> None:
        assert str(Range(low=1, high=2**20)) == "[1, 1048576]"
        assert str(Range(low=0.0, high=0.5, open_high=True)) == "[0, 0.5)"
