"""Parts of PyTorch that no command of the embedded preset uses, imported when something asks for them.

They are its compiler's: shapes without numbers, the export of programs, and what these import; a third of the time that
``import torch`` takes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

TRIED = "2.13"
"""The version of PyTorch with which this was tried."""
DEFERRED = ("torch._meta_registrations", "torch.export", "torch.distributions", "torch.nested")
ASKED_BY = frozenset({"accelerate", "diffusers", "transformers", "torch._dynamo", "torch._inductor"})
"""Who needs what the deferred modules register, without naming them."""
_OF_THE_IMPORT = frozenset(
    {"__class__", "__dict__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"}
)
"""What Python looks at itself when a module is imported once more."""


class _Deferred(ModuleType):
    """A module that is executed when somebody looks into it."""

    def __getattribute__(self, name: str) -> Any:
        if name not in _OF_THE_IMPORT:
            _execute(self)
        return ModuleType.__getattribute__(self, name)


class _LateLoader(Loader):
    """Makes a module and leaves its execution for later."""

    def __init__(self, real: Loader) -> None:
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Deferred
        _allow_generators()


def _allow_generators() -> None:
    """Lets ``torch.Generator`` be used without the deferred modules, one of which would do this."""
    import torch._C
    from torch._opaque_base import OpaqueBaseMeta

    torch._C._set_generator_metaclass(OpaqueBaseMeta)  # type: ignore[attr-defined]


class _Finder(MetaPathFinder):
    """Finds the deferred modules, and executes them all before a module that needs them without naming them."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname in ASKED_BY and not _is_being_imported("torch"):
            import_deferred()
        elif fullname in DEFERRED:
            spec = PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _LateLoader(spec.loader)
            return spec
        return None


_finder = _Finder()
_executing = threading.RLock()
_begun: list[ModuleType] = []


def defer(package: Path) -> None:
    """From now on, the deferred modules are imported when somebody looks into them. To be called before PyTorch is imported,
    with its folder.

    Its parts import each other in circles, which other versions may enter elsewhere: where this was not tried, nothing is
    deferred.
    """
    version = package / "version.py"
    tried = version.is_file() and f"__version__ = '{TRIED}." in version.read_text(encoding="utf-8")
    if tried and "torch" not in sys.modules and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def import_deferred() -> None:
    """Imports the deferred modules, if they were deferred."""
    if _finder not in sys.meta_path:
        return
    sys.meta_path.remove(_finder)
    for name in DEFERRED:
        module = sys.modules.get(name)
        if isinstance(module, _Deferred):
            _execute(module)


def _is_being_imported(name: str) -> bool:
    module = sys.modules.get(name)
    return module is None or bool(getattr(module.__spec__, "_initializing", False))


def _execute(module: ModuleType) -> None:
    """Executes a deferred module; while that lasts, it looks into itself as any module does."""
    with _executing:
        spec = module.__spec__
        late = None if spec is None else spec.loader
        if type(module) is not _Deferred or spec is None or not isinstance(late, _LateLoader) or module in _begun:
            return
        _begun.append(module)
        try:
            late.real.exec_module(module)
        finally:
            _begun.remove(module)
        spec.loader = module.__loader__ = late.real
        object.__setattr__(module, "__class__", ModuleType)
