"""A scene to whose end Gaussians are added again and again, at the cost of what is added."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from splatmem.gaussians.changes import tensor_version
from splatmem.gaussians.container import Gaussians

ROOM = 1.25  # capacity of new memory, as a multiple of what it is to hold


class Appender:
    """Joins Gaussians to the end of a scene without copying the scene, if it is the one that was joined here last.

    The parameters lie in memory with room behind them. A joined scene is the beginning of it, up to its own last Gaussian;
    what is added later lies behind and changes nothing of it. Any other scene (an older one, one whose values were changed) is
    copied, once.
    """

    def __init__(self) -> None:
        self._memory: dict[str, Tensor] = {}  # as much as there is room for, by the parameters' names
        self._last: dict[str, tuple[Tensor, int]] = {}  # of the scene that was joined last, and how often each was changed

    def joined(self, scene: Gaussians, added: Gaussians) -> Gaussians:
        """What ``Gaussians.cat([scene, added])`` gives. The scenes share memory: change none of them in place."""
        own, new = _parameters(scene), _parameters(added)
        alike = own.keys() == new.keys() and all(_kind(own[name]) == _kind(new[name]) for name in own)
        if (
            not len(scene)
            or not len(added)
            or not alike
            or any(value.requires_grad for value in (*own.values(), *new.values()))
        ):
            return Gaussians.cat([scene, added])
        begin, end = len(scene), len(scene) + len(added)
        joined: dict[str, Tensor] = {}
        for name, value in own.items():
            room, last = self._memory.get(name), self._last.get(name)
            kept = last is not None and last[0] is value and last[1] == tensor_version(value)
            if room is None or not kept or len(room) < end:
                room = value.new_empty(int(ROOM * end), *value.shape[1:])
                room[:begin] = value
            # By way of ``data``, a tensor has a count of changes of its own: that of older scenes stays what it is.
            room.data[begin:end] = new[name]
            joined[name], self._memory[name] = room.data[:end], room
        self._last = {name: (value, tensor_version(value)) for name, value in joined.items()}
        return scene.followed_by(added, joined)


def _parameters(gaussians: Gaussians) -> dict[str, Tensor]:
    return {f.name: value for f in fields(gaussians) if (value := getattr(gaussians, f.name)) is not None}


def _kind(values: Tensor) -> tuple[torch.Size, torch.dtype, torch.device]:
    """What must be the same for values to lie in one tensor."""
    return values.shape[1:], values.dtype, values.device
