"""The call that hands a model over to another program."""

from pathlib import Path

from deployopt.api.arguments import target_of
from deployopt.core.artifact import Precision
from deployopt.core.exporting import ExportRequest, ExportResult
from deployopt.core.target import Target


def export(  # noqa: PLR0913 -- one call with everything that can be asked, every argument named
    source: str | Path,
    output: str | Path,
    *,
    form: str,
    target: str | Path | Target | None = None,
    precision: Precision | None = None,
    context: int | None = None,
    key: str | Path | None = None,
    lock: str | Path | None = None,
    store: str | Path | None = None,
    name: str | None = None,
    wheel: str | Path | None = None,
) -> ExportResult:
    """Write a model or a bundle in the form that another program serves.

    Args:
        source: for vllm and gguf an alias, `hub:ORG/NAME[@REV]`, a folder in Hugging Face form, a
            `.gguf` file, or a language model's bundle, of which the model as it came is taken; for
            triton and docker the bundle of any other model.
        output: a new folder (vllm, triton, docker) or file (gguf).
        form: vllm, gguf, triton or docker.
        target: a profile's name, a TOML file, or a Target; vllm needs one with a GPU.
        precision: only this; by default the highest that fits the target, or fp16 (gguf).
        context: tokens of prompt and answer; by default as many as the model and the target allow.
        key: the public key that has to vouch for a bundle.
        lock: a file that pins what the hub gave.
        store: the cache's folder; by default the user's cache.
        name: the model's in Triton; by default the bundle's.
        wheel: deployopt's own, which goes into the image; by default an index has to have it.

    Returns:
        What was written; its `exit_code` is 3 where the band of the memory reaches over the limit.

    Raises:
        UsageError: an argument, the source or the target is wrong, or something is at `output`.
        CannotFitError: the model fits the target in no precision.
        IntegrityError: a bundle is not the one that was built, or the key does not vouch for it.
        SourceError, RefusedInputError, StorageError, MissingExtraError: as `build`.
    """
    from deployopt.pipeline.exporting.run import run_export

    return run_export(
        ExportRequest(
            source=str(source),
            form=form,
            output=Path(output),
            target=None if target is None else target_of(target),
            precision=precision,
            context=context,
            key=None if key is None else Path(key),
            lock=None if lock is None else Path(lock),
            store=None if store is None else Path(store),
            name=name,
            wheel=None if wheel is None else Path(wheel),
        )
    )
