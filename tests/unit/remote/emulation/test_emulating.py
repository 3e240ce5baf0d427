"""What cannot be emulated, and what cannot be compared; test_emulate does the rest for real."""

import shutil
from pathlib import Path

import msgspec
import pytest

from deployopt.core.bundle import Manifest
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.device.bundle_reader import open_bundle
from deployopt.planning.targets import load_target
from deployopt.remote.emulation import emulating
from deployopt.remote.emulation.emulating import Wanted, compared_with, emulate
from tests.fakes.emulated import counts, emulate_result


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for a Pi 4, to be read only."""
    pytest.importorskip("onnx")
    from tests.fakes.arm_bundles import write_bundle

    return write_bundle(tmp_path_factory.mktemp("bundles") / "float", int8=False)


def test_what_was_changed_is_refused(bundle: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    (changed / "budgets.json").write_text("[]")
    with pytest.raises(IntegrityError, match=r"budgets\.json"):
        emulate(changed, store=tmp_path / "store")


def test_another_target_may_be_no_arm(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="x86-cpu is x86_64"):
        emulate(bundle, load_target("x86-cpu"), store=tmp_path)


def read_as(bundle: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> None:
    opened = msgspec.structs.replace(open_bundle(bundle), manifest=manifest)
    monkeypatch.setattr(emulating, "open_bundle", lambda _: opened)


def test_another_runtime_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = open_bundle(bundle).manifest
    read_as(bundle, monkeypatch, msgspec.structs.replace(manifest, runtime="openvino"))
    with pytest.raises(UsageError, match="runs on openvino"):
        emulate(bundle)


def test_a_bundle_without_examples_is_refused(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = open_bundle(bundle).manifest
    files = tuple(f for f in manifest.files if not f.path.startswith("gate/"))
    read_as(bundle, monkeypatch, msgspec.structs.replace(manifest, files=files))
    with pytest.raises(UsageError, match="holds no gate examples"):
        emulate(bundle)


def test_beside_an_earlier_result() -> None:
    now = counts(load=4_000_000)
    assert compared_with(Wanted(), "cortex-a72", now) is None
    earlier = emulate_result(counts=counts(load=5_000_000))
    found = compared_with(Wanted(earlier=earlier, growth_max=0.02), "cortex-a72", now)
    assert found is not None
    assert found.ratio == pytest.approx(0.8)
    assert found.allowed == pytest.approx(1.02)


def test_growth_needs_the_same_processor_and_examples() -> None:
    earlier = emulate_result()
    other = msgspec.structs.replace(counts(load=1), examples_sha256="f" * 64)
    limited = Wanted(earlier=earlier, growth_max=0.02)
    for processor, now in (("cortex-a76", counts(load=1)), ("cortex-a72", other)):
        with pytest.raises(UsageError, match="same processor and the same examples"):
            compared_with(limited, processor, now)
        assert compared_with(Wanted(earlier=earlier), processor, now) is not None
