"""A device for a bundle that is there already, held for as long as a call measures on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deployopt.core.watching import Watcher
from deployopt.pipeline.reaching import reached

if TYPE_CHECKING:
    from deployopt.device.device import Device
    from deployopt.signing.authenticate import Policy


@contextmanager
def reached_for(
    address: str | None, bundle: Path, watcher: Watcher, policy: "Policy"
) -> "Iterator[Device | None]":
    """The device that a bundle is to be measured on; its bytes are checked before anyone is called.

    Raises:
        IntegrityError: the bundle is not the one that was built, or the policy refuses it.
    """
    if address is None:
        yield None
        return
    from deployopt.device.bundle_reader import open_bundle
    from deployopt.signing.authenticate import require_signed
    from deployopt.store.staging import scratch_folder

    opened = open_bundle(bundle)
    require_signed(opened.folder, opened.manifest, policy, scratch_folder())
    with reached(address, opened.target, (opened.manifest.runtime,), watcher) as device:
        yield device
