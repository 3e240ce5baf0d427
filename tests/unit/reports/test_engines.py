"""Engines in reports: what is in each, and that none has run."""

import io

import msgspec
from rich.console import Console

from deployopt.core.engine import EngineSummary, InputRange
from deployopt.reports.engines import engine_lines, engine_words, engines_markdown
from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown
from deployopt.reports.terminal import print_build
from tests.fakes.results import build_result

HALF = EngineSummary(
    builder="tensorrt-rtx-cu13",
    version="1.7.1.116",
    compute_capability="8.6",
    layers=66,
    precisions={"fp16": 61, "fp32": 3, "other": 2},
    weights_bytes=43 * 2**20,
    activation_bytes=10 * 2**20,
    workspace_bytes=2**30,
    engine_bytes=48 * 2**20,
    profile=tuple(
        InputRange(name=name, least=(1, 1), usual=(1, 46), most=(1, 512))
        for name in ("ids", "mask")
    ),
    notes=("3 nodes stay float32 ('grow')",),
)
WITHOUT = build_result()
RESULT = msgspec.structs.replace(
    WITHOUT,
    candidates=(
        msgspec.structs.replace(WITHOUT.candidates[0], engine=HALF),
        *WITHOUT.candidates[1:],
    ),
)


def shown() -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_build(RESULT, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_layers_by_precision_memory_and_shapes_in_one_paragraph() -> None:
    assert engine_words(HALF) == (
        "Engine for SM86: 66 layers, 61 fp16, 3 fp32, 2 other; weights 43.0 MiB, work memory "
        "10.0 MiB, workspace at most 1.00 GiB. Requests: ids, mask 1 x 1 to 1 x 512, best at 1 x "
        "46."
    )


def test_what_the_builder_does_not_tell_is_said() -> None:
    bare = msgspec.structs.replace(HALF, layers=0, precisions={}, weights_bytes=None, profile=())
    assert "the builder listed no layers" in engine_words(bare)
    assert "weights" not in engine_words(bare)
    assert "of fixed shapes" in engine_words(bare)


def test_only_candidates_with_an_engine_have_a_line() -> None:
    ((name, words),) = engine_lines(RESULT.candidates)
    assert name == RESULT.candidates[0].recipe
    assert words.endswith("3 nodes stay float32 ('grow').")
    assert engines_markdown(WITHOUT.candidates) == []


def test_every_rendering_says_that_none_has_run() -> None:
    for text in (shown(), build_markdown(RESULT), build_page(RESULT).decode()):
        assert "Engines: built here, run nowhere yet" in text
        assert "tensorrt-rtx-cu13 1.7.1.116" in text
        assert "61 fp16" in text
    assert max(map(len, shown().splitlines())) <= 80
    assert "Engines" not in build_markdown(WITHOUT)
