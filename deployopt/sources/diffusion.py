"""A pipeline's folder in diffusers' form, read as data: what it draws, and how.

In: a folder whose files `diffusion_files` named. Out: its interface, the precision of its weights,
and what a person should know. Nothing of it is run, and diffusers does not see it. Refuses other
pipelines than Stable Diffusion's from text to image, and parts with conditions that it does not
have.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.drawing import IMAGE
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import STEPS, DrawingInputs, Interface, Task
from deployopt.core.noise_schedule import NoiseSchedule
from deployopt.core.text import safe_text
from deployopt.sources.checks import (
    CONFIG_MAX_BYTES,
    check_regular,
    read_object,
)
from deployopt.sources.diffusion_files import (
    CONFIG,
    INDEX,
    SCHEDULER,
    TOKENIZER_FOLDER,
    WEIGHTS,
)
from deployopt.sources.tokenizer_files import (
    TOKENIZER,
    Opener,
    seen_padding,
    write_tokenizer,
)
from deployopt.sources.tokenizer_making import CLIP_END
from deployopt.sources.weights import read_header, weight_precision
from deployopt.store.writing import copy_new_file

PIPELINE: Final = "StableDiffusionPipeline"
_CLASSES: Final[Mapping[str, str]] = {
    "text_encoder": "CLIPTextModel",
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
}
_SCHEDULERS: Final = (
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
)
"""Their configs describe the same noise; whichever is named, DDIM draws."""
_CONDITIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "unet": (
        "addition_embed_type", "class_embed_type", "encoder_hid_dim", "encoder_hid_dim_type",
        "num_class_embeds", "time_cond_proj_dim", "center_input_sample",
    ),
    "vae": ("latents_mean", "latents_std", "shift_factor"),
    "text_encoder": ("use_attention_mask",),
    "scheduler": ("rescale_betas_zero_snr", "thresholding", "trained_betas"),
}  # fmt: skip
"""What each part must not ask for: no set value of these is worked out here."""
_SIDE_MAX: Final = 512
_LENGTH_MAX: Final = 1024
_CHANNELS_MAX: Final = 64
_COLOURS: Final = 3
_STAGES_MAX: Final = 16
_SHOWN: Final = 80
_WHAT_WORKS: Final = (
    f"deployopt builds {PIPELINE} from text to image (Stable Diffusion 1 and 2, and what was "
    "distilled from them): a CLIP text encoder, a UNet2DConditionModel, an AutoencoderKL. Of "
    "others `plan` and `fit` know those in the catalogue."
)


class PipelineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline's folder says of itself."""

    interface: Interface
    precision: Precision
    notes: tuple[str, ...]


def complete_pipeline(folder: Path) -> None:
    """Put `tokenizer.json` where the device finds it; only in a staging folder."""
    written = folder / TOKENIZER_FOLDER
    write_tokenizer(written, "clip")
    copy_new_file(written / TOKENIZER, folder / TOKENIZER)


def read_pipeline(folder: Path, opener: Opener | None = None) -> PipelineFacts:
    """Check the folder and say what it is; `opener` as in tokenizer_files.

    Raises:
        RefusedInputError: it names code, or its weights are malformed.
        UsageError: it is another pipeline, or its parts do not fit together.
    """
    index = read_object(folder / INDEX)
    check_classes(index, str(folder / INDEX))
    parts = {part: read_object(folder / part / CONFIG) for part in WEIGHTS}
    scheduler = read_object(folder / SCHEDULER)
    for part, config in {**parts, "scheduler": scheduler}.items():
        _check_conditions(part, config, folder)
    tensors = {
        f"{part}.{name}": tensor
        for part, file in WEIGHTS.items()
        for name, tensor in read_header(folder / part / file).items()
    }
    inputs = _inputs(folder, parts, noise_schedule(scheduler, str(folder / SCHEDULER)), opener)
    return PipelineFacts(
        interface=Interface(task=Task.IMAGE_GENERATION, inputs=inputs, outputs=(IMAGE,)),
        precision=weight_precision(tensors),
        notes=_notes(index, scheduler),
    )


def _notes(index: Mapping[str, object], scheduler: Mapping[str, object]) -> tuple[str, ...]:
    notes = []
    checker = index.get("safety_checker")
    if isinstance(checker, list) and any(checker):
        notes.append(
            "The folder names a safety checker, which is not part of the bundle: what is drawn is "
            "not looked at by it."
        )
    named = scheduler.get("_class_name")
    if named != _SCHEDULERS[0]:
        notes.append(
            f"Images are drawn by DDIM without added noise; the folder's own scheduler, {named}, "
            "draws others."
        )
    return tuple(notes)


def check_index(folder: Path) -> None:
    """Refuse another pipeline by its `model_index.json`, before anything else of it is looked at.

    Raises:
        RefusedInputError: the file is a link out of the folder, too large, or names code.
        UsageError: it is of another pipeline.
    """
    path = folder / INDEX
    check_regular(path, folder)
    if path.stat().st_size > CONFIG_MAX_BYTES:
        raise RefusedInputError(f"{path} has more than {CONFIG_MAX_BYTES} bytes.")
    check_classes(read_object(path), str(path))


def check_classes(index: Mapping[str, object], where: str) -> None:
    """Raise UsageError unless `model_index.json` is of a pipeline that is built."""
    named = index.get("_class_name")
    if named != PIPELINE:
        said = "names no class" if named is None else f"is of a {safe_text(str(named), _SHOWN)}"
        raise UsageError(f"{where} {said}. {_WHAT_WORKS}")
    for part, wanted in _CLASSES.items():
        given = index.get(part)
        found = given[1] if isinstance(given, list) and len(given) == 2 else None  # noqa: PLR2004
        if found != wanted:
            shown = safe_text(str(given), _SHOWN)
            raise UsageError(f"{where} names {shown} as its {part}. {_WHAT_WORKS}")


def _check_conditions(part: str, config: Mapping[str, object], folder: Path) -> None:
    odd = [key for key in _CONDITIONS[part] if config.get(key) not in (None, False, "")]
    if odd:
        raise UsageError(
            f"{folder}: {odd[0]} of the {part} is {safe_text(str(config[odd[0]]), _SHOWN)}, which "
            f"is not worked out here. {_WHAT_WORKS}"
        )


def noise_schedule(config: Mapping[str, object], where: str) -> NoiseSchedule:
    """As diffusers' pipeline sets DDIM up from the folder's scheduler.

    Raises:
        UsageError: another kind of scheduler, or a value that is not known.
    """
    named = config.get("_class_name")
    if named not in _SCHEDULERS:
        raise UsageError(
            f"{where} is of a {safe_text(str(named), _SHOWN)}; the schedulers whose noise is read "
            f"are {', '.join(_SCHEDULERS)}."
        )
    try:
        found = msgspec.convert(
            {
                "train_steps": config.get("num_train_timesteps", 1000),
                "beta_start": config.get("beta_start", 0.0001),
                "beta_end": config.get("beta_end", 0.02),
                "betas": config.get("beta_schedule", "linear"),
                "prediction": config.get("prediction_type", "epsilon"),
                "spacing": config.get("timestep_spacing", "leading"),
                # The pipeline corrects the scheduler's to 1, whatever the config says.
                "offset": 1,
                "ends_clean": config.get("set_alpha_to_one", True),
            },
            NoiseSchedule,
        )
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} describes a noise that is not read: {error}.") from error
    if found.train_steps < STEPS:
        raise UsageError(
            f"{where}: num_train_timesteps is {found.train_steps}, and images are judged as drawn "
            f"in {STEPS} steps."
        )
    return found


def _inputs(
    folder: Path,
    parts: Mapping[str, Mapping[str, object]],
    schedule: NoiseSchedule,
    opener: Opener | None,
) -> DrawingInputs:
    unet, vae, text = parts["unet"], parts["vae"], parts["text_encoder"]
    at = {part: str(folder / part / CONFIG) for part in parts}
    channels = whole(vae, "latent_channels", at["vae"], most=_CHANNELS_MAX)
    for key in ("in_channels", "out_channels"):
        if whole(unet, key, at["unet"], most=_CHANNELS_MAX) != channels:
            raise UsageError(
                f"{at['unet']}: {key} is {unet[key]}, and the decoder takes {channels} channels: "
                f"a UNet that fills in or varies images. {_WHAT_WORKS}"
            )
    hidden = whole(text, "hidden_size", at["text_encoder"], most=2**16)
    if unet.get("cross_attention_dim") != hidden:
        raise UsageError(
            f"{at['unet']}: cross_attention_dim is {unet.get('cross_attention_dim')!r}, and the "
            f"text encoder gives {hidden} values a token. The parts are not of one pipeline."
        )
    if vae.get("out_channels", _COLOURS) != _COLOURS:
        raise UsageError(f"{at['vae']}: out_channels is not {_COLOURS}, red, green and blue.")
    height, width = _sides(unet, at["unet"])
    stages = len(_widths(vae, at["vae"]))
    length = whole(text, "max_position_embeddings", at["text_encoder"], most=_LENGTH_MAX)
    return DrawingInputs(
        tokenizer=TOKENIZER,
        length=length,
        pad_id=seen_padding(folder / TOKENIZER_FOLDER, text, CLIP_END, opener),
        channels=channels,
        height=height,
        width=width,
        pixels=2 ** (stages - 1),
        scaling=_scaling(vae, at["vae"]),
        schedule=schedule,
    )


def whole(config: Mapping[str, object], key: str, where: str, *, most: int) -> int:
    """A size of a config, from 1 to `most`; raises UsageError."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UsageError(f"{where}: {key} is {value!r}, and must be from 1 to {most}.")
    return value


def _sides(unet: Mapping[str, object], where: str) -> tuple[int, int]:
    size = unet.get("sample_size")
    given = size if isinstance(size, list) else [size, size]
    most = 2 ** (len(_widths(unet, where)) - 1)
    sides = [
        side
        for side in given
        if isinstance(side, int) and 1 <= side <= _SIDE_MAX and side % most == 0
    ]
    if len(sides) != 2 or len(given) != 2:  # noqa: PLR2004 -- height and width
        raise UsageError(
            f"{where}: sample_size is {size!r}; the sides of what the UNet sees are multiples of "
            f"{most}, up to {_SIDE_MAX}."
        )
    return sides[0], sides[1]


def _widths(config: Mapping[str, object], where: str) -> list[int]:
    widths = config.get("block_out_channels")
    if not isinstance(widths, list) or not 1 <= len(widths) <= _STAGES_MAX:
        raise UsageError(f"{where}: block_out_channels is {widths!r}, and no list of widths.")
    return widths


def _scaling(vae: Mapping[str, object], where: str) -> float:
    value = vae.get("scaling_factor", 0.18215)
    if not isinstance(value, int | float) or not 0 < value < 1e3:  # noqa: PLR2004 -- usual: 0.18
        raise UsageError(f"{where}: scaling_factor is {value!r}, and must be a positive number.")
    return float(value)
