"""What a Wan VACE pipeline is given, and what it documents that it wants."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import pytest
import torch
from diffusers import WanVACEPipeline
from PIL import Image
from splatmem.inpaint.diffusers.wan_vace import WanVACEInpainter


def record_calls(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Every call of a pipeline from now on, with the latents and the latent masks that it made of what it was given; the calls
    go through."""
    calls: list[SimpleNamespace] = []
    call = WanVACEPipeline.__call__

    @functools.wraps(call)
    def recording(self, *args, **kwargs):
        assert not args
        calls.append(SimpleNamespace(**kwargs))
        for name in ("prepare_masks", "prepare_video_latents"):
            made = getattr(type(self), name)

            def kept(*given, made=made, name=name, **more):
                setattr(calls[-1], name, made(self, *given, **more))
                return getattr(calls[-1], name)

            monkeypatch.setattr(self, name, kept)
        return call(self, **kwargs)

    monkeypatch.setattr(WanVACEPipeline, "__call__", recording)
    return calls


def record_decoded(inpainter: WanVACEInpainter, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What the sampler hands to the decoder from now on, as the sampler has it, ``[f, g, h, w]``."""
    vae, decoded = inpainter.pipeline.vae, []
    mean, std = (torch.tensor(v).view(-1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
    decode = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, **k: (decoded.append((z[0] - mean) / std), decode(z, **k))[1])
    return decoded


def check_contract(call: SimpleNamespace) -> None:
    """What the pipeline's documentation and code ask for."""
    batch, frames, channels, height, width = call.video.shape
    assert (batch, channels) == (1, 3)
    assert call.mask.shape == call.video.shape
    assert frames % 4 == 1
    assert call.num_frames == frames
    assert (call.height, call.width) == (height, width)
    assert height % 16 == 0
    assert width % 16 == 0
    assert call.video.dtype == call.mask.dtype == torch.float32
    assert call.video.min() >= 0
    assert call.video.max() <= 1
    assert set(call.mask.unique().tolist()) <= {0.0, 1.0}
    groups = [call.mask[0, :1], *call.mask[0, 1:].split(4)]
    assert all(torch.equal(group, group[:1].expand_as(group)) for group in groups), "one mask for a latent"
    for picture in call.reference_images or []:
        assert isinstance(picture, Image.Image)
        assert picture.mode == "RGB"
