"""Whether a device will do."""

import msgspec
import pytest

from deployopt.core.errors import UnreachableError, UsageError
from deployopt.remote.facts import Facts, check_arch, check_space, check_system, clock_words

PI = Facts(
    python="3.11.2",
    arch="aarch64",
    bits=64,
    system="linux",
    libc="glibc",
    libc_version="2.36",
    memory_bytes=2**32,
    disk_free_bytes=2**33,
    boot="b",
    clock_s=1.8e9,
    root="/home/pi/.cache/deployopt/device",
)


def test_a_pi_will_do() -> None:
    check_system("pi", PI)
    check_space("pi", PI)
    check_arch("pi", PI, "aarch64")
    check_arch("pi", PI, None)
    assert PI.glibc == (2, 36)
    assert msgspec.structs.replace(PI, arch="arm64").cpu_arch == "aarch64"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"system": "darwin"}, "runs darwin; deployopt needs Linux"),
        ({"arch": "armv7l"}, "is armv7l; onnxruntime has no build"),
        ({"bits": 32}, "32-bit Python on aarch64.*64-bit edition"),
        ({"libc": "", "libc_version": ""}, "the C library another"),
        ({"libc_version": "2.24"}, "glibc 2.24"),
        ({"libc_version": "x.y"}, "glibc x.y"),
    ],
)
def test_others_will_not(wrong: dict[str, object], words: str) -> None:
    facts = msgspec.convert(msgspec.to_builtins(PI) | wrong, Facts)
    with pytest.raises(UnreachableError, match=words):
        check_system("pi", facts)


def test_another_architecture_than_the_target() -> None:
    with pytest.raises(UsageError, match="pi is aarch64, and the target is x86_64"):
        check_arch("pi", PI, "x86_64")


def test_too_little_space() -> None:
    with pytest.raises(UnreachableError, match=r"has 100 MiB free at .*needs 400 MiB"):
        check_space("pi", msgspec.structs.replace(PI, disk_free_bytes=100 * 2**20))


def test_a_clock_that_is_off_is_only_said() -> None:
    assert clock_words(PI, PI.clock_s + 3600) is None
    assert clock_words(PI, PI.clock_s - 3600) is None
    words = clock_words(msgspec.structs.replace(PI, clock_s=0.0), 86400.0 * 20000)
    assert words is not None
    assert "20000 days off" in words
