"""Every shipped profile loads, is consistent and named as its file; a wrong one is explained."""

import random
import time
from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.versions import lowest, matches, opset_read_by
from deployopt.planning.targets import (
    load_target,
    read_target,
    target_names,
    targets_folder,
)

NAMES = target_names()
RPI4 = (targets_folder() / "rpi4.toml").read_text("utf-8")


def message_of(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_target(path)
    message = str(caught.value)
    assert message.startswith(str(path)[:40])
    assert message.isprintable()
    return message


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert old in RPI4
    path = tmp_path / "own.toml"
    path.write_text(RPI4.replace(old, new, 1), "utf-8")
    return path


def test_the_shipped_ones() -> None:
    assert set(NAMES) >= {
        "rpi4", "rpi4-2gb", "rpi4-8gb", "rpi5", "jetson-orin-nano", "x86-cpu", "rtx3060", "t4",
        "l4", "rtx4090", "a100", "a100x4", "h100",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_is_whole(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert {b.metric for b in target.limits} >= {
        "latency_p95",
        "accuracy_drop",
        "memory_peak",
        "artifact_size",
    }
    assert target.runtime.threads <= target.hardware.cores
    assert target.hardware.power is not None
    assert target.hardware.storage is not None
    start = lowest(target.runtime.versions)
    assert start is not None
    assert target.runtime.opset_max == opset_read_by(start)
    assert (target.hardware.price is None) is (name == "x86-cpu")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_says_where_figures_come_from(name: str) -> None:
    text = (targets_folder() / f"{name}.toml").read_text("utf-8")
    assert text.startswith("# ")
    assert text.count("#") >= 3


@pytest.mark.parametrize("name", [n for n in NAMES if load_target(n).match.arch == "aarch64"])
def test_boards_leave_out_the_runtime_that_dies(name: str) -> None:
    versions = load_target(name).runtime.versions
    assert not matches("1.21.0", versions)
    assert all(matches(v, versions) for v in ("1.20.1", "1.21.1", "1.22.0", "1.23.2", "1.31.1"))


def test_a_board_is_one_target_only() -> None:
    boards = [load_target(n) for n in ("rpi4-2gb", "rpi4", "rpi4-8gb", "rpi5", "jetson-orin-nano")]
    for gibibytes, owner in ((1.8, "rpi4-2gb"), (3.7, "rpi4"), (7.6, "rpi4-8gb")):
        found = [
            t.name
            for t in boards
            if t.match.accepts_board("Raspberry Pi 4 Model B Rev 1.4")
            and t.match.accepts_memory(gibibytes * 2**30)
        ]
        assert found == [owner]


def test_the_names_are_sorted() -> None:
    assert list(NAMES) == sorted(NAMES)
    assert {"rpi4", "x86-cpu", "h100"} <= set(NAMES)


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        load_target("rpi-4")
    assert "Did you mean 'rpi4'?" in str(caught.value)
    assert "`deployopt targets` lists them" in str(caught.value)


@pytest.mark.parametrize("name", ["", "zzzzzz", "RPI4", "a\x1b[31mb", "x" * 100_000, "\udcff"])
def test_a_strange_name_is_a_line(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_target(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_path_works_wherever_a_name_does(tmp_path: Path) -> None:
    path = changed(tmp_path, 'name = "rpi4"', 'name = "own"')
    assert load_target(str(path)).name == "own"


@pytest.mark.parametrize("path", ["./none.toml", "none.toml", "a\x00/b", "a/" + "b" * 5000])
def test_a_file_that_is_not_there(path: str) -> None:
    with pytest.raises(UsageError, match="target file"):
        load_target(path)


def test_what_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a file"):
        load_target(f"{tmp_path}/")
    with pytest.raises(UsageError, match="is not a file"):
        load_target("/dev/zero")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (
            "[hardware.peak]\n",
            "[hardware.peak]\nint4 = '1 TOP/s'\n",
            "unknown key 'hardware.peak.int4'; did you mean 'int8'?",
        ),
        ("threads = 4", "thread = 4", "unknown key 'runtime.thread'; did you mean 'threads'?"),
        ('memory = "4 GiB"', 'memory = "4 GHz"', "hardware.memory: '4 GHz' has the unit 'GHz'"),
        ('memory = "4 GiB"', "memory = 4", "hardware.memory: expected text with a unit"),
        ("cores = 4", 'cores = "four"', "hardware.cores: expected a whole number, got text"),
        ("cores = 4", "cores = 0", "hardware.cores: expected a whole number >= 1"),
        ('bandwidth = "5.5 GB/s"', "", "hardware.bandwidth is missing"),
        (
            'latency_p95 = "250 ms"',
            'latency_p96 = "250 ms"',
            "budgets.latency_p96: 'latency_p96' is not a metric. Did you",
        ),
        (
            'latency_p95 = "250 ms"',
            'latency_p95 = "250 MB"',
            "The budget latency_p95 is wrong: '250 MB' has the unit 'MB'",
        ),
        (
            'latency_p95 = "250 ms"',
            "latency_p95 = 250",
            "budgets.latency_p95: expected text in quotes",
        ),
        (">=1.20.1,!=1.21.0,<2", "1.20 or so", "runtime: versions: '1.20 or so' is not a bound"),
        ("opset_max = 21", "opset_max = 22", "runtime: opset_max is 22, but onnxruntime 1.20.1"),
        (
            'memory_usable = "3.5 GiB"',
            'memory_usable = "5 GiB"',
            "hardware: memory_usable (5.00 GiB) is more than memory (4.00 GiB)",
        ),
        ('name = "rpi4"', 'name = "RPi 4"', "name: expected a name of at most 64 small letters"),
        ('provider = "cpu"', 'provider = "gpu"', "runtime.provider: 'gpu' is none of cpu, cuda"),
        (
            'provider = "cpu"',
            'provider = "cuda"',
            "runtime.provider is cuda, but hardware.gpu is missing",
        ),
        (
            'arch = "aarch64"\nboard',
            'arch = "x86_64"\nboard',
            "match.arch (x86_64) and hardware.arch (aarch64) differ",
        ),
        ('fp32 = "57.6 GFLOP/s"', 'fp32 = "0 GFLOP/s"', "hardware.peak: fp32 must be above zero"),
        (
            'as_of = "2019-06"',
            'as_of = "last June"',
            "hardware.price.as_of: expected a day, month or year",
        ),
        ('title = "', 'title = "\\u202E', "title: the text holds the hidden character U+202E"),
        ('title = "', 'title = "\\u0000', "title: the text holds the hidden character U+0000"),
        ('title = "', 'title = "\x00', "not valid TOML"),
        ("[match]", "[match", "not valid TOML"),
        ('name = "rpi4"', 'name = "rpi4"\nname = "rpi4"', "not valid TOML"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, old: str, new: str, part: str) -> None:
    assert part in message_of(changed(tmp_path, old, new))


@pytest.mark.parametrize(
    "text",
    [
        "#" * 10 * 2**20,
        "a = " + "[" * 100_000 + "]" * 100_000,
        ".".join(["a"] * 50_000) + " = 1",
        "[" + ".".join(["a"] * 50_000) + "]",
        "a = " + "{a=" * 50_000,
        "a = " + "9" * 200_000,
        "a = '" + "x" * 250_000 + "'",
        "[budgets]\n" + "\n".join(f"k{i} = 1" for i in range(20_000)),
        "a = [" + "1," * 120_000 + "]",
        "\n".join(f"[a.b.c.d{i}]" for i in range(15_000)),
    ],
    ids=[
        "10 MB",
        "arrays",
        "dotted",
        "header",
        "inline",
        "digits",
        "long",
        "many",
        "list",
        "tables",
    ],
)
def test_a_hostile_file_is_refused_soon(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, "utf-8")
    start = time.process_time()
    message = message_of(path)
    assert time.process_time() - start < 2.0
    assert len(message) <= 600


def test_a_shipped_file_under_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pi.toml").write_text(RPI4, "utf-8")
    monkeypatch.setattr("deployopt.planning.targets.targets_folder", lambda: tmp_path)
    with pytest.raises(UsageError, match="named as its file is"):
        load_target("pi")


def test_mutants_give_one_line_or_a_target(tmp_path: Path) -> None:
    """1 000 files with bytes and lines changed: never a traceback, never a wait."""
    source = random.Random(20240801)  # noqa: S311 -- a repeatable test
    path = tmp_path / "own.toml"
    messages = []
    for _ in range(1000):
        path.write_bytes(mutated(RPI4.encode(), source))
        start = time.process_time()
        try:
            read_target(path)
        except UsageError as error:
            messages.append(str(error))
        assert time.process_time() - start < 1.0
    assert len(messages) > 300
    assert all(message.isprintable() and len(message) < 600 for message in messages)
    assert all(message.startswith(str(path)) for message in messages)


def mutated(data: bytes, source: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    for _ in range(source.randint(1, 4)):
        index = source.randrange(len(lines))
        line = bytearray(lines[index])
        choice = source.randrange(6)
        if choice == 0:
            line[source.randrange(len(line))] = source.randrange(256)
        elif choice == 1:
            del line[source.randrange(len(line))]
        elif choice == 2:
            line[:0] = source.choice(lines)
        elif choice == 3:
            line = bytearray()
        elif choice == 4:
            where = source.randrange(len(line))
            line[where:where] = source.choice(
                [b"[", b"'", b'"', b"\x00", b"9" * 5000, "\u202e".encode(), b"\xff", b"[a.b]\n"]
            )
        else:
            line = bytearray(line.replace(b"4", source.choice([b"0", b"-4", b"1e309", b"nan"])))
        lines[index] = bytes(line) or b"\n"
    return b"".join(lines)
