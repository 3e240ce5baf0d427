"""How an artifact is run."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, SessionOptions
from deployopt.core.target import Gpu, Target
from deployopt.device.machine import describe_machine
from deployopt.device.setup import card_for, engines_for, setup_of, threads_here

HERE = describe_machine(runtime=False)


def test_the_target_decides_threads_and_provider(target: Target) -> None:
    artifact = Artifact(
        format=Format.ONNX,
        folder=Path("/m"),
        entry="model.onnx",
        digest="d",
        session=SessionOptions(disabled_optimizers=("A",)),
    )
    setup = setup_of(artifact, target, HERE, ("logits",))
    assert setup.model == Path("/m/model.onnx")
    assert (setup.artifact, setup.threads, setup.provider) == ("d", 1, "cpu")
    assert setup.session.disabled_optimizers == ("A",)
    many = msgspec.structs.replace(
        target, runtime=msgspec.structs.replace(target.runtime, threads=1024)
    )
    assert setup_of(artifact, many, HERE).threads == len(HERE.affinity)
    two = msgspec.structs.replace(HERE, affinity=(4, 5))
    assert setup_of(artifact, many, two).threads == 2


def test_the_files_decide_the_runtime(target: Target) -> None:
    artifact = Artifact(format=Format.OPENVINO, folder=Path("/m"), entry="model.xml", digest="d")
    assert setup_of(artifact, target, HERE).runtime == "openvino"
    plain = msgspec.structs.replace(artifact, format=Format.ONNX, entry="model.onnx")
    assert setup_of(plain, target, HERE).runtime == "onnxruntime"


def test_a_card_is_named_where_the_machine_has_others_too(target: Target) -> None:
    for_card = msgspec.structs.replace(
        target, match=msgspec.structs.replace(target.match, gpu="Tesla T4")
    )

    def named(*gpus: str) -> str | None:
        return card_for(for_card, msgspec.structs.replace(HERE, gpus=gpus))

    assert named("NVIDIA GeForce RTX 4090", "Tesla T4") == "Tesla T4"
    assert named("Tesla T4", "Tesla T4") is None
    assert named("NVIDIA GeForce RTX 4090", "NVIDIA L4") is None
    assert named() is None
    two = msgspec.structs.replace(HERE, gpus=("NVIDIA L4", "Tesla T4"))
    assert card_for(target, two) is None
    artifact = Artifact(format=Format.ONNX, folder=Path("/m"), entry="model.onnx", digest="d")
    assert setup_of(artifact, for_card, two).card == "Tesla T4"


def test_threads_are_never_more_than_asked() -> None:
    assert threads_here(1) == 1


def test_what_tensorrt_builds_is_kept_in_the_store_and_nowhere_else(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOYOPT_HOME", str(tmp_path))
    assert engines_for(target, "d") is None
    runtime = msgspec.structs.replace(target.runtime, provider="tensorrt")
    card = msgspec.structs.replace(
        target,
        runtime=runtime,
        hardware=msgspec.structs.replace(
            target.hardware, gpu=Gpu(model="A card", compute_capability="8.0")
        ),
    )
    # A manifest says its own digest, which may be anything.
    found = [engines_for(card, digest) for digest in ("d", "../../etc", "/etc")]
    assert {None if one is None else one.parent for one in found} == {tmp_path / "store-1/engines"}
    assert len(set(found)) == 3
    runtime = msgspec.structs.replace(target.runtime, provider="tensorrt-plan")
    plans = msgspec.structs.replace(card, runtime=runtime)
    assert {engines_for(plans, digest) for digest in ("d", "/etc")} == {
        tmp_path / "store-1/engines/tensorrt-plan"
    }
