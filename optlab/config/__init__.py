"""Checked values: ranges, errors that name the field, and the identity of a configuration."""

from optlab.config.check import bind, check_value, cut, options_of, shown, validate
from optlab.config.errors import ConfigError, nearest, unknown_name, unknown_option

__all__ = [
    "ConfigError",
    "bind",
    "check_value",
    "cut",
    "nearest",
    "options_of",
    "shown",
    "unknown_name",
    "unknown_option",
    "validate",
]
