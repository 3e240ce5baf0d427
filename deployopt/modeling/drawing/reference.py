"""What the pipeline as it came draws: torch's networks, and diffusers' own DDIM between them.

The loop here shares nothing with the device's (device/drawing): that both draw the same image is
part of what a build shows.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from deployopt.core.errors import StepError
from deployopt.core.interface import DrawingInputs
from deployopt.core.samples import Array, Feed
from deployopt.core.worked import Worked
from deployopt.modeling.drawing.loading import Networks, load_networks
from deployopt.modeling.reference_card import CPU, Place, worked_out
from deployopt.modeling.threads import torch_threads


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the networks were asked while they drew, each as the inputs of its part."""

    text: list[tuple[Array, ...]] = []
    noise: list[tuple[Array, ...]] = []
    image: list[tuple[Array, ...]] = []


def draw_reference(  # noqa: PLR0913 -- how, and who is told
    folder: Path,
    inputs: DrawingInputs,
    feeds: Sequence[Feed],
    output: str,
    *,
    threads: int,
    progress: Callable[[float, str], None],
    worked: Worked | None = None,
) -> list[dict[str, Array]]:
    """One image a feed, float32 `[1, 3, height, width]` between -1 and 1.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load, or gives numbers that are not finite.
    """
    networks = load_networks(folder)
    parts = nn.ModuleList([networks.text_encoder, networks.unet, networks.vae])

    def work(place: Place) -> list[dict[str, Array]]:
        found: list[dict[str, Array]] = []
        with torch_threads(threads), torch.inference_mode():
            for feed in feeds:
                image = drawn(networks, inputs, feed, device=place.device)
                if not np.isfinite(image).all():
                    raise StepError(f"The model in {folder} draws numbers that are not finite.")
                found.append({output: image})
                progress(len(found) / len(feeds), f"reference: {len(found)} of {len(feeds)}")
        return found

    return worked_out(parts, work, worked)


def drawn(
    networks: Networks,
    inputs: DrawingInputs,
    feed: Feed,
    asked: Asked | None = None,
    steps: int | None = None,
    device: torch.device = CPU,
) -> Array:
    """One feed's image; what the networks are asked, on their device, is kept in `asked`."""
    scheduler = ddim(inputs)
    scheduler.set_timesteps(steps or inputs.steps)
    guided = inputs.guidance > 1.0
    prompts = ("negative_ids", "input_ids") if guided else ("input_ids",)
    ids = torch.from_numpy(np.concatenate([feed[name] for name in prompts])).to(device)
    _keep(asked, "text", ids)
    hidden: Tensor = networks.text_encoder(ids)
    sample = torch.from_numpy(np.asarray(feed["noise"], dtype=np.float32)).to(device)
    for timestep in scheduler.timesteps:
        both = torch.cat([sample] * len(prompts))
        at = timestep.reshape(1).expand(len(both)).to(device)
        _keep(asked, "noise", both, at, hidden)
        answer = networks.unet(both, at, hidden)
        if guided:
            apart, towards = answer.chunk(2)
            answer = apart + inputs.guidance * (towards - apart)
        sample = scheduler.step(answer, timestep, sample, eta=0.0).prev_sample
    latents = sample / inputs.scaling
    _keep(asked, "image", latents)
    image: Array = networks.vae(latents).clamp(-1.0, 1.0).cpu().numpy()
    return image


def _keep(asked: Asked | None, part: Literal["text", "noise", "image"], *given: Tensor) -> None:
    if asked is not None:
        kept: list[tuple[Array, ...]] = getattr(asked, part)
        kept.append(tuple(one.cpu().numpy() for one in given))


def ddim(inputs: DrawingInputs) -> Any:  # noqa: ANN401 -- diffusers has no types
    """The pipeline's noise as a scheduler of diffusers."""
    from diffusers import DDIMScheduler

    schedule = inputs.schedule
    return DDIMScheduler(
        num_train_timesteps=schedule.train_steps,
        beta_start=schedule.beta_start,
        beta_end=schedule.beta_end,
        beta_schedule=schedule.betas,
        prediction_type=schedule.prediction,
        timestep_spacing=schedule.spacing,
        steps_offset=schedule.offset,
        set_alpha_to_one=schedule.ends_clean,
        clip_sample=False,
    )
