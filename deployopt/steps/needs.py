"""Checks that several steps make before they run; all cheap, none imports what it looks for."""

from importlib.util import find_spec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.recipe import StepContext


def need_format(step: str, source: Artifact, wanted: Format) -> None:
    """Raise StepError unless the artifact has the format, and its file is there if it is made."""
    if source.format is not wanted:
        raise StepError(
            f"The step {step} takes a model in {wanted.value} form, and this one is "
            f"{source.format.value}. Put the step that makes {wanted.value} before it."
        )


def need_float(step: str, source: Artifact) -> None:
    """Raise StepError if the model's weights are integers, some or all."""
    if source.precision in {Precision.INT8, Precision.FP8, Precision.INT4, Precision.MIXED}:
        raise StepError(f"The step {step} takes a float model, and this one is quantized already.")


def need_packages(what: str, *names: str) -> None:
    """Raise MissingExtraError unless every package could be imported."""
    if any(find_spec(name) is None for name in names):
        raise MissingExtraError(what, "build")


def need_samples_file(step: str, context: StepContext, *, required: bool) -> None:
    """Raise StepError where samples are needed and not given, or given and not there."""
    if context.samples is None:
        if required:
            raise StepError(
                f"The step {step} calibrates on real inputs and none were given. Add --data."
            )
    elif not context.samples.is_file():
        raise StepError(f"The samples of the step {step} are not at {context.samples}.")


def need_calibration(step: str, percentile: float, samples: int) -> None:
    """Raise StepError unless ranges can be taken so."""
    if not 90 < percentile <= 100 or samples < 1:  # noqa: PLR2004 of a hundred
        raise StepError(
            f"{step} takes a percentile over 90 and up to 100, and at least one sample."
        )
