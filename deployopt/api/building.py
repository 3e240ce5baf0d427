"""The calls about bundles: build, verify, report, open."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployopt.api.reaching import reached_for
from deployopt.core.artifact import Precision
from deployopt.core.request import BuildRequest
from deployopt.core.result import (
    BuildResult,
    VerifyResult,
)
from deployopt.core.target import Target
from deployopt.core.watching import SILENT, Watcher
from deployopt.pipeline.reaching import reached, runtimes_here

if TYPE_CHECKING:
    from deployopt.device.run import Predictor
from deployopt.api.arguments import (
    Budgets,
    Model,
    effort_named,
    labels_file,
    limits_of,
    model_name,
    target_of,
)


def build(  # noqa: PLR0913 -- the one call that scripts make; every argument has a name
    *,
    model: Model,
    target: str | Path | Target,
    budgets: Budgets | None = None,
    data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    questions: str | Path | None = None,
    output: str | Path | None = None,
    accept_predicted: bool = False,
    effort: str | None = None,
    train_data: str | Path | None = None,
    unlabelled: str | Path | None = None,
    time_limit_s: float | None = None,
    example_inputs: Mapping[str, Any] | Sequence[Any] | None = None,
    labels: Sequence[str] | str | Path = (),
    store: str | Path | None = None,
    seed: int = 0,
    lock: str | Path | None = None,
    device: str | None = None,
    baseline: str | Path | None = None,
    unsafe_load_pickle: bool = False,
    runtime: str | None = None,
    precision: Precision | None = None,
    share: str | None = None,
    watcher: Watcher = SILENT,
) -> BuildResult:
    """Plan, build, measure, judge, and publish the best bundle.

    Args:
        model: an alias, `hub:ORG/NAME[@REV]`, a folder in Hugging Face form, an `.onnx` file, or a
            `torch.nn.Module` (then with `example_inputs`).
        target: a shipped profile's name, a TOML file, or a Target.
        budgets: limits that replace the target's own, e.g. `{"latency_p95": "60 ms"}`.
        data: evaluation data: a CSV, JSONL or Parquet file, a folder of images, `hub:datasets/…`;
            by default what comes with the model.
        columns: names of the text and label columns, `{"text": …, "label": …}`.
        questions: of a language model: a file of questions with choices, JSON lines such as
            `{"question": …, "choices": […], "answer": 0}`, by which `accuracy_drop` is judged.
        output: the bundle's folder; by default named after the model and the target.
        accept_predicted: take a bundle whose device budgets are only predicted to hold.
        effort: `quick` tries the forms of the whole model and trains nothing; `default` and
            `extensive` also look for smaller shapes, taught by the model. By default quick, unless
            there is something to learn from or a time limit.
        train_data: what smaller shapes learn from, in the forms of `data`; what is in the
            evaluation data is left out. By default what comes with the model.
        unlabelled: a file with one text a line, to learn the model's answers from as well.
        time_limit_s: of the whole build.
        example_inputs: what a `torch.nn.Module` is called with: tensors, in the order of its
            forward or by input name, the batch first.
        labels: the classes of the module's logits, in order, where it classifies; of an image-text
            model the file of what it chooses among: a `.txt` with a label a line, or a table with
            the columns text and label.
        store: the cache's folder; by default the user's cache.
        seed: decides the splits and the order of requests.
        lock: a file that pins what the hub gave; a model or data that drifted is refused.
        device: where to measure, `ssh://[user@]host[:port]`; by default on this machine.
        baseline: an earlier bundle; what is chosen is measured beside it, and a regression rejects.
        unsafe_load_pickle: read weights that are pickles, in a confined process; by default they
            are refused.
        runtime: what opens the model on the target, such as `tensorrt-rtx` or `onnxruntime` for a
            GPU; by default what the target allows, measured against each other.
        precision: of a language model, only forms of this precision; by default all that may fit.
        share: where machines exchange what steps made: a folder, or a URL such as
            `s3://BUCKET/PREFIX`. What is measured is never taken from it.
        watcher: told of the progress.

    Returns:
        The result; `.verdict.exit_code()` is what the command line would return.

    Raises:
        DeployoptError: any kind, with its exit code; a missed budget is a verdict, not an error.
    """
    from deployopt.pipeline.build import run_build

    request = BuildRequest(
        model=model_name(model),
        target=target_of(target),
        budgets=limits_of(budgets),
        data=None if data is None else str(data),
        columns=dict(columns or {}),
        labels=labels_file(model, labels),
        questions=None if questions is None else str(questions),
        output=None if output is None else Path(output),
        accept_predicted=accept_predicted,
        effort=None if effort is None else effort_named(effort),
        train_data=None if train_data is None else str(train_data),
        unlabelled=None if unlabelled is None else Path(unlabelled),
        time_limit_s=time_limit_s,
        store=None if store is None else Path(store),
        seed=seed,
        lock=None if lock is None else Path(lock),
        baseline=None if baseline is None else Path(baseline),
        unsafe_load_pickle=unsafe_load_pickle,
        runtime=runtime,
        precision=precision,
        share=share,
    )
    given = None
    if not isinstance(model, str | Path):
        from deployopt.sources.modules import GivenModule

        words = () if isinstance(labels, str | Path) else tuple(labels)
        given = GivenModule(module=model, example_inputs=example_inputs, labels=words)
    with reached(device, request.target, runtimes_here(request.target), watcher) as there:
        return run_build(request, watcher, given, there)


def verify(  # noqa: PLR0913 -- as above
    bundle: str | Path,
    *,
    device: str | None = None,
    proxy: bool = False,
    accept_predicted: bool = False,
    key: str | Path | None = None,
    allow_rollback: bool = False,
    store: str | Path | None = None,
    batches: Sequence[int] = (),
    copies: int | None = None,
    watcher: Watcher = SILENT,
) -> VerifyResult:
    """Check the bundle's digests, measure it, judge it, and write that beside it.

    On the target itself the figures are kept in the store too: later predictions learn from them.

    Args:
        bundle: its folder.
        device: where to measure, `ssh://[user@]host[:port]`; by default on this machine.
        proxy: measure though the machine is not the bundle's target; its figures say so.
        accept_predicted: take a bundle whose device budgets are only predicted to hold.
        key: the public key that has to vouch for every byte; without one the result is UNVERIFIED.
        allow_rollback: take an older release than the last that was accepted here under that key.
        store: the cache's folder, where accepted releases are kept too; by default the user's.
        batches: sizes to be asked with besides, for throughput against batch; they settle nothing.
        copies: so many at work at once besides, each on its own card or cores; they settle nothing.
        watcher: told of the progress.

    Raises:
        IntegrityError: the bundle is not the one that was built, and every mismatch is listed; or
            the key does not vouch for it; or it is an older release.
        MissingExtraError: a key was given, and the extra `sign` is not installed.
        UsageError: the machine is not the target, and `proxy` was not given; or the model is not
            asked in batches or copies, or there is no room for these.
        DeviceError: the model cannot be run there.
        UnreachableError: the device cannot be reached, or was lost.
    """
    from deployopt.device.besides import Besides
    from deployopt.device.verify import verify as run_verify
    from deployopt.signing.authenticate import Policy

    folder = Path(bundle)
    policy = Policy(key=None if key is None else Path(key), allow_rollback=allow_rollback)
    with reached_for(device, folder, watcher, policy) as there:
        return run_verify(
            folder,
            there,
            proxy=proxy,
            accept_predicted=accept_predicted,
            store=None if store is None else Path(store),
            policy=policy,
            besides=Besides(batches=tuple(batches), copies=copies),
            watcher=watcher,
        )


def report(bundle: str | Path, output: str | Path | None = None) -> Path:
    """Write the bundle's page, with what devices have added since; returns where it is.

    By default it goes beside the bundle, as `NAME.html`: the bundle itself stays as it was built.

    Raises:
        IntegrityError: the bundle is not the one that was built.
        MissingExtraError: the packages for building are not installed.
    """
    from deployopt.pipeline.reporting import write_page

    folder = Path(bundle)
    return write_page(folder, Path(output) if output else folder.with_name(f"{folder.name}.html"))


class Bundle:
    """A bundle that answers: `Bundle.open(path).predict(["some text"])`."""

    @staticmethod
    def open(
        path: "str | Path",
        *,
        key: "str | Path | None" = None,
        store: "str | Path | None" = None,
    ) -> "Predictor":
        """Check the digests and open the model.

        Args:
            path: the bundle's folder.
            key: the public key that has to vouch for every byte; without one nobody does.
            store: where `verify` remembers the releases that it accepted; by default the user's.

        Raises:
            IntegrityError: the bundle is not the one that was built; the key does not vouch for it;
                or it is an older release than the last that `verify` accepted under that key.
            MissingExtraError: a key was given, and the extra `sign` is not installed.
        """
        from deployopt.device.run import Predictor

        return Predictor.open(
            Path(path),
            key=None if key is None else Path(key),
            store=None if store is None else Path(store),
        )
