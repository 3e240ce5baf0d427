"""A name that was given on another machine stands for the place where its files lie here."""

from pathlib import Path

from deployopt.sources.naming import model_path
from deployopt.sources.placing import located, placed


def test_a_name_has_its_place_in_the_block_alone(tmp_path: Path) -> None:
    here = tmp_path / "mlp.onnx"
    here.touch()
    asked = "/on/another/machine/mlp.onnx"
    assert located(asked) == Path(asked)
    with placed({asked: str(here)}):
        assert located(asked) == here
        assert model_path(asked) == here
        assert located("~/other.csv") == Path("~/other.csv").expanduser()
    assert located(asked) == Path(asked)
