"""What a plan expects where it can say so at once; nothing where it would open the model."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.matrix import CellRequest
from deployopt.pipeline.matrix import expecting
from deployopt.planning.targets import load_target
from tests.fakes.cells import cell


@pytest.fixture
def demo(tmp_path: Path) -> CellRequest:
    return cell("demo-sentiment", store=tmp_path / "store")


def test_an_alias_is_expected_and_a_graph_is_not(demo: CellRequest, tmp_path: Path) -> None:
    cells = [
        demo,
        msgspec.structs.replace(demo, model="./none.onnx"),
        msgspec.structs.replace(demo, data="./texts.csv"),
        msgspec.structs.replace(demo, model="hub:a/b"),
        msgspec.structs.replace(demo, model=str(tmp_path / "nothing-there")),
    ]
    found = expecting.with_expected(cells)
    assert found[0].expected_s is not None
    assert 10 < found[0].expected_s < 3600
    assert [one.expected_s for one in found[1:]] == [None] * 4
    assert not (tmp_path / "store").exists()


def test_of_very_many_one_target_stands_for_the_others(
    demo: CellRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def planned(one: CellRequest) -> float:
        asked.append(one.target.name)
        return 7.0

    monkeypatch.setattr(expecting, "_planned", planned)
    monkeypatch.setattr(expecting, "MOST", 3)
    other = msgspec.structs.replace(demo, target=load_target("rpi5"))
    assert [one.expected_s for one in expecting.with_expected([demo, other])] == [7.0, 7.0]
    assert asked == ["rpi4", "rpi5"]
    asked.clear()
    expecting.with_expected([demo, other, demo, other])
    assert asked == ["rpi4"]
