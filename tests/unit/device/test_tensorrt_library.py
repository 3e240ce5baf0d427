"""TensorRT is imported where the machine can use it; everywhere else is a paragraph."""

import sys
from collections.abc import Callable
from importlib import metadata
from types import ModuleType

import pytest

from deployopt.core.errors import DeviceError
from deployopt.device import tensorrt_library as module
from deployopt.device.session import import_runtime
from deployopt.device.tensorrt_library import import_tensorrt


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A machine with a driver for so new a CUDA, and no package of TensorRT's."""

    def there(cuda: int) -> None:
        monkeypatch.setattr(module, "driver_missing", lambda: None)
        monkeypatch.setattr(module, "driver_version", lambda: cuda)
        packages(monkeypatch, {})

    return there


def packages(monkeypatch: pytest.MonkeyPatch, found: dict[str, str]) -> None:
    def version(name: str) -> str:
        if name not in found:
            raise metadata.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr("importlib.metadata.version", version)


def fails_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_name: str) -> ModuleType:
        raise error

    monkeypatch.setattr("importlib.import_module", fail)


def test_without_a_driver_that_is_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "driver_missing", lambda: "there is no NVIDIA driver")
    with pytest.raises(DeviceError, match=r"TensorRT builds for the card.*no NVIDIA driver"):
        import_runtime("tensorrt")


@pytest.mark.parametrize(
    ("cuda", "package"), [(12080, "tensorrt-cu12"), (13010, "tensorrt-cu13"), (14000, "cu13")]
)
def test_a_package_that_is_missing_is_the_one_for_the_driver(
    driver: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, cuda: int, package: str
) -> None:
    driver(cuda)
    fails_with(monkeypatch, ModuleNotFoundError("No module named 'tensorrt'"))
    with pytest.raises(DeviceError, match=rf"not installed here.*pip install \S*{package}\. It"):
        import_tensorrt()


def test_libraries_that_do_not_load_are_named(
    driver: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(13000)
    fails_with(monkeypatch, OSError("libnvinfer.so.10: cannot open shared object file"))
    with pytest.raises(DeviceError, match=r"do not load: libnvinfer\.so\.10.*pip install"):
        import_tensorrt()


@pytest.mark.parametrize(
    ("cuda", "found", "words"),
    [
        (11080, {}, r"for CUDA 11\.8, and TensorRT needs one for CUDA 12\.0 or later\. Install su"),
        (
            12080,
            {"tensorrt": "10.14.1", "tensorrt-cu13": "10.14.1"},
            r"12\.8, and tensorrt-cu13 10\.14\.1 needs .* 13\.0 or later.*tensorrt-cu12 in its pl",
        ),
    ],
)
def test_a_driver_that_is_too_old(
    driver: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    cuda: int,
    found: dict[str, str],
    words: str,
) -> None:
    driver(cuda)
    packages(monkeypatch, found)
    with pytest.raises(DeviceError, match=words):
        import_tensorrt()


@pytest.mark.parametrize("found", [{}, {"tensorrt-cu12": "10.9.0"}])
def test_the_library_where_all_fits(
    driver: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, found: dict[str, str]
) -> None:
    driver(12080)
    packages(monkeypatch, found)
    library = ModuleType("tensorrt")
    monkeypatch.setitem(sys.modules, "tensorrt", library)
    assert import_tensorrt() is library


def test_a_driver_that_does_not_tell_its_version_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "driver_missing", lambda: None)
    monkeypatch.setattr(module, "driver_version", lambda: None)
    fails_with(monkeypatch, ModuleNotFoundError("No module named 'tensorrt'"))
    with pytest.raises(DeviceError, match="pip install tensorrt-cu13"):
        import_tensorrt()
