"""Annotations that hold: each call of the package in the tests' own process is checked, shapes and dtypes of tensors too."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from beartype import BeartypeConf, beartype

Checked = TypeVar("Checked", bound=Callable[..., Any])
WHOLE_NUMBERS_ARE_FLOATS = BeartypeConf(is_pep484_tower=True)


def check(function: Checked) -> Checked:
    """The type checker of jaxtyping's import hook, see conftest.py.

    A protocol of the package is checked by the names of its members, whether or not it says ``runtime_checkable``.
    """
    for value in vars(sys.modules[function.__module__]).values():
        if isinstance(value, type) and getattr(value, "_is_protocol", False):
            typing.runtime_checkable(value)
    return beartype(conf=WHOLE_NUMBERS_ARE_FLOATS)(function)
