"""The call that holds one bundle against another."""

from pathlib import Path

from deployopt.core.comparison import FailOn
from deployopt.core.errors import UsageError
from deployopt.core.result import CompareResult
from deployopt.core.units import Dimension, parse_quantity
from deployopt.core.watching import SILENT, Watcher
from deployopt.pipeline.reaching import reached

Amount = str | float
"""`"5 %"`, or the share itself, 0.05."""


def compare(  # noqa: PLR0913 -- the one call that scripts make; every argument has a name
    old: str | Path,
    new: str | Path,
    *,
    margin: Amount = "5 %",
    accuracy_margin: Amount | None = None,
    nll_margin: Amount | None = None,
    fail_on: str = FailOn.UNDECIDED,
    device: str | None = None,
    proxy: bool = False,
    time_limit_s: float | None = None,
    seed: int = 0,
    watcher: Watcher = SILENT,
) -> CompareResult:
    """Measure both bundles in one place, now, in interleaved rounds; is `new` worse than `old`?

    Args:
        old: the bundle that is trusted so far.
        new: the bundle that is to follow it.
        margin: how much slower or larger is no regression yet, as a share of the old figure.
        accuracy_margin: how much accuracy may be lost; by default the new bundle's own budget, or
            one point where it has none.
        nll_margin: of language models, how much the mean negative log-likelihood a token may rise,
            as a share; by default the new bundle's own budget, or 2 %.
        fail_on: `undecided`, or `regression` to let what is undecided pass.
        device: where to measure both, `ssh://[user@]host[:port]`; by default on this machine.
        proxy: measure though the machine is not the new bundle's target; its figures say so.
        time_limit_s: of the interleaved rounds; by default 15 minutes.
        seed: decides the order of requests.
        watcher: told of the progress.

    Returns:
        The result; `.exit_code` is what the command line would return.

    Raises:
        IntegrityError: one of them is not the bundle that was built.
        UsageError: they answer different questions, or this machine is not the target.
    """
    from deployopt.device.bundle_reader import open_bundle
    from deployopt.device.compare import compare as run_compare
    from deployopt.device.ring import WALL_S, Terms

    lost = accuracy_margin
    terms = Terms(
        margin=read_margin(margin, "margin"),
        accuracy=None if lost is None else read_margin(lost, "accuracy margin"),
        nll=None
        if nll_margin is None
        else read_margin(nll_margin, "NLL margin", Dimension.PERCENT),
        seed=seed,
        time_limit_s=WALL_S if time_limit_s is None else time_limit_s,
    )
    fails = fail_on_named(fail_on)
    # Both are checked before a device is called.
    bundles = (open_bundle(Path(old)), open_bundle(Path(new)))
    runtimes = [bundle.manifest.runtime for bundle in bundles]
    with reached(device, bundles[1].target, runtimes, watcher) as there:
        return run_compare(
            *bundles, there, terms=terms, fail_on=fails, proxy=proxy, watcher=watcher
        )


def read_margin(amount: Amount, what: str, dimension: Dimension = Dimension.SHARE) -> float:
    """A share of one; raises UsageError."""
    if not isinstance(amount, str):
        if 0.0 <= amount <= 1.0:
            return float(amount)
        raise UsageError(f"The {what} {amount} is no share of one: write 0.05 or '5 %'.")
    try:
        found = parse_quantity(amount, dimension)
    except ValueError as error:
        raise UsageError(f"The {what} is wrong: {error}.") from error
    if found > 1.0:
        raise UsageError(f"The {what} {amount} is more than 100 %. Write for example '5 %'.")
    return found


def fail_on_named(name: str) -> FailOn:
    """What fails a script; raises UsageError."""
    try:
        return FailOn(name)
    except ValueError as error:
        known = ", ".join(one.value for one in FailOn)
        raise UsageError(f"fail_on is {name[:40]!r}. Known: {known}.") from error
