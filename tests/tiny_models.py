"""Pipelines of the real classes with tiny random weights, saved to a folder: made in no time, run in tenths of a second."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLWan,
    ControlNetModel,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxControlNetModel,
    FluxControlPipeline,
    FluxFillPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    LTX2Pipeline,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
    WanVACEPipeline,
    WanVACETransformer3DModel,
    ZImageControlNetModel,
)
from splatmem.bench import architectures, ltx_family
from splatmem.bench.making import Maker
from transformers import (
    BeitConfig,
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    DepthProConfig,
    DepthProForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessorPil,
    GLPNConfig,
    GLPNForDepthEstimation,
    GLPNImageProcessorPil,
    PromptDepthAnythingConfig,
    PromptDepthAnythingForDepthEstimation,
    PromptDepthAnythingImageProcessorPil,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
    ZoeDepthImageProcessorPil,
)

TEXT_WIDTH = 8
SQUARE = {"height": 28, "width": 28}
SMALL_SQUARE = {"height": 32, "width": 32}


def clip_tokenizer() -> CLIPTokenizer:
    words = [*string.ascii_lowercase, *(f"{c}</w>" for c in string.ascii_lowercase), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=16)


def t5_tokenizer() -> T5TokenizerFast:
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    return T5TokenizerFast(vocab=special + [(c, -2.0) for c in string.ascii_lowercase], extra_ids=0)


def clip_text(projection: bool = False):
    config = CLIPTextConfig(
        vocab_size=54, hidden_size=TEXT_WIDTH, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, projection_dim=TEXT_WIDTH, bos_token_id=52, eos_token_id=53,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def picture_vae(latent_channels: int = 4) -> AutoencoderKL:
    """With the real ones' factor of 8 between pixels and latents."""
    return AutoencoderKL(
        block_out_channels=[4, 4, 4, 4], norm_num_groups=2, layers_per_block=1, latent_channels=latent_channels,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4, sample_size=64, shift_factor=0.1,
    )  # fmt: skip


def unet(in_channels: int, xl: bool = False) -> UNet2DConditionModel:
    more = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4, "projection_class_embeddings_input_dim": 32}
    return UNet2DConditionModel(
        block_out_channels=[4, 8], layers_per_block=1, norm_num_groups=2, in_channels=in_channels, out_channels=4,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"], up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        cross_attention_dim=2 * TEXT_WIDTH if xl else TEXT_WIDTH, attention_head_dim=2, sample_size=8, **(more if xl else {}),
    )  # fmt: skip


def wan_transformer(in_blocks: bool = False) -> WanVACETransformer3DModel:
    widths = (
        {"attention_head_dim": 16, "freq_dim": 32, "ffn_dim": 32}
        if in_blocks
        else {"attention_head_dim": 12, "freq_dim": 8, "ffn_dim": 8}
    )
    return WanVACETransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, in_channels=16, out_channels=16, text_dim=TEXT_WIDTH, num_layers=2,
        vace_layers=[0], vace_in_channels=96, **widths,
    )  # fmt: skip


def wan_vace(folder: Path, transformers: int = 1, in_blocks: bool = False) -> Path:
    """Wan VACE as of 2.1, or as of 2.2 with two transformers; the autoencoder has the real one's factors, 4 and 8.

    Args:
        in_blocks: make the transformer's layers a multiple of 32 wide, as quantised files have them.
    """
    torch.manual_seed(0)
    text = UMT5Config(vocab_size=30, d_model=TEXT_WIDTH, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    parts = {
        "tokenizer": t5_tokenizer(),
        "text_encoder": UMT5EncoderModel(text).eval(),
        "vae": AutoencoderKLWan(base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        "scheduler": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        "transformer": wan_transformer(in_blocks),
    }
    if transformers == 2:
        parts |= {"transformer_2": wan_transformer(in_blocks), "boundary_ratio": 0.875}
    WanVACEPipeline(**parts).save_pretrained(folder)
    return folder


def sd_inpaint(folder: Path, in_channels: int = 9) -> Path:
    """Stable Diffusion for inpainting: 9 channels with mask and masked picture, or a plain one of 4."""
    torch.manual_seed(0)
    StableDiffusionInpaintPipeline(
        vae=picture_vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(), unet=unet(in_channels),
        scheduler=DDIMScheduler(clip_sample=False), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def sd_text_to_image(folder: Path) -> Path:
    torch.manual_seed(0)
    StableDiffusionPipeline(
        vae=picture_vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(), unet=unet(4),
        scheduler=DDIMScheduler(clip_sample=False), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def sdxl(folder: Path, inpaint: bool = True) -> Path:
    torch.manual_seed(0)
    kind = StableDiffusionXLInpaintPipeline if inpaint else StableDiffusionXLPipeline
    kind(
        vae=picture_vae(), text_encoder=clip_text(), text_encoder_2=clip_text(projection=True), tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(), unet=unet(9 if inpaint else 4, xl=True), scheduler=EulerDiscreteScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def t5_text(width: int = TEXT_WIDTH) -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=30, d_model=width, d_kv=4, d_ff=8, num_layers=1, num_heads=2)).eval()


def sd3_text_to_image(folder: Path) -> Path:
    torch.manual_seed(0)
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=16, out_channels=16, num_layers=1, attention_head_dim=8, num_attention_heads=4,
        joint_attention_dim=32, caption_projection_dim=32, pooled_projection_dim=2 * TEXT_WIDTH, pos_embed_max_size=32,
    )  # fmt: skip
    StableDiffusion3Pipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(), vae=picture_vae(16),
        text_encoder=clip_text(projection=True), tokenizer=clip_tokenizer(), text_encoder_2=clip_text(projection=True),
        tokenizer_2=clip_tokenizer(), text_encoder_3=t5_text(32), tokenizer_3=t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


FLUX_CHANNELS = {FluxPipeline: 16, FluxControlPipeline: 16 + 16, FluxFillPipeline: 16 + 16 + 256}


def flux(folder: Path, kind: type = FluxPipeline) -> Path:
    """FLUX: latents packed into tokens of 4 x 4 channels. One with control is given the control picture's too, Fill the masked
    picture's and the mask's pixels."""
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=FLUX_CHANNELS[kind], out_channels=16, num_layers=1, num_single_layers=1,
        attention_head_dim=8, num_attention_heads=2, joint_attention_dim=TEXT_WIDTH, pooled_projection_dim=TEXT_WIDTH,
        axes_dims_rope=[2, 2, 4], guidance_embeds=True,
    )  # fmt: skip
    kind(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=picture_vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(),
        text_encoder_2=t5_text(), tokenizer_2=t5_tokenizer(), transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def flux_fill(folder: Path) -> Path:
    return flux(folder, FluxFillPipeline)


def flux_control(folder: Path) -> Path:
    return flux(folder, FluxControlPipeline)


def controlnet(folder: Path, pipeline: Path) -> Path:
    """A ControlNet of the family of a pipeline that lies in a folder."""
    torch.manual_seed(0)
    parts = json.loads((pipeline / "model_index.json").read_text())
    if "unet" in parts:
        # It is shown the latents alone, without mask and masked picture.
        base = unet(4, xl=parts["_class_name"].startswith("StableDiffusionXL"))
        model = ControlNetModel.from_unet(base, conditioning_embedding_out_channels=(4, 4, 4, 4))
    elif parts["transformer"][1].startswith("ZImage"):
        config = json.loads((pipeline / "transformer" / "config.json").read_text())
        channels = 2 * config["in_channels"] + 1
        model = ZImageControlNetModel(
            [0], [0], channels, "control_noise_refiner", dim=config["dim"], n_refiner_layers=1, n_heads=2, n_kv_heads=2
        )
    else:
        transformer = FluxTransformer2DModel.from_pretrained(pipeline / "transformer")
        model = FluxControlNetModel.from_transformer(
            transformer, 1, 0, transformer.config.attention_head_dim, transformer.config.num_attention_heads
        )
    model.save_pretrained(folder)
    return folder


def newer(name: str) -> Callable[[Path], Path]:
    """What saves a tiny pipeline of the newer families, as ``splatmem models bench`` makes them."""

    def save(folder: Path) -> Path:
        torch.manual_seed(0)
        getattr(architectures, name)(True, Maker("cpu")).save_pretrained(folder)
        return folder

    return save


def qwen_edit(folder: Path) -> Path:
    """Qwen-Image-Edit as the hub has it: saved as the pipeline that edits whole pictures, with transformers' own processor."""
    newer("qwen_image_edit")(folder)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"_class_name": "QwenImageEditPipeline", "processor": ["transformers", "Qwen2VLProcessor"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def ltx2(folder: Path) -> Path:
    """LTX-2 as the hub has it: saved as what makes videos from words."""
    torch.manual_seed(0)
    LTX2Pipeline(**ltx_family.ltx2_parts(True, Maker("cpu"))).save_pretrained(folder)
    return folder


def sana_wm(folder: Path) -> Path:
    torch.manual_seed(0)
    ltx_family.sana_wm(True, Maker("cpu")).save_pretrained(folder)
    return folder


CAPTION_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "bright", "red", "room", "table", "wall", "wooden"]


def captioner(folder: Path) -> Path:
    """BLIP, which says the same few words over and over."""
    torch.manual_seed(0)
    width = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = width | {"vocab_size": len(CAPTION_WORDS), "encoder_hidden_size": 8, "max_position_embeddings": 64}
    tokens = {"pad_token_id": 0, "sep_token_id": 3, "eos_token_id": 3, "bos_token_id": 5}
    config = BlipConfig(text_config=text | tokens, vision_config=width | {"image_size": 32, "patch_size": 16}, projection_dim=8)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(CAPTION_WORDS)})
    BlipProcessor(image_processor=BlipImageProcessorPil(size=SMALL_SQUARE), tokenizer=tokenizer).save_pretrained(folder)
    return folder


def dinov2_neck() -> dict[str, Any]:
    """The common part of the Depth Anything models."""
    backbone = Dinov2Config(
        image_size=28, patch_size=14, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=2,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    return {
        "backbone_config": backbone, "patch_size": 14, "reassemble_hidden_size": 16, "neck_hidden_sizes": [4, 4, 8, 8],
        "fusion_hidden_size": 8, "head_hidden_size": 8,
    }  # fmt: skip


def depth_anything(folder: Path, **options: object) -> Path:
    """Depth Anything: disparity, or metres with ``depth_estimation_type="metric"``."""
    DepthAnythingForDepthEstimation(DepthAnythingConfig(**dinov2_neck(), **options)).save_pretrained(folder)
    DPTImageProcessorPil(size=SQUARE, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(folder)
    return folder


def prompt_depth_anything(folder: Path) -> Path:
    PromptDepthAnythingForDepthEstimation(PromptDepthAnythingConfig(**dinov2_neck())).save_pretrained(folder)
    processor = PromptDepthAnythingImageProcessorPil(size=SQUARE, keep_aspect_ratio=True, ensure_multiple_of=14)
    processor.save_pretrained(folder)
    return folder


DEPTH_PRO_FOV = 75.0  # degrees, about


def depth_pro(folder: Path) -> Path:
    """Depth Pro with its real pyramid of patches: 1, 9 and 25 of them at a quarter, a half and all of the picture's size."""
    vision = {
        "model_type": "dinov2", "image_size": 16, "patch_size": 2, "num_hidden_layers": 4, "hidden_size": 8,
        "num_attention_heads": 2, "mlp_ratio": 2,
    }  # fmt: skip
    config = DepthProConfig(
        fusion_hidden_size=8, patch_size=16, intermediate_hook_ids=[1, 0], intermediate_feature_dims=[8, 8],
        scaled_images_feature_dims=[8, 8, 8], use_fov_model=True, image_model_config=vision, patch_model_config=vision,
        fov_model_config=vision,
    )  # fmt: skip
    model = DepthProForDepthEstimation(config)
    last = model.fov_model.head.layers[-1]
    last.weight.data.mul_(0.1)
    last.bias.data.fill_(DEPTH_PRO_FOV)
    model.save_pretrained(folder)
    # Its own processor cannot be built without torchvision; this is what it saves.
    settings = {
        "image_processor_type": "DepthProImageProcessor", "size": {"height": 64, "width": 64}, "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3, "do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def dpt(folder: Path) -> Path:
    config = DPTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=16,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[4, 4, 8, 8], fusion_hidden_size=8, is_hybrid=False,
    )  # fmt: skip
    DPTForDepthEstimation(config).save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def zoedepth(folder: Path) -> Path:
    backbone = BeitConfig(
        image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False, use_relative_position_bias=True,
    )  # fmt: skip
    config = ZoeDepthConfig(
        backbone_config=backbone, neck_hidden_sizes=[4, 4, 8, 8], fusion_hidden_size=8, bottleneck_features=8,
        num_relative_features=4, bin_embedding_dim=8, num_attractors=[4, 2, 1, 1],
        bin_configurations=[{"name": "nyu", "n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
    )  # fmt: skip
    ZoeDepthForDepthEstimation(config).save_pretrained(folder)
    ZoeDepthImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def glpn(folder: Path) -> Path:
    config = GLPNConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8
    )
    GLPNForDepthEstimation(config).save_pretrained(folder)
    GLPNImageProcessorPil().save_pretrained(folder)
    return folder
