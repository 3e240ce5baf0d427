"""How much longer does `verify` take over ssh than here? Run as a module, with a bundle.

    python -m benchmarks.verify_over_ssh BUNDLE --pairs 3

A real sshd on loopback is the device, with this Python as its own, so that both measure with the
same packages on the same cores; runs take turns, and each bundle is a copy. The install there is
timed apart, once, from wheels brought from here, with `--install`.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from deployopt.device.verify import verify
from deployopt.remote.ssh import Settings
from deployopt.remote.ssh_device import connected
from tests.fakes.sshd import Sshd, running_sshd


def main() -> int:
    """Print the times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--install", action="store_true", help="time a fresh install instead")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = {"XDG_CACHE_HOME": str(folder / "cache")}
        if given.install:
            cache |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": "/dev/null"}
        with running_sshd(folder, cache) as server:
            if given.install:
                return install(server)
            bundle = folder / "bundle"
            shutil.copytree(given.bundle, bundle)
            return compare(server, bundle, given.pairs)


def install(server: Sshd) -> int:
    """The first connection to a device without a network, and the second."""
    for what in ("first connection, with the install", "second connection"):
        start = time.monotonic()
        with connected(server.url, settings=Settings(config=server.config)):
            print(f"{what}: {time.monotonic() - start:.1f} s")
    return 0


def compare(server: Sshd, bundle: Path, pairs: int) -> int:
    """Turns of both."""
    settings = Settings(config=server.config, python=sys.executable)
    here: list[float] = []
    there: list[float] = []
    for number in range(pairs):
        for over_ssh in (False, True) if number % 2 else (True, False):
            start = time.monotonic()
            if over_ssh:
                with connected(server.url, settings=settings) as device:
                    verify(bundle, device)
            else:
                verify(bundle)
            taken = there if over_ssh else here
            taken.append(time.monotonic() - start)
            print(f"{'over ssh' if over_ssh else 'here'}: {taken[-1]:.1f} s", flush=True)
    ratios = [b / a for a, b in zip(here, there, strict=True)]
    print(f"ratio, median of {pairs}: {median(ratios):.3f} (aim: at most 1.2)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
