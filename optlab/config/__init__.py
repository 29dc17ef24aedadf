"""Checked values: ranges, errors that name the field, and the identity of a configuration."""

from optlab.config.check import bind, check_value, options_of, validate
from optlab.config.errors import ConfigError, nearest, unknown_name, unknown_option

__all__ = [
    "ConfigError",
    "bind",
    "check_value",
    "nearest",
    "options_of",
    "unknown_name",
    "unknown_option",
    "validate",
]
