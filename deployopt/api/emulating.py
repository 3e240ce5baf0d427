"""The call about ARM processors that are not here."""

from pathlib import Path
from typing import TYPE_CHECKING

from deployopt.api.arguments import target_of
from deployopt.core.errors import UsageError
from deployopt.core.target import Target
from deployopt.core.watching import SILENT, Watcher

if TYPE_CHECKING:
    from deployopt.core.emulation import EmulateResult


def emulate(  # noqa: PLR0913 -- every argument has a name
    bundle: str | Path,
    *,
    target: str | Path | Target | None = None,
    examples: int = 8,
    time_limit_s: float = 300.0,
    onnxruntime: str | None = None,
    compare: str | Path | None = None,
    growth_max: float | None = None,
    store: str | Path | None = None,
    watcher: Watcher = SILENT,
) -> "EmulateResult":
    """Run the bundle's ARM code under QEMU: imports, answers, instructions by kind; no time.

    The first run fetches a small Debian and the packages for ARM, some 250 MB, which are kept.

    Args:
        bundle: its folder.
        target: a shipped profile's name, a TOML file, or a Target; by default the bundle's own.
        examples: how many of the gate's examples are answered in both places, at most.
        time_limit_s: of what is emulated; fewer examples are used where they would take longer.
        onnxruntime: its version, within the target's range; by default the one that is used here.
        compare: the JSON of an earlier result, whose counts are shown beside.
        growth_max: the share that instructions may grow by against it, such as 0.02.
        store: the cache's folder; by default the user's cache.
        watcher: told of the progress.

    Raises:
        UsageError: the target cannot be emulated, or the model is too large for it.
        IntegrityError: the bundle is not the one that was built, or `compare` is no result.
        DeviceError: a program or the network is missing, or the model failed there.
        StorageError: the disk is full.
    """
    from deployopt.remote.emulation.earlier import read_result
    from deployopt.remote.emulation.emulating import Wanted
    from deployopt.remote.emulation.emulating import emulate as run_emulate

    if examples < 1:
        raise UsageError(f"{examples} examples show nothing. Name one or more.")
    if growth_max is not None and compare is None:
        raise UsageError("A limit on growth needs an earlier result to compare with.")
    wanted = Wanted(
        examples=examples,
        time_limit_s=time_limit_s,
        onnxruntime=onnxruntime,
        earlier=None if compare is None else read_result(Path(compare)),
        growth_max=growth_max,
    )
    return run_emulate(
        Path(bundle),
        None if target is None else target_of(target),
        wanted,
        store=None if store is None else Path(store),
        watcher=watcher,
    )
