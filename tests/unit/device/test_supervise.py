"""Children that misbehave, for real."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.device.protocol import Evaluated, EvaluateRequest, Working
from deployopt.device.setup import EvaluationSet, Limits, Setup
from deployopt.device.supervise import ask, child_environment
from tests.fakes.children import SPEAK

LIMITS = Limits(wall_s=20, quiet_s=10)


@pytest.fixture
def request_(text_setup: Setup, text_data: EvaluationSet, tmp_path: Path) -> EvaluateRequest:
    return EvaluateRequest(setup=text_setup, data=text_data, result=tmp_path / "out.npz")


def _ask(request: EvaluateRequest, code: str, limits: Limits = LIMITS) -> object:
    command = [sys.executable, "-c", SPEAK + textwrap.dedent(code)]
    return ask(request, limits, command=command)


def test_an_answer_comes_back_after_signs_of_life(request_: EvaluateRequest) -> None:
    heard: list[Working] = []
    command = [sys.executable, "-c", SPEAK + "say(type='working', share=0.5, what='x')\ndone()"]
    reply = ask(request_, LIMITS, heard.append, command)
    assert isinstance(reply, Evaluated)
    assert [sign.share for sign in heard] == [0.5]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGILL)", "processor lacks"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "out of memory"),
        ("sys.exit(7)", "exit code 7"),
        ("print('what went wrong', file=sys.stderr); sys.exit(1)", "what went wrong"),
        ("channel.sendall(b'\\xff\\xff\\xff\\xff')", "announced"),
        ("channel.sendall(struct.pack('>I', 4) + b'nope')", "nonsense"),
        ("say(type='other')", "nonsense"),
        ("say(type='failed', message='no luck')", "no luck"),
        ("channel.close(); time.sleep(60)", "closed its channel"),
    ],
)
def test_what_happened_is_said(request_: EvaluateRequest, code: str, says: str) -> None:
    with pytest.raises(DeviceError, match=says):
        _ask(request_, code)


def test_a_death_is_noticed_though_others_hold_the_channel_open(request_: EvaluateRequest) -> None:
    code = """
    if os.fork() == 0:
        time.sleep(60)
    os.write(1, b'before the end')
    os.kill(os.getpid(), signal.SIGSEGV)
    """
    start = time.monotonic()
    with pytest.raises(DeviceError, match=r"SIGSEGV.*before the end"):
        _ask(request_, code)
    assert time.monotonic() - start < 8  # and not after the 10 s without a sign of life


def test_last_words_cannot_repaint_a_terminal(request_: EvaluateRequest) -> None:
    with pytest.raises(DeviceError, match="gone") as caught:
        _ask(request_, "print('\\x1b[2Jgone', file=sys.stderr); sys.exit(1)")
    assert str(caught.value).isprintable()


def test_a_fault_of_the_files_keeps_its_kind(request_: EvaluateRequest) -> None:
    with pytest.raises(IntegrityError, match="bytes"):
        _ask(request_, "say(type='failed', message='wrong bytes', kind='integrity')")


def test_a_child_that_hangs_is_stopped(request_: EvaluateRequest) -> None:
    start = time.monotonic()
    with pytest.raises(DeviceError, match=r"no sign of life for 0\.5 s"):
        _ask(request_, "time.sleep(60)", Limits(wall_s=20, quiet_s=0.5))
    assert time.monotonic() - start < 5


def test_a_parent_that_was_stopped_for_long_accuses_no_child(
    request_: EvaluateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-Z, or a machine that slept: what the child has said meanwhile is read first."""
    real = time.monotonic
    late = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + late[0])
    code = """
    say(type='working', share=0, what='')
    time.sleep(0.5)
    done()
    """

    def stopped(_: Working) -> None:
        time.sleep(1.0)  # the child answers meanwhile
        late[0] += 100.0

    command = [sys.executable, "-c", SPEAK + textwrap.dedent(code)]
    assert isinstance(ask(request_, Limits(quiet_s=10), stopped, command), Evaluated)


def test_a_child_that_ignores_the_polite_signal_is_killed(request_: EvaluateRequest) -> None:
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"
    with pytest.raises(DeviceError, match="no sign of life"):
        _ask(request_, code, Limits(wall_s=20, quiet_s=0.5))


def test_signs_of_life_do_not_stretch_the_whole_time(request_: EvaluateRequest) -> None:
    code = """
    while True:
        say(type='working', share=0, what='')
        time.sleep(0.05)
    """
    with pytest.raises(DeviceError, match="stopped after 1 s"):
        _ask(request_, code, Limits(wall_s=1, quiet_s=10))


def test_a_child_that_eats_memory_is_stopped(request_: EvaluateRequest) -> None:
    code = """
    eaten = []
    while True:
        eaten.append(bytearray(b'x' * 2**22))
        time.sleep(0.01)
    """
    limits = Limits(wall_s=20, quiet_s=20, memory_bytes=150 * 2**20)
    with pytest.raises(DeviceError, match="more than the 150 MiB"):
        _ask(request_, code, limits)


@pytest.mark.parametrize(("provider", "said"), [("cpu", "no"), ("cuda", "all")])
def test_addresses_that_a_cards_driver_reserves_are_no_memory(
    request_: EvaluateRequest, provider: str, said: str
) -> None:
    asked = msgspec.structs.replace(
        request_, setup=msgspec.structs.replace(request_.setup, provider=provider)
    )
    code = """
        import mmap
        try:
            mmap.mmap(-1, 2**40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
        except (OSError, MemoryError):
            say(type='failed', message='no addresses')
        else:
            say(type='failed', message='all addresses')
    """
    limits = Limits(memory_bytes=2**28, address_headroom_bytes=2**28, quiet_s=10)
    with pytest.raises(DeviceError, match=f"{said} addresses"):
        _ask(asked, code, limits)


def test_address_space_is_bounded_by_the_kernel(request_: EvaluateRequest) -> None:
    code = """
    try:
        bytearray(2**30)
    except MemoryError:
        say(type='failed', message='the kernel said no')
    done()
    """
    limits = Limits(memory_bytes=2**28, address_headroom_bytes=2**28, quiet_s=10)
    with pytest.raises(DeviceError, match="the kernel said no"):
        _ask(request_, code, limits)


def test_processor_time_is_bounded(request_: EvaluateRequest) -> None:
    with pytest.raises(DeviceError, match="processor time"):
        _ask(request_, "while True: pass", Limits(wall_s=30, quiet_s=30, cpu_s=1))


def test_a_flood_on_stdout_is_stopped_and_does_not_block(request_: EvaluateRequest) -> None:
    code = "while True: os.write(1, b'x' * 65536)"
    with pytest.raises(DeviceError, match="printed more than 1 MiB"):
        _ask(request_, code, Limits(wall_s=20, quiet_s=10, output_bytes=2**20))


def test_chatter_does_not_hurt(request_: EvaluateRequest) -> None:
    assert isinstance(_ask(request_, "os.write(1, b'x' * 300_000)\ndone()"), Evaluated)


def _gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("leave", "end"),
    [
        ("", "time.sleep(60)"),
        ("", "done(); time.sleep(60)"),
        ("", "os.kill(os.getpid(), signal.SIGKILL)"),
        ("os.setsid()", "time.sleep(60)"),
        ("os.setsid()", "done(); time.sleep(60)"),
        ("os.setsid()", "os.kill(os.getpid(), signal.SIGKILL)"),
        ("os.setsid()\n        if os.fork(): os._exit(0)", "time.sleep(60)"),
        ("os.setsid()\n        if os.fork(): os._exit(0)", "done(); time.sleep(60)"),
    ],
)
def test_what_a_child_started_is_gone_with_it(
    request_: EvaluateRequest, tmp_path: Path, leave: str, end: str
) -> None:
    note = tmp_path / "pid"
    code = f"""
    if os.fork() == 0:
        {leave or "pass"}
        open({str(note)!r}, 'w').write(str(os.getpid()))
        time.sleep(60)
    while not os.path.exists({str(note)!r}) or not open({str(note)!r}).read(): time.sleep(0.01)
    {end}
    """
    if "done" in end:
        _ask(request_, code)
    else:
        with pytest.raises(DeviceError):
            _ask(request_, code, Limits(quiet_s=1.0))
    deadline = time.monotonic() + 5
    while not _gone(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _gone(int(note.read_text()))


PARENT = """
import sys
from pathlib import Path
from deployopt.device.setup import Limits
from deployopt.device.supervise import ask
from deployopt.device.protocol import decode_request
request = decode_request(Path(sys.argv[1]).read_bytes())
ask(request, Limits(), command=[sys.executable, "-c", sys.argv[2]])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_orphan_is_left_when_the_parent_is_stopped(
    request_: EvaluateRequest, tmp_path: Path, number: signal.Signals
) -> None:
    asked, note = tmp_path / "request.json", tmp_path / "pid"
    asked.write_bytes(msgspec.json.encode(request_, enc_hook=str))
    code = f"""
import sys
sys.argv = ["child", sys.argv[1], sys.argv[2]]
from deployopt.confinement.parent import die_with
die_with(int(sys.argv[2]))
import os, time
open({str(note)!r}, "w").write(str(os.getpid()))
time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(asked), code], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    child = int(note.read_text())
    assert not _gone(child)
    parent.send_signal(number)
    parent.wait(timeout=10)
    deadline = time.monotonic() + 5
    while not _gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _gone(child)


@pytest.mark.parametrize("provider", ["tensorrt", "tensorrt-plan"])
def test_tensorrt_may_build_for_long_before_its_first_word(
    request_: EvaluateRequest, provider: str
) -> None:
    setup = msgspec.structs.replace(request_.setup, provider=provider)
    building = msgspec.structs.replace(request_, setup=setup)
    limits = Limits(wall_s=20, quiet_s=0.2)
    assert isinstance(_ask(building, "time.sleep(1.5)\ndone()", limits), Evaluated)
    code = "say(type='working', share=0.1, what='open')\ntime.sleep(60)"
    with pytest.raises(DeviceError, match=r"no sign of life for 0\.2 s"):
        _ask(building, code, limits)
    with pytest.raises(DeviceError, match=r"no sign of life for 0\.2 s"):
        _ask(request_, "time.sleep(60)", limits)


def test_only_a_few_variables_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PYTHONPATH", "relative")
    # Which card is meant by a number is a matter of both.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    environment = child_environment()
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert "SECRET_TOKEN" not in environment
    assert "HOME" not in environment
    assert environment["PYTHONPATH"] == str(Path("relative").absolute())
    assert environment["OMP_NUM_THREADS"] == "1"


def test_the_parent_waits_in_the_kernel(request_: EvaluateRequest) -> None:
    before = os.times()
    with pytest.raises(DeviceError):
        _ask(request_, "time.sleep(60)", Limits(quiet_s=2.0))
    after = os.times()
    assert (after.user - before.user) + (after.system - before.system) < 0.3
