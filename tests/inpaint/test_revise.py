"""Which latents the sampler may change, and when."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from splatmem.inpaint.diffusers.revise import FREE, HeldLatents, allowed_in_cells, allowed_noise, prepare_scheduler


def test_noise_follows_trust():
    known = torch.tensor([[[True, True, True, False]]])
    trust = torch.tensor([[[1.0, 0.5, 0.0, 1.0]]])
    torch.testing.assert_close(allowed_noise(known, trust, 0.6), torch.tensor([[[0.0, 0.3, 0.6, FREE]]]))


def test_cells_take_the_most_of_their_pixels_and_frames():
    allowed = torch.zeros(6, 24, 40)
    allowed[0, 3, 3] = 0.2
    allowed[4, 20, 20] = 0.4
    cells = allowed_in_cells(allowed, 8, 4)
    assert cells.shape == (3, 3, 5)
    assert cells[0, 0, 0] == pytest.approx(0.2)
    assert cells[1, 2, 2] == pytest.approx(0.4)
    assert (cells > 0).sum() == 2


def test_cells_beside_the_unknown_are_free():
    allowed = torch.zeros(1, 40, 40)
    allowed[0, 17, 17] = FREE
    assert torch.equal(allowed_in_cells(allowed, 8, 1)[0] == FREE, torch.nn.functional.pad(torch.ones(3, 3), (1, 1, 1, 1)) > 0)


SCHEDULERS = {
    "flow": FlowMatchEulerDiscreteScheduler(),
    "unipc": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    "euler": EulerDiscreteScheduler(),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_cells_are_held_until_their_noise_is_reached(name):
    """A sampler that would put 7 everywhere: it does so in the unknown always, in the poor at last, in the trusted never."""
    scheduler, steps = SCHEDULERS[name], 8
    prepare_scheduler(scheduler, steps)
    scheduler.set_timesteps(steps)
    allowed = torch.tensor([0.0, 0.4, FREE]).view(1, 1, 1, 3)
    clean, noise = torch.full((1, 1, 1, 3), 2.0), torch.full((1, 1, 1, 3), -1.0)
    hold = HeldLatents(clean, noise, allowed)
    poor_was_free = []
    for step, timestep in enumerate(scheduler.timesteps):
        latents = hold(SimpleNamespace(scheduler=scheduler), step, timestep, {"latents": torch.full((1, 1, 1, 3), 7.0)})
        trusted, poor, unknown = latents["latents"].flatten().tolist()
        assert unknown == 7.0
        assert trusted != 7.0
        assert poor in (trusted, 7.0)
        poor_was_free.append(poor == 7.0)
        following = scheduler.timesteps[step + 1] / 1000 if step + 1 < steps else 0.0
        assert poor_was_free[-1] == (following < 0.4)
    assert trusted == 2.0, "at the end a trusted cell is what it was"
    assert poor_was_free == sorted(poor_was_free)
