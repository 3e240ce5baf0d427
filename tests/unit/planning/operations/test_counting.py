"""Operators by their sizes, and like ones put together."""

from deployopt.planning.operations.counting import Pass, elementwise, gemm, merged


def test_a_product_reads_its_weights_once_for_all_rows() -> None:
    one = gemm(10, 4, 6, 3)
    assert (one.kind, one.macs, one.weights, one.activations, one.count) == (
        "gemm",
        240,
        24,
        100,
        3,
    )


def test_an_elementwise_operator_multiplies_nothing() -> None:
    one = elementwise(50, 2)
    assert (one.macs, one.weights, one.activations, one.count) == (0, 0, 50, 2)


def test_like_operators_are_one_with_their_count() -> None:
    found = merged([gemm(1, 2, 3, 4), elementwise(5), gemm(1, 2, 3, 6), gemm(2, 2, 3)])
    assert [(one.kind, one.macs, one.count) for one in found] == [
        ("gemm", 6, 10), ("elementwise", 0, 1), ("gemm", 12, 1),
    ]  # fmt: skip


def test_what_does_nothing_is_left_out() -> None:
    assert merged([gemm(0, 0, 3), gemm(1, 2, 3, 0), elementwise(0)]) == ()


def test_a_pass_knows_its_rows_and_whether_it_is_the_first() -> None:
    assert Pass(batch=3, tokens=5, context=5).rows == 15
    assert Pass(batch=3, tokens=5, context=5).first
    assert not Pass(batch=3, tokens=1, context=5).first
