"""A bundle's page, made anew from its records and from what devices have added."""

from pathlib import Path

from deployopt.core.bundle import Lineage
from deployopt.core.codec import decode_json
from deployopt.core.errors import UsageError
from deployopt.core.result import BuildResult, VerifyResult
from deployopt.device.verify import Verification
from deployopt.reports.html import build_page
from deployopt.store.paths import VERIFICATIONS
from deployopt.store.verifying import verify_bundle
from deployopt.store.writing import atomic_write_bytes


def write_page(bundle: Path, output: Path) -> Path:
    """Check the bundle, then write its page to `output`.

    Raises:
        IntegrityError: the bundle is not the one that was built.
        UsageError: the page would lie inside the bundle.
    """
    manifest = verify_bundle(bundle)
    if output.absolute().is_relative_to(bundle.absolute()):
        raise UsageError(f"{output} lies inside the bundle, which stays as built. Name another.")
    result = decode_json((bundle / "result.json").read_bytes(), BuildResult, where="result.json")
    lineage = decode_json((bundle / "lineage.json").read_bytes(), Lineage, where="lineage.json")
    page = build_page(result, lineage, verifications(bundle), made_with=manifest.made_with)
    atomic_write_bytes(output, page)
    return output


def verifications(bundle: Path) -> list[VerifyResult]:
    """What devices found, in order."""
    return [
        decode_json(path.read_bytes(), Verification, where=str(path)).result
        for path in sorted((bundle / VERIFICATIONS).glob("*.json"))
    ]
