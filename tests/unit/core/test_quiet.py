"""Importing OpenVINO and NNCF leaves nothing behind."""

import importlib
import logging
import sys
import tomllib
import types
from pathlib import Path

import pytest

from deployopt.core.quiet import (
    GENAI_VERSIONS,
    OPENVINO_VERSIONS,
    genai_missing,
    imported_quietly,
    openvino_missing,
    openvino_settings,
)
from deployopt.core.versions import lowest

TELEMETRY = "openvino_telemetry"


def test_the_telemetry_cannot_be_imported_within_and_is_as_it_was_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = types.ModuleType(TELEMETRY)
    monkeypatch.setitem(sys.modules, TELEMETRY, there)
    with imported_quietly(), pytest.raises(ImportError):
        importlib.import_module(TELEMETRY)
    assert sys.modules[TELEMETRY] is there


def test_where_it_was_not_imported_nothing_stands_in_its_way_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, TELEMETRY, raising=False)
    with imported_quietly():
        pass
    assert TELEMETRY not in sys.modules


def test_a_package_that_changes_the_kind_of_loggers_changes_it_for_itself_only() -> None:
    class Other(logging.Logger):
        pass

    before = logging.getLoggerClass()
    with imported_quietly():
        logging.setLoggerClass(Other)
    assert logging.getLoggerClass() is before


def test_the_settings_ask_for_exact_sums_and_the_threads_given() -> None:
    settings = openvino_settings(3)
    assert settings["INFERENCE_NUM_THREADS"] == 3
    assert settings["INFERENCE_PRECISION_HINT"] == "f32"
    assert settings["CACHE_DIR"] == ""


def test_who_has_no_openvino_is_told_what_to_install() -> None:
    assert f"pip install 'openvino{OPENVINO_VERSIONS}'" in openvino_missing("it is not there")
    assert lowest(OPENVINO_VERSIONS) is not None


def test_who_has_no_onnxruntime_genai_is_told_what_to_install() -> None:
    assert "pip install 'deployopt[chat]'" in genai_missing("it is not there")
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))
    wanted = project["project"]["optional-dependencies"]["chat"]
    assert wanted == [f"onnxruntime-genai{GENAI_VERSIONS}"]
