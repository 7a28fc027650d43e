"""Wan, the picture models and the depth models of the presets at their published configurations, and tiny ones."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# Configurations are dictionaries of numbers, texts and lists, which the libraries' classes take by name.

from __future__ import annotations

from typing import Any

import torch

from splatmem.bench.making import TINY_TEXT, Maker, clip_tokenizer, qwen_tokenizer, t5_tokenizer

WAN_COMMON: dict[str, Any] = {
    "patch_size": (1, 2, 2), "in_channels": 16, "out_channels": 16, "vace_in_channels": 96, "freq_dim": 256, "eps": 1e-6,
    "cross_attn_norm": True, "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 1024,
}  # fmt: skip
WAN_TRANSFORMERS: dict[str, Any] = {
    "1.3b": WAN_COMMON | {
        "num_attention_heads": 12, "attention_head_dim": 128, "ffn_dim": 8960, "num_layers": 30, "text_dim": 4096,
        "vace_layers": list(range(0, 30, 2)),
    },
    "14b": WAN_COMMON | {
        "num_attention_heads": 40, "attention_head_dim": 128, "ffn_dim": 13824, "num_layers": 40, "text_dim": 4096,
        "vace_layers": list(range(0, 40, 5)),
    },
    "tiny": WAN_COMMON | {
        "num_attention_heads": 2, "attention_head_dim": 16, "ffn_dim": 32, "num_layers": 2, "text_dim": TINY_TEXT,
        "freq_dim": 8, "vace_layers": [0],
    },
}  # fmt: skip
T5_XXL: dict[str, Any] = {
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}
TINY_T5: dict[str, Any] = {"vocab_size": 30, "d_model": TINY_TEXT, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
CLIP: dict[str, Any] = {"vocab_size": 49408, "max_position_embeddings": 77}
CLIP_L: dict[str, Any] = CLIP | {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "projection_dim": 768,
}  # fmt: skip
CLIP_BIG_G: dict[str, Any] = CLIP | {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20, "projection_dim": 1280,
    "hidden_act": "gelu",
}  # fmt: skip
TINY_CLIP: dict[str, Any] = {
    "vocab_size": 54, "hidden_size": TINY_TEXT, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_position_embeddings": 16, "projection_dim": TINY_TEXT,
}  # fmt: skip
PICTURE_VAE: dict[str, Any] = {
    "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "sample_size": 1024,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
}  # fmt: skip
TINY_VAE: dict[str, Any] = PICTURE_VAE | {
    "block_out_channels": [4, 4, 4, 4],
    "norm_num_groups": 2,
    "layers_per_block": 1,
    "sample_size": 64,
}
SDXL_UNET: dict[str, Any] = {
    "in_channels": 9, "out_channels": 4, "sample_size": 128, "block_out_channels": [320, 640, 1280], "layers_per_block": 2,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10], "attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048,
    "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
TINY_UNET: dict[str, Any] = SDXL_UNET | {
    "sample_size": 8, "block_out_channels": [4, 8], "layers_per_block": 1, "norm_num_groups": 2, "attention_head_dim": 2,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": 1, "cross_attention_dim": 2 * TINY_TEXT, "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 32,
}  # fmt: skip
FLUX: dict[str, Any] = {
    "patch_size": 1, "out_channels": 64, "num_layers": 19, "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24, "joint_attention_dim": 4096, "pooled_projection_dim": 768, "guidance_embeds": True,
}  # fmt: skip
TINY_FLUX: dict[str, Any] = FLUX | {
    "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 8, "num_attention_heads": 2,
    "joint_attention_dim": TINY_TEXT,
    "pooled_projection_dim": TINY_TEXT, "axes_dims_rope": (2, 2, 4),
}  # fmt: skip
QWEN3_4B: dict[str, Any] = {
    "vocab_size": 151936, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
}  # fmt: skip
TINY_QWEN3: dict[str, Any] = {  # FLUX.2 klein reads its layers 9, 18 and 27
    "vocab_size": 300, "hidden_size": TINY_TEXT, "intermediate_size": 8, "num_hidden_layers": 28, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 4, "tie_word_embeddings": True,
}  # fmt: skip
QWEN25_VL_7B: dict[str, Any] = {
    "text_config": {
        "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4,
    },
    "vision_config": {
        "depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420, "out_hidden_size": 3584,
    },
}  # fmt: skip
TINY_QWEN25_VL: dict[str, Any] = {
    "text_config": {
        "vocab_size": 300, "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    },
    "vision_config": {
        "depth": 1, "hidden_size": 8, "num_heads": 2, "intermediate_size": 8, "out_hidden_size": 16,
    },
}  # fmt: skip
VISION_MARKS = ["<|vision_start|>", "<|image_pad|>", "<|vision_end|>"]
Z_IMAGE: dict[str, Any] = {
    "dim": 3840, "n_layers": 30, "n_refiner_layers": 2, "n_heads": 30, "n_kv_heads": 30, "cap_feat_dim": 2560,
    "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512],
}  # fmt: skip
TINY_Z_IMAGE: dict[str, Any] = {
    "dim": 16, "n_layers": 1, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2, "cap_feat_dim": TINY_TEXT,
    "axes_dims": [4, 2, 2], "axes_lens": [1024, 64, 64],
}  # fmt: skip
QWEN_IMAGE: dict[str, Any] = {
    "patch_size": 2, "in_channels": 64, "out_channels": 16, "num_layers": 60, "attention_head_dim": 128,
    "num_attention_heads": 24, "joint_attention_dim": 3584, "axes_dims_rope": (16, 56, 56),
}  # fmt: skip
TINY_QWEN_IMAGE: dict[str, Any] = QWEN_IMAGE | {
    "num_layers": 1, "attention_head_dim": 8, "num_attention_heads": 2, "joint_attention_dim": 16,
    "axes_dims_rope": (2, 2, 4),
}  # fmt: skip
FLUX2_KLEIN_4B: dict[str, Any] = {
    "in_channels": 128, "num_layers": 5, "num_single_layers": 20, "attention_head_dim": 128, "num_attention_heads": 24,
    "joint_attention_dim": 7680, "axes_dims_rope": (32, 32, 32, 32), "guidance_embeds": False,
}  # fmt: skip
TINY_FLUX2: dict[str, Any] = FLUX2_KLEIN_4B | {
    "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 8, "num_attention_heads": 2,
    "joint_attention_dim": 3 * TINY_TEXT, "axes_dims_rope": (2, 2, 2, 2), "timestep_guidance_channels": 8,
}  # fmt: skip
SD35_MEDIUM: dict[str, Any] = {
    "sample_size": 128, "patch_size": 2, "in_channels": 16, "out_channels": 16, "num_layers": 24, "attention_head_dim": 64,
    "num_attention_heads": 24, "joint_attention_dim": 4096, "caption_projection_dim": 1536, "pooled_projection_dim": 2048,
    "pos_embed_max_size": 384, "dual_attention_layers": tuple(range(13)), "qk_norm": "rms_norm",
}  # fmt: skip
TINY_SD35: dict[str, Any] = SD35_MEDIUM | {
    "sample_size": 8, "num_layers": 1, "attention_head_dim": 8, "num_attention_heads": 4, "joint_attention_dim": 32,
    "caption_projection_dim": 32, "pooled_projection_dim": 2 * TINY_TEXT, "pos_embed_max_size": 32,
    "dual_attention_layers": (0,),
}  # fmt: skip
SD3_VAE: dict[str, Any] = {
    "latent_channels": 16, "scaling_factor": 1.5305, "shift_factor": 0.0609, "use_quant_conv": False,
    "use_post_quant_conv": False,
}  # fmt: skip
FLUX_VAE: dict[str, Any] = {
    "latent_channels": 16,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
DEPTH: dict[str, Any] = {
    "small": {
        "backbone": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
        "stages": (3, 6, 9, 12), "neck": [48, 96, 192, 384], "fusion": 64, "side": 518,
    },
    "large": {
        "backbone": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
        "stages": (5, 12, 18, 24), "neck": [256, 512, 1024, 1024], "fusion": 256, "side": 518,
    },
    "tiny": {
        "backbone": {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2},
        "stages": (1, 2, 3, 4), "neck": [4, 4, 8, 8], "fusion": 8, "side": 28,
    },
}  # fmt: skip


def wan_transformer(kind: str, make: Maker) -> Any:
    from diffusers import WanVACETransformer3DModel

    config = WAN_TRANSFORMERS[kind]
    model = make(lambda: WanVACETransformer3DModel(**config))
    # Its table of angles is kept in single precision.
    rope = type(model.rope)
    model.rope = make(
        lambda: rope(config["attention_head_dim"], config["patch_size"], config["rope_max_seq_len"]), torch.float32
    )
    return model


def wan_autoencoder(tiny: bool, make: Maker) -> Any:
    """In single precision, as the preset runs it."""
    from diffusers import AutoencoderKLWan

    small = {"base_dim": 3, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    return make(lambda: AutoencoderKLWan(**(small if tiny else {})), torch.float32)


def umt5(tiny: bool, make: Maker) -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    config = UMT5Config(**(TINY_T5 if tiny else T5_XXL | {"vocab_size": 256384}))
    return make(lambda: UMT5EncoderModel(config))


def t5(tiny: bool, make: Maker) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(**(TINY_T5 if tiny else T5_XXL | {"vocab_size": 32128}))
    return make(lambda: T5EncoderModel(config))


def clip(config: dict[str, Any], projection: bool, make: Maker) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kind = CLIPTextModelWithProjection if projection else CLIPTextModel
    settings = CLIPTextConfig(**config, bos_token_id=52, eos_token_id=53)
    return make(lambda: kind(settings))


def sdxl_inpaint(tiny: bool, make: Maker) -> Any:
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLInpaintPipeline, UNet2DConditionModel

    vae = (TINY_VAE if tiny else PICTURE_VAE) | {"scaling_factor": 0.13025, "force_upcast": True}
    return StableDiffusionXLInpaintPipeline(
        vae=make(lambda: AutoencoderKL(**vae)),
        text_encoder=clip(TINY_CLIP if tiny else CLIP_L, False, make),
        text_encoder_2=clip(TINY_CLIP if tiny else CLIP_BIG_G, True, make),
        tokenizer=clip_tokenizer(tiny),
        tokenizer_2=clip_tokenizer(tiny),
        unet=make(lambda: UNet2DConditionModel(**(TINY_UNET if tiny else SDXL_UNET))),
        scheduler=EulerDiscreteScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, timestep_spacing="leading", steps_offset=1
        ),
    )


def sdxl_controlnet(tiny: bool, make: Maker) -> Any:
    """A ControlNet of SDXL's family: it is shown the latents alone, without mask and masked picture."""
    from diffusers import ControlNetModel

    unet = TINY_UNET if tiny else SDXL_UNET
    config = {name: value for name, value in unet.items() if name not in ("sample_size", "out_channels", "up_block_types")}
    config |= {"in_channels": 4, "conditioning_embedding_out_channels": [4] * 4 if tiny else [16, 32, 96, 256]}
    return make(lambda: ControlNetModel(**config))


def flux_fill(tiny: bool, make: Maker) -> Any:
    from diffusers import FluxFillPipeline

    return FluxFillPipeline(**_flux_parts(384, tiny, make))


def flux_depth(tiny: bool, make: Maker) -> Any:
    from diffusers import FluxControlInpaintPipeline

    return FluxControlInpaintPipeline(**_flux_parts(128, tiny, make))


def _flux_parts(channels: int, tiny: bool, make: Maker) -> dict[str, Any]:
    """The parts of FLUX.1 with a transformer of so many channels of input."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

    vae = (TINY_VAE if tiny else PICTURE_VAE) | FLUX_VAE
    transformer = (TINY_FLUX if tiny else FLUX) | {"in_channels": channels}
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        "vae": make(lambda: AutoencoderKL(**vae)),
        "text_encoder": clip(TINY_CLIP if tiny else CLIP_L, False, make),
        "tokenizer": clip_tokenizer(tiny),
        "text_encoder_2": t5(tiny, make),
        "tokenizer_2": t5_tokenizer(),
        "transformer": make(lambda: FluxTransformer2DModel(**transformer)),
    }


def z_image(tiny: bool, make: Maker) -> Any:
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImageInpaintPipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    vae = (TINY_VAE if tiny else PICTURE_VAE) | FLUX_VAE
    words = Qwen3Config(**(TINY_QWEN3 if tiny else QWEN3_4B))
    return ZImageInpaintPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=make(lambda: AutoencoderKL(**vae)),
        text_encoder=make(lambda: Qwen3Model(words)),
        tokenizer=qwen_tokenizer(),
        transformer=make(lambda: ZImageTransformer2DModel(**(TINY_Z_IMAGE if tiny else Z_IMAGE))),
    )


def qwen_image(tiny: bool, make: Maker) -> Any:
    from diffusers import QwenImageInpaintPipeline

    return QwenImageInpaintPipeline(**_qwen_parts(qwen_tokenizer(), {}, tiny, make))


def qwen_image_edit(tiny: bool, make: Maker) -> Any:
    """It shows the picture that it edits to its text encoder."""
    from diffusers import QwenImageEditInpaintPipeline
    from transformers import Qwen2VLImageProcessorPil

    from splatmem.inpaint.diffusers.qwen_edit import PictureAndWords

    tokenizer = qwen_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": VISION_MARKS})
    tokens = tokenizer.convert_tokens_to_ids(VISION_MARKS)
    marks = {f"{mark}_token_id": token for mark, token in zip(("vision_start", "image", "vision_end"), tokens, strict=True)}
    pixels = {"min_pixels": 28 * 28, "max_pixels": 56 * 56} if tiny else {}
    build: Any = QwenImageEditInpaintPipeline
    return build(
        **_qwen_parts(tokenizer, marks, tiny, make),
        processor=PictureAndWords(Qwen2VLImageProcessorPil(**pixels), tokenizer),
    )


def _qwen_parts(tokenizer: Any, marks: dict[str, int], tiny: bool, make: Maker) -> dict[str, Any]:
    """The parts of Qwen-Image; ``marks``: tokens that mark a picture among words."""
    from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    small = {"base_dim": 3, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    words = Qwen2_5_VLConfig(**(TINY_QWEN25_VL if tiny else QWEN25_VL_7B) | marks)
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, max_shift=0.9, shift_terminal=0.02),
        "vae": make(lambda: AutoencoderKLQwenImage(**(small if tiny else {}))),
        "text_encoder": make(lambda: Qwen2_5_VLForConditionalGeneration(words)),
        "tokenizer": tokenizer,
        "transformer": make(lambda: QwenImageTransformer2DModel(**(TINY_QWEN_IMAGE if tiny else QWEN_IMAGE))),
    }


def flux2_klein(tiny: bool, make: Maker) -> Any:
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinInpaintPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    small = {name: TINY_VAE[name] for name in ("block_out_channels", "norm_num_groups", "layers_per_block", "sample_size")}
    words = Qwen3Config(**(TINY_QWEN3 if tiny else QWEN3_4B))
    return Flux2KleinInpaintPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=make(lambda: AutoencoderKLFlux2(**(small if tiny else {}))),
        text_encoder=make(lambda: Qwen3ForCausalLM(words)),
        tokenizer=qwen_tokenizer(),
        transformer=make(lambda: Flux2Transformer2DModel(**(TINY_FLUX2 if tiny else FLUX2_KLEIN_4B))),
        is_distilled=True,
    )


def sd35(tiny: bool, make: Maker) -> Any:
    from diffusers import (
        AutoencoderKL,
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3InpaintPipeline,
    )
    from transformers import T5Config, T5EncoderModel

    vae = (TINY_VAE if tiny else PICTURE_VAE) | SD3_VAE
    long_words = T5Config(**(TINY_T5 | {"d_model": 32} if tiny else T5_XXL | {"vocab_size": 32128}))
    return StableDiffusion3InpaintPipeline(
        transformer=make(lambda: SD3Transformer2DModel(**(TINY_SD35 if tiny else SD35_MEDIUM))),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=make(lambda: AutoencoderKL(**vae)),
        text_encoder=clip(TINY_CLIP if tiny else CLIP_L, True, make),
        tokenizer=clip_tokenizer(tiny),
        text_encoder_2=clip(TINY_CLIP if tiny else CLIP_BIG_G, True, make),
        tokenizer_2=clip_tokenizer(tiny),
        text_encoder_3=make(lambda: T5EncoderModel(long_words)),
        tokenizer_3=t5_tokenizer(),
    )


def depth_anything(kind: str, make: Maker) -> tuple[Any, Any]:
    """Depth Anything V2, metric, and its processor."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessorPil

    parts = DEPTH[kind]
    settings = {"out_features": [f"stage{stage}" for stage in parts["stages"]], **parts["backbone"]}
    backbone = Dinov2Config(
        image_size=parts["side"], patch_size=14, reshape_hidden_states=False, apply_layernorm=True, **settings,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=backbone.hidden_size, neck_hidden_sizes=parts["neck"],
        fusion_hidden_size=parts["fusion"], head_hidden_size=32, depth_estimation_type="metric", max_depth=20,
    )  # fmt: skip
    processor = DPTImageProcessorPil(
        size={"height": parts["side"], "width": parts["side"]}, keep_aspect_ratio=True, ensure_multiple_of=14,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    return make(lambda: DepthAnythingForDepthEstimation(config)), processor
