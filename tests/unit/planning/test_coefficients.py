"""Fitted factors: how they multiply, which tier a setting stands on, what is shipped."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.planning.coefficients import (
    Coefficients,
    adjusted,
    combine,
    row_keys,
    scopes_of,
    shipped,
    tier_of,
)
from deployopt.planning.rates import setting_of
from deployopt.planning.targets import load_target
from deployopt.planning.terms import TERMS, Setting

SECONDS = dict.fromkeys(TERMS, 1.0)


def at(name: str = "rpi4") -> Setting:
    found = setting_of(load_target(name), Precision.INT8, "encoder")
    assert found is not None
    return found


def test_without_rows_the_datasheet_stands() -> None:
    assert adjusted(SECONDS, at(), "encoder", Coefficients()) == pytest.approx(SECONDS)
    assert tier_of(at(), "encoder", Coefficients()) == "datasheet"


def test_factors_of_all_scopes_multiply() -> None:
    fitted = Coefficients(
        scopes={
            "cpu": {"all": 2.0, "gemm": 1.5},
            "arm-cpu, int8": {"gemm": 0.5},
            "x86-cpu": {"all": 9.0},
        }
    )
    found = adjusted(SECONDS, at(), "encoder", fitted)
    assert found["gemm"] == pytest.approx(2.0 * 1.5 * 0.5)
    assert found["overhead"] == pytest.approx(2.0)


def test_scopes_go_from_the_platform_to_the_device() -> None:
    scopes = scopes_of(at(), "encoder")
    assert scopes[0] == "cpu"
    assert scopes[-1] == "device rpi4, transformer"
    assert "arm-cpu, onnxruntime, int8" in scopes
    assert "arm-cpu, one thread" not in scopes
    assert "arm-cpu, one thread" in scopes_of(msgspec.structs.replace(at(), single=True), "encoder")


def test_tiers_by_how_near_the_rows_are() -> None:
    device, runtime, kind = row_keys(at(), "encoder")
    assert tier_of(at(), "encoder", Coefficients(rows={device: 3, runtime: 9})) == "device"
    assert tier_of(at(), "encoder", Coefficients(rows={device: 2, runtime: 3})) == "runtime"
    assert tier_of(at(), "encoder", Coefficients(rows={kind: 3})) == "class"
    assert tier_of(at(), "encoder", Coefficients(rows={kind: 2})) == "datasheet"


def test_launches_hide_behind_work_where_both_overlap() -> None:
    seconds = {**dict.fromkeys(TERMS, 0.0), "gemm": 2.0, "overhead": 3.0}
    assert combine(seconds, overlaps=False) == 5.0
    assert combine(seconds, overlaps=True) == 3.0


def test_shipped_coefficients_are_sound() -> None:
    fitted = shipped()
    assert sum(count for key, count in fitted.rows.items() if key.count(",") == 1) > 370
    for factors in fitted.scopes.values():
        assert set(factors) <= {"all", *TERMS}
        assert all(0.05 < factor < 20 for factor in factors.values())
    for tiers in fitted.bands.values():
        in_order = [tiers[tier] for tier in ("device", "runtime", "class", "datasheet")]
        assert in_order == sorted(in_order)
        assert all(1.1 < band <= 3 for band in in_order)
