"""Fixtures of the rasterizer's tests."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from splatmem.render.extension import load_kernels


@pytest.fixture(params=["avx512", "avx2", "baseline"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test with each instruction set that the processor has."""
    kernels = load_kernels()
    if request.param not in kernels.instruction_sets():
        pytest.skip(f"the processor has no {request.param}")
    default = kernels.instruction_set()
    kernels.use_instruction_set(request.param)
    yield request.param
    kernels.use_instruction_set(default)


@pytest.fixture
def restore_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Calls are not held against their annotations, the first of a kind neither: the last digits of its gradients differ from
    those of the calls after it."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
