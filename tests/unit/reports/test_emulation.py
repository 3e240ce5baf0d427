"""Emulation at 80 columns: answers, install, counts beside earlier ones; hostile names are text."""

import io

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from deployopt.core.emulation import EmulateResult, InstructionKind
from deployopt.core.verdict import Outcome
from deployopt.reports.emulation import WORDS, print_emulation
from tests.fakes.emulated import compared, emulate_result, numerics
from tests.fakes.payloads import payloads


def shown(result: EmulateResult) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_emulation(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def flat(result: EmulateResult) -> str:
    text = shown(result)
    assert [x for x in text.splitlines() if cell_len(x.rstrip()) > 80] == []
    return " ".join(text.replace("\u00a0", " ").split())


def test_everything_is_there() -> None:
    text = flat(emulate_result(warnings=("the bundle was built for x86-cpu",)))
    for part in (
        "sample-rpi4 on an emulated Raspberry Pi 4, 4 GB",
        "cortex-a72, QEMU 7.2.22",
        "onnxruntime 1.31.1 (as here), Python 3.11.2",
        "int8, 20.0 MiB to deploy",
        "2 distributions, 108 MiB for aarch64 (numpy 55.0 MiB, onnxruntime 53.0 MiB)",
        "8 of 3 306",
        "8 of 8 are the same",
        "8 of 8 within 1e-05",
        "agrees on 7 there, on 7 here",
        "mean of 2, one thread",
        "integer multiply (SMLAL) 1.00 M 66.7%",
        "8-bit dot product (SDOT) — —",
        "all 1.50 M 100.0%",
        "It is not latency",
        "✓ accepted",
        "every output is within 1e-05 of this machine's.",
        "the bundle was built for x86-cpu.",
    ):
        assert part in text, part


def test_no_time_of_the_model_is_shown() -> None:
    assert "latency" in shown(emulate_result())
    assert shown(emulate_result()).count("latency") == 1


def test_beside_an_earlier_one() -> None:
    text = flat(emulate_result(compared=compared()))
    assert "float multiply-add (FMLA) — — 2.00 M —" in text
    assert "loads 500 K 33.3% 1.00 M 0.5000" in text
    assert "earlier, fp32 on cortex-a72, onnxruntime 1.31.1" in text


def test_what_rounds_says_what_may_be() -> None:
    rounded = numerics(within=3, worst=0.02, rms=0.011, rms_allowed=0.1)
    text = flat(
        emulate_result(
            numerics=rounded, outcome=Outcome.REJECTED, reasons=("no",), onnxruntime_here=None
        )
    )
    assert "worst 0.02, root mean square 0.011 (may be 0.1)" in text
    assert "(none here)" in text
    assert "✗ rejected no." in text


def test_every_kind_has_words() -> None:
    assert set(WORDS) == set(InstructionKind)


@pytest.mark.parametrize("payload", payloads()[:40])
def test_hostile_names_are_text(payload: str) -> None:
    hostile = msgspec.structs.replace(
        emulate_result(), name=payload, bundle=payload, target_title=payload, reasons=(payload,)
    )
    text = shown(hostile)
    assert not any(ord(c) < 32 and c != "\n" for c in text)
