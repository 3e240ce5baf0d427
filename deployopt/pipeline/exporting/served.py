"""A bundle that another server is to answer with: checked, judged, and of a kind that can be.

In: a request. Out: the open bundle and the verdict that holds of it. Refuses what is no bundle, one
whose bytes or signature do not hold, one that was not accepted, and a language model.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.card import tensorrt_version
from deployopt.core.codec import decode_json
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.exporting import ExportRequest
from deployopt.core.measurement import Machine, Trial
from deployopt.core.metric import find_metric
from deployopt.core.text import safe_text
from deployopt.core.units import show_quantity
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.device.verify import Verification
from deployopt.signing.authenticate import Policy, authenticate
from deployopt.store.paths import MANIFEST, VERIFICATIONS
from deployopt.store.staging import scratch_folder

_VERDICT: Final = "verdict.json"
_TIMES: Final = "measurements/latency.json"


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, and what is known of it."""

    bundle: OpenBundle
    verdict: Verdict
    machine: Machine | None = None
    """What timed it: at the build, or where it was settled since."""

    @property
    def word(self) -> str:
        """Accepted or provisional."""
        return self.verdict.word

    @property
    def warnings(self) -> tuple[str, ...]:
        """What has to be said first."""
        if self.verdict.outcome is Outcome.ACCEPTED:
            return ()
        target = self.bundle.manifest.target
        said = (
            f"The bundle is provisional: not all of its budgets were measured on {target}, and "
            "what was not is predicted to hold. `deployopt verify` on the target settles it."
        )
        return (said,)

    def check(self, kind: str) -> Check | None:
        """The first check of metrics whose name begins so."""
        return next((c for c in self.verdict.checks if c.metric.startswith(kind)), None)

    def evidence(self) -> list[str]:
        """A line a budget: what was found, its bound, its limit, and how it is known."""
        return [_told(check) for check in self.verdict.checks]

    def measured_on(self) -> str:
        """One line on the machine."""
        machine = self.machine
        if machine is None:
            return "no machine has measured it"
        runtime = self.bundle.manifest.runtime
        known = machine.packages.get(runtime, "")
        version = tensorrt_version(machine.packages) if runtime == "tensorrt" else known
        said = f"{machine.cpu}, {machine.cores} cores, {runtime} {version or ''}".strip()
        return safe_text(", ".join([said, *machine.gpus]), 200)


def open_served(request: ExportRequest) -> Served:
    """Check the bundle and its verdict.

    Raises:
        UsageError: no bundle, a language model's, one that was not accepted, or options of others.
        IntegrityError: it is not the bundle that was built, or the key does not vouch for it.
    """
    _check_options(request)
    folder = Path(request.source)
    if not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{request.source} is no bundle, and --as {request.form} serves what `build` has "
            "published, since it is what was measured. Build it, then name the bundle's folder."
        )
    if request.output.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{request.output} lies inside the bundle, which stays as built. Name another folder."
        )
    bundle = open_bundle(folder)
    if request.key is not None:
        policy = Policy(key=request.key, store=request.store)
        authenticate(bundle.folder, bundle.manifest, policy, scratch_folder())
    if bundle.manifest.interface.generates:
        raise UsageError(
            f"{request.source} holds a language model, and --as {request.form} serves classifiers "
            "and plain graphs: of its tokens one by one no measurement here would hold there. "
            f"`deployopt export {request.source} OUT --as vllm --target NAME` writes it for vLLM, "
            "--as gguf for llama.cpp; `deployopt chat` talks with it here."
        )
    if bundle.manifest.interface.pairs:
        raise UsageError(
            f"{request.source} holds an image-text model, which takes images and texts together; "
            f"--as {request.form} serves models of one input. Build it again with --labels, and "
            "serve the classifier that it then is."
        )
    if bundle.manifest.interface.draws:
        raise UsageError(
            f"{request.source} draws images with three graphs and a loop between them, and --as "
            f"{request.form} serves models of one graph. Its folder `model` holds the graphs as "
            "plain ONNX files; `deployopt run` draws with them."
        )
    if bundle.manifest.interface.detects and request.form == "triton":
        raise UsageError(
            f"{request.source} holds a detector, whose boxes are worked out of its outputs, and "
            "what --as triton writes beside a model works out labels. Serve it with `deployopt "
            "serve` or --as docker, which give boxes."
        )
    return _judged(bundle, request)


def _check_options(request: ExportRequest) -> None:
    given = {
        "--target": request.target,
        "--precision": request.precision,
        "--context": request.context,
        "--lock": request.lock,
    }
    odd = [name for name, value in given.items() if value is not None]
    if odd:
        raise UsageError(
            f"{odd[0]} is for language models; a bundle has its own. Leave it out of --as "
            f"{request.form}."
        )


def _judged(bundle: OpenBundle, request: ExportRequest) -> Served:
    """The bundle's own verdict; or, where no key asks for what is signed, the last found since."""
    data = (bundle.folder / _VERDICT).read_bytes() if _has(bundle, _VERDICT) else b""
    if not data:
        raise IntegrityError(
            f"{request.source} has no {_VERDICT}: nothing says that it was judged."
        )
    verdict = decode_json(data, Verdict, where=_VERDICT)
    later = None if request.key is not None else _last_verification(bundle)
    if later is not None:
        verdict = later.result.verdict
    if verdict.outcome is not Outcome.ACCEPTED and not verdict.provisional:
        raise UsageError(
            f"{request.source} is {verdict.outcome.value}, and only accepted and provisional "
            f"bundles are handed over to a server. {_advice(verdict)}"
        )
    machine = _timed_by(bundle) if later is None else later.result.machine
    return Served(bundle=bundle, verdict=verdict, machine=machine)


def _has(bundle: OpenBundle, name: str) -> bool:
    return any(entry.path == name for entry in bundle.manifest.files)


def _last_verification(bundle: OpenBundle) -> Verification | None:
    """The last on the target itself, of these very files."""
    for path in sorted((bundle.folder / VERIFICATIONS).glob("*.json"), reverse=True):
        found = decode_json(path.read_bytes(), Verification, where=str(path))
        if found.result.on_target and found.result.bundle_digest == bundle.manifest.bundle_digest:
            return found
    return None


def _advice(verdict: Verdict) -> str:
    missed = next((c for c in verdict.checks if c.outcome is verdict.outcome), None)
    if missed is None:
        return "Build it again."
    if verdict.outcome is Outcome.REJECTED:
        return (
            f"It misses {_told(missed)}. Build it again with other budgets or for another target."
        )
    return (
        f"Undecided is {missed.metric}: {missed.settle or missed.reason}. Run `deployopt verify`."
    )


def _timed_by(bundle: OpenBundle) -> Machine | None:
    if not _has(bundle, _TIMES):
        return None
    data = (bundle.folder / _TIMES).read_bytes()
    trials = decode_json(data, tuple[Trial, ...], where=_TIMES)
    own = [trial for trial in trials if trial.artifact == bundle.manifest.artifact]
    return own[0].machine if own else None


def _told(check: Check) -> str:
    metric = find_metric(check.metric)
    limit = f"{metric.sign} {show_quantity(check.limit, metric.dimension)}"
    evidence = (check.evidence or Evidence.PREDICTED).value
    if check.observed is None:
        return f"{check.metric} {limit}: not known"
    bound = check.lower if metric.higher else check.upper
    ends = "" if bound is None else f", bound {show_quantity(bound, metric.dimension)}"
    found = show_quantity(check.observed, metric.dimension)
    return f"{check.metric} {limit}: {found}{ends}, {evidence}"
