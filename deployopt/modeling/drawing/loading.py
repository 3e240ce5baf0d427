"""A pipeline's folder in diffusers' form becomes its three networks; nothing of it is run.

Each part is opened by itself, by the one class that deployopt knows for it: diffusers' own loader
of whole pipelines, which can fetch code, is not used. Weights must be safetensors, and all there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from deployopt.core.errors import MissingExtraError, StepError
from deployopt.modeling.loading import read_config
from deployopt.modeling.quiet import quiet_transformers

_NAMED = 3


class Networks(msgspec.Struct, frozen=True, kw_only=True):
    """In evaluation mode, float32."""

    text_encoder: nn.Module
    unet: nn.Module
    vae: nn.Module


class TextPart(nn.Module):  # type: ignore[misc] # torch is not followed
    """Token ids to the values that guide the UNet."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, ids: Tensor) -> Tensor:
        """`[n, length]` to `[n, length, width]`."""
        hidden: Tensor = self.model(input_ids=ids, return_dict=False)[0]
        return hidden


class NoisePart(nn.Module):  # type: ignore[misc] # as above
    """What a sample's noise is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, sample: Tensor, timestep: Tensor, hidden: Tensor) -> Tensor:
        """As large as the sample."""
        noise: Tensor = self.model(sample, timestep, hidden, return_dict=False)[0]
        return noise


class ImagePart(nn.Module):  # type: ignore[misc] # as above
    """Latents to pixels; what makes latents of pixels is left out."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.decoder = vae.decoder
        self.before = vae.post_quant_conv
        self.eval()

    def forward(self, latents: Tensor) -> Tensor:
        """`[n, channels, height, width]` to as many pixels as the decoder makes of it."""
        image: Tensor = self.decoder(latents if self.before is None else self.before(latents))
        return image


def load_networks(folder: Path) -> Networks:
    """All three.

    Raises:
        MissingExtraError: diffusers is not installed.
        RefusedInputError: a config that asks for code.
        StepError: weights that are not the config's.
    """
    require_diffusers()
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    for part in ("text_encoder", "unet", "vae"):
        read_config(folder / part)
    with quiet_transformers(), _quiet_diffusers():
        return Networks(
            text_encoder=TextPart(
                _loaded(
                    CLIPTextModel,
                    folder / "text_encoder",
                    dtype=torch.float32,
                    trust_remote_code=False,
                    attn_implementation="eager",
                )
            ),
            unet=NoisePart(
                _loaded(UNet2DConditionModel, folder / "unet", torch_dtype=torch.float32)
            ),
            vae=ImagePart(_loaded(AutoencoderKL, folder / "vae", torch_dtype=torch.float32)),
        )


def require_diffusers() -> None:
    """Raise MissingExtraError unless diffusers is there."""
    from importlib.util import find_spec

    if find_spec("diffusers") is None:
        raise MissingExtraError("Building a model that draws", "diffusion")


def _loaded(kind: Any, folder: Path, **options: Any) -> nn.Module:  # noqa: ANN401 -- libraries'
    try:
        model, told = kind.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise StepError(
            f"The weights in {folder} do not load as {kind.__name__}: {error} Check that its "
            "config.json belongs to them."
        ) from error
    odd = [*told["missing_keys"], *(str(one) for one in told["mismatched_keys"])]
    if odd:
        raise StepError(
            f"The weights in {folder} lack {', '.join(map(str, odd[:_NAMED]))}, or have them in "
            f"another size, and {kind.__name__} would take random values. Give the whole folder."
        )
    loaded: nn.Module = model.eval()
    return loaded


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    from diffusers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()
