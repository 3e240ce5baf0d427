"""deployopt's own code as it goes to a device."""

import io
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from deployopt.core.errors import UnreachableError
from deployopt.core.version import VERSION
from deployopt.remote.furnishing import unpack_code
from deployopt.remote.packing import Code, small_install


def test_the_small_install_is_what_the_device_path_imports() -> None:
    found = small_install()
    names = [text.split("<")[0].split(">")[0] for text in found]
    assert list(dict.fromkeys(names)) == ["msgspec", "numpy", "onnxruntime", "psutil", "tokenizers"]


def test_lines_of_one_name_for_several_pythons_all_go(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=1; python_version < '3.13'", "numpy>=2; python_version >= '3.13'"]
    others = ["msgspec", "onnxruntime", "psutil", "tokenizers", "torch; extra == 'build'"]
    monkeypatch.setattr(metadata, "requires", lambda _: [*others, *lines])
    assert small_install() == ("msgspec", *lines, "onnxruntime", "psutil", "tokenizers")


def test_without_an_installed_package_nobody_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: None)
    with pytest.raises(UnreachableError, match="is not installed here as a package"):
        small_install()


def test_any_other_byte_is_another_digest(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "data.bin").write_text("not code")
    first = Code(tmp_path)
    assert Code(tmp_path).digest == first.digest
    assert Code(tmp_path).packed() == first.packed()
    (tmp_path / "a.py").write_text("a = 2\n")
    assert Code(tmp_path).digest != first.digest
    names = zipfile.ZipFile(io.BytesIO(first.packed())).namelist()
    assert names == ["deployopt/a.py", f"deployopt-{VERSION}.dist-info/METADATA"]


def test_the_code_runs_where_it_is_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    archive.write_bytes(Code().packed())
    unpack_code(archive, tmp_path / "code")
    script = (
        "import deployopt.device.serving, deployopt.core, importlib.metadata as m;"
        "print(deployopt.core.__file__, m.version('deployopt'))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={"PYTHONPATH": str(tmp_path / "code")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(tmp_path / "code/deployopt/core/__init__.py"), VERSION]
