"""What is known of an engine, and its summary."""

from deployopt.core.engine import EngineLayer, EngineListing, EngineOptions, sm_of, summary_of


def layer(precision: str) -> EngineLayer:
    return EngineLayer(name="n", kind="gemm", precision=precision)


LISTING = EngineListing(
    builder="b",
    version="1",
    options=EngineOptions(compute_capability="8.6", platform="x86_64", workspace_bytes=9),
    engine_bytes=5,
    layers=(layer("fp32"), layer("fp16"), layer("int8"), layer("fp16")),
)


def test_precisions_the_most_first() -> None:
    assert list(LISTING.precisions.items()) == [("fp16", 2), ("fp32", 1), ("int8", 1)]


def test_a_summary_has_not_run() -> None:
    found = summary_of(LISTING, ("kept",))
    assert (found.layers, found.workspace_bytes, found.notes, found.ran) == (4, 9, ("kept",), False)


def test_names_of_compute_capabilities() -> None:
    assert [sm_of(one) for one in ("7.5", "12.0")] == ["SM75", "SM120"]
