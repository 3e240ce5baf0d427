"""Five hundred hostile texts wherever an error quotes one: a single line, no command in it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from deployopt.core.codec import decode_json, decode_toml
from deployopt.core.errors import DeployoptError
from deployopt.core.target import Target
from deployopt.sources.checks import check_no_code, wanted_files
from deployopt.sources.folder import _task, config_labels
from deployopt.sources.hub_names import parse_hub_name
from deployopt.sources.tables import Row, checked_row, find_columns
from tests.fakes.payloads import payloads

HERE: Final = Path("model")
HIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
COMMAND: Final = re.compile(r"::|##\[")


def operator(text: str) -> None:
    import onnx

    from deployopt.graph.limits import check_limits

    model = onnx.ModelProto()
    node = model.graph.node.add()
    node.op_type = node.domain = "x" + text.encode("utf-8", "replace").decode("utf-8")
    check_limits(model, Path(text))


def tensor(text: str) -> None:
    import onnx

    from deployopt.graph.external import check_external

    model = onnx.ModelProto()
    weight = model.graph.initializer.add()
    weight.name = text.encode("utf-8", "replace").decode("utf-8")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../" + weight.name)
    check_external(model, Path(text))


PLACES: Final[dict[str, Callable[[str], object]]] = {
    "operator": operator,
    "tensor": tensor,
    "architecture": lambda text: _task({"architectures": [text]}, HERE),
    "model type": lambda text: _task(
        {"architectures": ["AForSequenceClassification"], "model_type": text}, HERE
    ),
    "problem": lambda text: _task(
        {"architectures": ["A" + "ForImageClassification"], "problem_type": f"x{text}"}, HERE
    ),
    "labels": lambda text: config_labels({"id2label": {text: "a", "x" + text: "b"}}, text),
    "key": lambda text: check_no_code({f"x{text}": {"auto_map": "a"}}, text),
    "choice": lambda text: check_no_code({"attn_implementation": f"x{text}"}, text),
    "file": lambda text: wanted_files([f"{text}.bin", f"{text}.txt"], text),
    "columns": lambda text: find_columns([f"x{text}"], {}, Path(text)),
    "column": lambda text: find_columns(["a"], {"text": f"x{text}"}, HERE),
    "label": lambda text: checked_row(Path(text), Row(text, [text], 1)),
    "hub": lambda text: parse_hub_name(f"hub:{text}/x y"),
    "target": lambda text: decode_toml(
        f"name = {json.dumps(text, ensure_ascii=False)}".encode("utf-8", "replace"),
        Target,
        where=text,
    ),
    "record": lambda text: decode_json(b'{"unknown": 1}', Target, where=text),
}  # fmt: skip


@pytest.mark.parametrize("place", sorted(PLACES))
def test_no_text_gets_out_of_its_line(place: str) -> None:
    quoted = 0
    for text in payloads():
        try:
            PLACES[place](text)
        except DeployoptError as error:
            says = str(error)
            assert HIDDEN.search(says) is None, (place, says)
            assert COMMAND.search(says) is None, (place, says)
            assert len(says) < 3_100
            quoted += 1
    assert quoted > 400, "it was not quoted"
