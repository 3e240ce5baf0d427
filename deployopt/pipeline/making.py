"""A recipe becomes an artifact, step by step, through the store.

In: the source artifact and a recipe whose steps' options are complete. Out: the last artifact and
what was done. A step whose key is in the store, or in the share beside it, is not run again, so a
build that was killed goes on where it stopped, and an identical build does nothing twice.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision, SessionOptions
from deployopt.core.bundle import LineageStep
from deployopt.core.card import ORT_GPU, TENSORRT_PACKAGE, TENSORRT_PACKAGES
from deployopt.core.codec import decode_json, encode_json, to_plain
from deployopt.core.errors import IntegrityError, RefusedInputError, StepError
from deployopt.core.interface import Interface
from deployopt.core.recipe import Lesson, Recipe, Step, StepContext
from deployopt.pipeline.received import check_received, check_session, may_be_shared
from deployopt.store.keys import cache_key
from deployopt.store.share import Share
from deployopt.store.store import Store, StoredObject

ABSENT: Final = "absent"
_WAITS: Final = "waits for another build to make it"
_ALSO: Final = {"onnxruntime": (ORT_GPU,), TENSORRT_PACKAGE: TENSORRT_PACKAGES}
"""Other packages with the same module, where a machine has a card."""


class MadeStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step as it went: its lineage, how long it took, whether the store already had it."""

    lineage: LineageStep
    seconds: float
    reused: bool


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe that was run."""

    recipe: Recipe
    artifact: Artifact
    steps: tuple[MadeStep, ...]
    between: tuple[Artifact, ...] = ()
    """What each step gave, the last one included."""

    def last_of(self, form: Format) -> Artifact | None:
        """The last artifact of this format on the way; None where there was none."""
        return next((a for a in reversed(self.between) if a.format is form), None)


class Workbench(msgspec.Struct, frozen=True, kw_only=True):
    """What every step of a build shares."""

    store: Store
    interface: Interface
    samples: Path | None
    samples_digest: str
    seed: int
    threads: int
    lesson: Lesson | None = None


class _Meta(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the files of an artifact do not say themselves; kept beside the key."""

    format: Format
    entry: str
    precision: Precision
    session: SessionOptions
    notes: tuple[str, ...]


def check_recipes(recipes: Sequence[Recipe], source: Artifact, bench: Workbench) -> None:
    """Ask every step of every recipe whether it can work, before the first one runs.

    Raises:
        StepError: a step cannot work, or takes another format than the one before it gives.
    """
    for recipe in recipes:
        artifact = source
        for step in recipe.steps:
            if step.consumes is not artifact.format:
                raise StepError(
                    f"Recipe {recipe.name}: step {step.name} takes {step.consumes} and would be "
                    f"given {artifact.format}. Put a step between them that makes {step.consumes}."
                )
            step.requires(artifact, _context(bench, source.folder, _quiet))
            artifact = msgspec.structs.replace(artifact, format=step.produces)


def make(
    recipe: Recipe,
    source: Artifact,
    bench: Workbench,
    progress: Callable[[float, str], None],
) -> Made:
    """Run the recipe.

    Raises:
        StepError: a step failed; names the recipe and the step.
    """
    artifact, done, between = source, [], []
    total = max(1, len(recipe.steps))
    for index, step in enumerate(recipe.steps):

        def within(share: float, words: str, *, index: int = index) -> None:
            progress((index + share) / total, words)

        within(0.0, step.name)
        made, artifact = _make_step(step, artifact, bench, within)
        done.append(made)
        between.append(artifact)
    progress(1.0, "done")
    return Made(recipe=recipe, artifact=artifact, steps=tuple(done), between=tuple(between))


def _make_step(
    step: Step, source: Artifact, bench: Workbench, progress: Callable[[float, str], None]
) -> tuple[MadeStep, Artifact]:
    tools = tool_versions(step.tools)
    key = step_key(step, source, bench, tools)
    started = time.perf_counter_ns()
    stored, reused = bench.store.lookup(key), True
    if stored is None:
        # However long the step is: who gives up waiting would make it a second time.
        with bench.store.building(key, on_wait=lambda: progress(0.0, _WAITS)):
            stored = bench.store.lookup(key) or _shared(step, key, bench.store)
            if stored is None:
                stored, reused = _run_step(step, source, bench, key, progress), False
    if bench.store.share is not None and may_be_shared(step.produces):
        bench.store.share.offer(stored)
    lineage = LineageStep(
        step=step.name,
        version=step.version,
        options=encode_json(step).decode(),
        tools=dict(tools),
        source=source.digest,
        result=stored.digest,
    )
    seconds = (time.perf_counter_ns() - started) / 1e9
    return MadeStep(lineage=lineage, seconds=seconds, reused=reused), stored_artifact(stored)


def _shared(step: Step, key: str, store: Store) -> StoredObject | None:
    """What another machine made of the step; None where there is none that may be taken."""
    if store.share is None or not may_be_shared(step.produces):
        return None

    def check(folder: Path, meta: bytes) -> None:
        found = _checked_meta(step, meta)
        check_received(found.format, folder, found.entry)

    return store.share.find(key, store, check)


def _checked_meta(step: Step, meta: bytes) -> _Meta:
    """What a share has beside a key; raises RefusedInputError or IntegrityError."""
    found = decode_json(meta, _Meta, where="What was kept beside it")
    if found.format is not step.produces:
        raise RefusedInputError(f"It is {found.format}, and {step.name} makes {step.produces}.")
    check_session(found.format, found.session)
    return found


def shared_artifact(step: Step, key: str, share: Share) -> Artifact | None:
    """What `make` would bring from the share, without its files; None where it would make it."""
    listed = share.listed(key) if may_be_shared(step.produces) else None
    if listed is None:
        return None
    try:
        meta = _checked_meta(step, listed.meta)
    except (IntegrityError, RefusedInputError):
        return None
    return _artifact(meta, Path(), listed.digest)


def _run_step(
    step: Step,
    source: Artifact,
    bench: Workbench,
    key: str,
    progress: Callable[[float, str], None],
) -> StoredObject:
    with bench.store.stage() as folder:
        made = step.run(source, _context(bench, folder, progress))
        if made.format is not step.produces or not (folder / made.entry).is_file():
            raise StepError(f"Step {step.name} left no {step.produces} file {made.entry!r}.")
        meta = _Meta(
            format=made.format,
            entry=made.entry,
            precision=made.precision,
            session=made.session,
            notes=made.notes,
        )
        return bench.store.commit(folder, key, meta=encode_json(meta))


def step_key(step: Step, source: Artifact, bench: Workbench, tools: Mapping[str, str]) -> str:
    """Everything that decides the step's result.

    The target is not among it: what it decides is a field of the step, so that two targets which
    ask the same of a step share its result.
    """
    lesson = bench.lesson.digest if bench.lesson is not None and step.uses_lesson else ""
    return cache_key(
        {
            "step": step.name,
            "version": step.version,
            "options": to_plain(step),
            "source": source.digest,
            "entry": source.entry,
            "session": to_plain(source.session),
            "interface": to_plain(bench.interface),
            "samples": bench.samples_digest if step.uses_samples else "",
            "lesson": lesson,
            "seed": bench.seed,
            "tools": dict(tools),
        }
    )


def tool_versions(names: Sequence[str]) -> dict[str, str]:
    """The installed version of each package, "absent" where it is not."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    for package in (name, *_ALSO.get(name, ())):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    return ABSENT


def stored_artifact(stored: StoredObject) -> Artifact:
    """What a step left in the store."""
    meta = decode_json(stored.meta, _Meta, where=f"The store's record of {stored.key[:12]}")
    return _artifact(meta, stored.folder, stored.digest)


def _artifact(meta: _Meta, folder: Path, digest: str) -> Artifact:
    return Artifact(
        format=meta.format,
        folder=folder,
        entry=meta.entry,
        digest=digest,
        precision=meta.precision,
        session=meta.session,
        notes=meta.notes,
    )


def _context(
    bench: Workbench, workdir: Path, progress: Callable[[float, str], None]
) -> StepContext:
    return StepContext(
        workdir=workdir,
        interface=bench.interface,
        samples=bench.samples,
        samples_digest=bench.samples_digest,
        lesson=bench.lesson,
        seed=bench.seed,
        threads=bench.threads,
        progress=progress,
    )


def _quiet(share: float, words: str) -> None:
    """Checking a recipe shows nothing."""
