"""The file is strict, and names its own faults."""

import pytest

from deployopt.core.codec import decode_toml
from deployopt.core.errors import UsageError
from deployopt.core.matrix_file import MatrixFile, check_names

TEXT = """
output = "out"
except = [["a", "pi", "tight"]]
[budgets]
latency_p95 = "60 ms"
[[model]]
name = "a"
model = "./a.onnx"
[[target]]
name = "pi"
target = "rpi4"
[[variant]]
name = "tight"
budgets = { latency_p95 = "20 ms" }
[[variant]]
name = "wide"
"""


def read(text: str) -> MatrixFile:
    file = decode_toml(text.encode(), MatrixFile, where="m.toml")
    check_names(file, "m.toml")
    return file


def test_a_file_is_read() -> None:
    file = read(TEXT)
    assert file.except_ == (("a", "pi", "tight"),)
    assert [variant.name for variant in file.variant] == ["tight", "wide"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT.replace("[[model]]", "[[models]]"), "m.toml: unknown key 'models'"),
        ("[[target]]\nname = 'a'", "there is no [[model]]"),
        ("[[model]]\nname = 'a'", "there is no [[target]]"),
        (TEXT + '[[model]]\nname = "a"\n', "two [[model]] are called 'a'"),
        (TEXT + '[[target]]\nname = "pi"\n', "two [[target]] are called 'pi'"),
        (TEXT + '[[variant]]\nname = "wide"\n', "two [[variant]] are called 'wide'"),
        (TEXT.replace('"tight"]', '"slow"]'), "no [[variant]] is called 'slow'"),
        (TEXT.replace('["a", "pi", "tight"]', '["a"]'), "is no [model, target] or [model"),
        (TEXT.replace('["a", "pi", "tight"]', '["b", "pi"]'), "no [[model]] is called 'b'"),
        (TEXT.replace('name = "a"', 'name = "../a"'), "model[0].name"),
        (TEXT.replace('name = "a"', 'name = ""'), "model[0].name"),
        (TEXT.replace('output = "out"', "output = 3"), "output"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError) as found:
        read(text)
    assert said in str(found.value)
    assert "\n" not in str(found.value)


def test_a_file_without_variants_has_no_third_name() -> None:
    text = '[[model]]\nname="a"\n[[target]]\nname="b"\n'
    with pytest.raises(UsageError, match=r"is no \[model, target\]\."):
        read('except = [["a", "b", "c"]]\n' + text)
