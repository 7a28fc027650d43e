"""Annotations that hold: each call of the package in the tests' own process is checked, shapes and dtypes of tensors too.

jaxtyping and beartype check calls. Whether a call holds depends on the types of what is given and returned, and on the dtypes
and shapes of arrays; so a call of a function that was checked with the same is not checked again. Scenes make tens of thousands
of calls, few of them of a new kind, and checking each of them took as long as the scenes themselves.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
import typing
from collections.abc import Callable, Hashable
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, TypeVar

import jaxtyping
import numpy as np
import torch
from beartype import BeartypeConf, beartype

Checked = TypeVar("Checked", bound=Callable[..., Any])
WHOLE_NUMBERS_ARE_FLOATS = BeartypeConf(is_pep484_tower=True)

LARGEST_NAMED_SIZE = 16
"""No annotation asks for a larger size by its number: of larger ones it matters alone which are equal."""

LONGEST_LOOKED_THROUGH = 16
"""Longer tuples and lists are checked at each call."""

MOST_KINDS = 10_000
"""Kinds of calls that are remembered of a function, so that the tests' memory stays small."""


def install() -> None:
    """From now on the package's functions are checked as they are imported."""
    jaxtyping.install_import_hook("splatmem", "checked_annotations.check")
    whole = jaxtyping.jaxtyped

    def jaxtyped(*, typechecker: Any) -> Callable[..., Any]:
        return functools.partial(_checked, functools.partial(whole, typechecker=typechecker))

    jaxtyping.jaxtyped = jaxtyped  # what the hook puts before each function and class


def check(function: Checked) -> Checked:
    """The type checker of jaxtyping's import hook.

    A protocol of the package is checked by the names of its members, whether or not it says ``runtime_checkable``.
    """
    for value in vars(sys.modules[function.__module__]).values():
        if isinstance(value, type) and getattr(value, "_is_protocol", False):
            typing.runtime_checkable(value)
    return beartype(conf=WHOLE_NUMBERS_ARE_FLOATS)(function)


_HELD: dict[int, tuple[types.CodeType, set[int]]] = {}
"""The calls that held, by the function's code: functions within functions are made anew at each call of the outer one. Codes
are told apart as objects, for those of two data classes may be equal."""


def _checked(jaxtyped: Callable[..., Any], function: Any) -> Any:
    """The function or class, which ``jaxtyped`` checks where a call is of a new kind."""
    if isinstance(function, type):
        if is_dataclass(function) and isinstance(function.__init__, types.FunctionType):
            function.__init__ = _checked(jaxtyped, function.__init__)
        return function
    if not isinstance(function, types.FunctionType):
        return jaxtyped(function)
    _, held = _HELD.setdefault(id(function.__code__), (function.__code__, set()))

    @functools.cache  # when it is first called: most functions are not called in a process
    def whole() -> Callable[..., Any]:
        return jaxtyped(function)

    returned = threading.local()

    @functools.cache
    def of_returned() -> Callable[..., Any]:
        def give(*_: Any, **__: Any) -> Any:
            return returned.value

        # With the function's own globals, in which the names of its annotations are looked up.
        same = types.FunctionType(give.__code__, function.__globals__, function.__name__, None, give.__closure__)
        return jaxtyped(functools.update_wrapper(same, function))

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        sizes: dict[int, int] = {}
        try:
            given = hash((_kinds(args, sizes), tuple(kwargs), _kinds(tuple(kwargs.values()), sizes)))
        except _NoKind:
            return whole()(*args, **kwargs)
        known = given in held
        value = (function if known else whole())(*args, **kwargs)
        try:
            kind = hash((given, _kind(value, sizes)))
        except _NoKind:
            kind = None
        if known and kind not in held:
            returned.value = value
            try:
                of_returned()(*args, **kwargs)
            finally:
                del returned.value
        if kind is not None:
            if len(held) > MOST_KINDS:
                held.clear()
            held.update((given, kind))
        return value

    return checked


class _NoKind(Exception):
    """A value of which more than the type is asked."""


ARRAYS = (torch.Tensor, np.ndarray)
LISTS = (tuple, list)
ASKED_FOR_THEMSELVES = (str, int, Enum, type, types.BuiltinFunctionType)  # by Literal[...] and type[...]
UNLIKE_EACH_OTHER = (dict, set, frozenset, functools.partial, types.FunctionType, types.MethodType)
ASKED_FOR_THEIR_TYPE = (object,)


@functools.cache
def _asked(kind: type) -> tuple | None:
    """Which of the above a type belongs to; None: an annotation may ask for more than these tell."""
    for some in (ARRAYS, ASKED_FOR_THEMSELVES, LISTS):
        if issubclass(kind, some):
            return some
    # What others hold is asked of these, and functions have a protocol's members or lack them.
    return None if issubclass(kind, UNLIKE_EACH_OTHER) else ASKED_FOR_THEIR_TYPE


def _kinds(values: tuple | list, sizes: dict[int, int]) -> Hashable:
    return tuple([_kind(value, sizes) for value in values])


def _kind(value: Any, sizes: dict[int, int]) -> Hashable:
    """All that an annotation can ask of a value.

    Args:
        sizes: names of the call's sizes so far.

    Raises:
        _NoKind: it may ask for more than is looked at here.
    """
    kind = type(value)
    asked = _asked(kind)
    if asked is ARRAYS:
        return kind, value.dtype, tuple([_size(size, sizes) for size in value.shape])
    if asked is ASKED_FOR_THEMSELVES:
        return kind, value
    if asked is ASKED_FOR_THEIR_TYPE:
        return kind
    if asked is None or len(value) > LONGEST_LOOKED_THROUGH:
        raise _NoKind
    return kind, _kinds(value, sizes)


def _size(size: int, sizes: dict[int, int]) -> int:
    """The size, or where it is large its name."""
    return size if size <= LARGEST_NAMED_SIZE else sizes.setdefault(size, LARGEST_NAMED_SIZE + 1 + len(sizes))
