"""Verify a bundle on this machine: digests, accuracy, latency, memory, verdict; written beside it.

In: a bundle. Out: what was measured and judged here. Refuses a bundle whose bytes changed, one that
the key it is given does not vouch for, and on the target itself a runtime outside of the target's
range. Needs only the small install, and for a key the extra `sign`.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import encode_pretty
from deployopt.core.errors import ExitCode, StorageError
from deployopt.core.experience import Seat, experiences_of, machine_digest, runtime_words
from deployopt.core.gate import Findings, judge
from deployopt.core.language_summaries import (
    generation_summary,
    score_summary,
)
from deployopt.core.measurement import AccuracyTrial, Trial
from deployopt.core.result import VerifyResult
from deployopt.core.scores import ScoreTrial
from deployopt.core.signature import Authenticity
from deployopt.core.stages import TimedStages
from deployopt.core.summaries import (
    accuracy_summary,
    latency_summary,
    measured_of,
    memory_figure,
    size_figure,
    tail_quantile,
)
from deployopt.core.watching import SILENT, Watcher
from deployopt.device.admission import require_target, runtime_warnings
from deployopt.device.besides import Besides, FoundBesides, check_besides, measure_besides
from deployopt.device.bundle_measuring import Asked, Bench, ask_gate, time_bundle
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.device import Device, ThisMachine, address_of
from deployopt.device.machine import matches
from deployopt.signing.authenticate import (
    Policy,
    accept_release,
    authenticate,
    require_memory,
)
from deployopt.store.experiences import keep_experiences
from deployopt.store.faults import storage_errors
from deployopt.store.paths import VERIFICATIONS
from deployopt.store.publishing import add_verification
from deployopt.store.staging import scratch_folder, staged_folder

_UNVERIFIED: Final = Policy()
_NOTHING: Final = Besides()


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`verifications/NNN.json`: the result with the raw measurements under it."""

    schema_version: int = 1
    result: VerifyResult
    latency: Trial | None
    accuracy: AccuracyTrial | None
    scores: ScoreTrial | None = None
    """Of a language model, in its place."""
    batches: tuple[Trial, ...] = ()
    """Of a sweep, size by size."""
    copies: Trial | None = None
    """Of several at once."""


def verify(  # noqa: PLR0913 -- what the command line offers
    bundle: Path,
    device: Device | None = None,
    *,
    accept_predicted: bool = False,
    proxy: bool = False,
    watcher: Watcher = SILENT,
    seed: int = 0,
    store: Path | None = None,
    policy: Policy = _UNVERIFIED,
    besides: Besides = _NOTHING,
) -> VerifyResult:
    """Check, measure, judge, and write the result into the bundle's `verifications/`.

    `device` measures; None is this machine. Where it is not the target nothing is measured, unless
    a `proxy` will do: then the figures are said to be of one.

    What is wanted `besides` is measured after the verdict's rounds and enters no verdict.

    On the target itself what was measured is kept in the store at `store` as well, the user's own
    by default, beside what was predicted; so is the release that is accepted under a key.

    Raises:
        IntegrityError: the bundle is not the one that was built, and lists every mismatch; or it is
            not one that the policy lets in.
        MissingExtraError: the policy has a key, and what checks signatures is not installed.
        UsageError: the device is not the target, and nobody said that a proxy will do; or what is
            wanted besides cannot be measured there.
        DeviceError: this is the target, and its runtime is not one that the target allows.
        StorageError: the disk for temporary files is full.
    """
    stages = TimedStages(watcher)
    stages.stage("Digests")
    opened = open_bundle(bundle)
    device = device or ThisMachine()
    check_besides(besides, opened, device)
    # Staging must not lie in the bundle: what a killed run leaves would look like tampering.
    scratch = scratch_folder()
    policy = msgspec.structs.replace(policy, device=address_of(device) or "", store=store)
    authenticity = authenticate(opened.folder, opened.manifest, policy, scratch)
    require_memory(policy)
    stages.stage("Target")
    mismatch = matches(opened.target, device.machine)
    stands_in = opened.has_stand_in and isinstance(device, ThisMachine)
    if not proxy or (opened.needs_card and not stands_in):
        require_target(opened, device, mismatch, "verify BUNDLE")
    warnings = runtime_warnings(opened, device.machine, mismatch)
    with storage_errors("measuring", scratch), staged_folder(scratch) as workdir:
        here = Bench(bundle=opened, device=device, mismatch=mismatch, workdir=workdir)
        stages.stage("Quality" if opened.manifest.interface.generates else "Accuracy")
        asked = ask_gate(here, watcher, seed)
        if not here.stands_in:
            stages.stage("Latency", quiet=True)
        latency = None if asked is None else time_bundle(here, asked, watcher, seed)
        more = FoundBesides()
        if asked is not None:
            more = measure_besides(here, asked, besides, stages, seed)
    result = _result(
        here, asked, latency, authenticity=authenticity, accept_predicted=accept_predicted
    )
    scores = None if asked is None else asked.scores
    kept = None if latency is None else _remember(here, latency, scores, store)
    warnings = warnings if kept is None else (*warnings, kept)
    if asked is not None and asked.accuracy is not None:
        warnings = (*warnings, *asked.accuracy.told)
    result = msgspec.structs.replace(
        result, batches=more.sweep, copies=more.copies, stages=stages.times, warnings=warnings
    )
    if result.on_target and result.exit_code == ExitCode.ACCEPTED:
        accept_release(opened.manifest, authenticity, policy)
    accuracy = None if asked is None else asked.accuracy
    return _write(
        bundle,
        Verification(
            result=result,
            latency=latency,
            accuracy=accuracy,
            scores=scores,
            batches=more.swept,
            copies=more.crowd,
        ),
    )


def _remember(
    here: Bench, latency: Trial, scores: ScoreTrial | None, store: Path | None
) -> str | None:
    """Keep what the target was measured to take; why it could not be kept, or None."""
    bundle, foreseen = here.bundle, here.bundle.foreseen()
    if here.mismatch is not None or foreseen is None or latency.failure is not None:
        return None
    if latency.arrivals_per_s is not None:
        return None  # waiting is no property of the device
    seat = Seat(
        target=bundle.target.name,
        machine=machine_digest(here.machine, here.machine.gpus),
        runtime=runtime_words(
            bundle.target.runtime.provider, here.machine.packages, bundle.manifest.runtime
        ),
        artifact=bundle.manifest.artifact,
        precision=bundle.manifest.precision,
    )
    measured = measured_of(latency, bundle.budgets, bundle.size_bytes, scores)
    return keep_experiences(experiences_of(seat, foreseen, measured), store)


def _result(
    here: Bench,
    asked: Asked | None,
    latency: Trial | None,
    *,
    authenticity: Authenticity,
    accept_predicted: bool,
) -> VerifyResult:
    bundle, manifest = here.bundle, here.bundle.manifest
    accuracy = None if asked is None else asked.accuracy
    scores = None if asked is None else asked.scores
    verdict = judge(
        bundle.target.name,
        bundle.budgets,
        Findings(
            artifact=manifest.artifact,
            latency=latency,
            accuracy=accuracy,
            scores=scores,
            size_bytes=bundle.size_bytes,
            predictions=bundle.predictions(),
        ),
    )
    settle = f"deployopt verify BUNDLE, run on: {bundle.target.title}"
    return VerifyResult(
        bundle=str(bundle.folder),
        bundle_digest=manifest.bundle_digest,
        name=manifest.name,
        target=bundle.target.name,
        authenticity=authenticity,
        on_target=here.mismatch is None,
        mismatch=here.mismatch,
        budgets=bundle.budgets,
        verdict=verdict,
        machine=here.machine,
        device=address_of(here.device),
        accuracy=None if accuracy is None else accuracy_summary(accuracy),
        latency=None
        if latency is None
        else latency_summary(latency, tail_quantile(bundle.budgets)),
        scores=None if scores is None else score_summary(scores),
        generation=None if latency is None else generation_summary(latency),
        memory=None if latency is None else memory_figure(latency, scores),
        size=size_figure(bundle.size_bytes),
        predicted=bundle.predictions(),
        settle=settle if here.mismatch is not None else None,
        exit_code=verdict.exit_code(accept_predicted=accept_predicted),
    )


def _write(bundle: Path, verification: Verification) -> VerifyResult:
    """Put it beside; a bundle that may not be written to is verified all the same."""
    name = _next_name(bundle / VERIFICATIONS)
    written = str(bundle / VERIFICATIONS / name)
    result = msgspec.structs.replace(verification.result, written=written)
    data = encode_pretty(msgspec.structs.replace(verification, result=result))
    try:
        add_verification(bundle, name, data)
    except StorageError as error:
        warnings = (*verification.result.warnings, f"The result was not kept: {error}")
        return msgspec.structs.replace(verification.result, warnings=warnings)
    return result


def _next_name(folder: Path) -> str:
    taken = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    number = 1
    while f"{number:03d}.json" in taken:
        number += 1
    return f"{number:03d}.json"
