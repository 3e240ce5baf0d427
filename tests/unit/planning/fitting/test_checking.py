"""Fit, may fit, cannot fit; and what would."""

from deployopt.core.plan import Facts
from deployopt.planning.fitting.checking import check_fit
from deployopt.planning.targets import load_target


def model(parameters: int) -> Facts:
    return Facts(
        parameters=parameters,
        weight_bytes=4 * parameters,
        operations=(),
        peak_activation_bytes=10**7,
        basis="a model",
    )


def test_a_small_model_fits_in_full() -> None:
    fits, reason, others = check_fit(load_target("rpi4"), model(66_000_000))
    assert fits
    assert reason.startswith("fp32 needs")
    assert others == ()


def test_a_larger_one_fits_in_int8_only() -> None:
    found = check_fit(load_target("rpi4"), model(1_300_000_000))
    assert found.fits
    assert found.reason.startswith("fp32 may not fit, but int8 needs")


def test_one_at_the_edge_goes_on_and_is_told() -> None:
    found = check_fit(load_target("rpi4"), model(2_750_000_000))
    assert found.fits
    assert found.reason.startswith("may not fit")
    assert "3.50 GiB are usable on rpi4" in found.reason


def test_one_that_cannot_fit_is_told_what_would() -> None:
    found = check_fit(load_target("rpi4"), model(8_000_000_000))
    assert not found.fits
    assert found.reason.startswith("even int8 is predicted to need")
    assert found.what_would_fit[0] == (
        "a model of this kind with at most 2500 million parameters, in int8"
    )
    assert any("target t4" in other for other in found.what_would_fit)
    assert all("rpi" not in other for other in found.what_would_fit[1:])


def test_more_memory_of_the_same_board_is_named_first() -> None:
    found = check_fit(load_target("rpi4-2gb"), model(2_000_000_000))
    assert not found.fits
    assert "target rpi4 (Raspberry Pi 4, 4 GB), in int8" in found.what_would_fit


def test_a_model_of_a_thousand_billion_fits_nowhere() -> None:
    found = check_fit(load_target("a100x4"), model(10**12))
    assert not found.fits
    assert not any("target" in other for other in found.what_would_fit)


def test_storage_counts_as_well() -> None:
    found = check_fit(load_target("h100"), model(70_000_000_000))
    assert found.fits
    assert "may not fit" in found.reason
