"""A recipe whose groups divide the model's matrices."""

import pytest

from deployopt.catalogue.models import find_entry
from deployopt.pipeline.exporting.quantizing import RECIPE, SCRIPT, recipe_files
from deployopt.planning.entries import architecture_of


@pytest.mark.parametrize(
    ("alias", "groups"),
    [
        ("qwen2.5-7b", "strategy: group, group_size: 128"),
        ("smollm2-135m", "strategy: group, group_size: 64"),
    ],
)
def test_groups_divide_every_width(alias: str, groups: str) -> None:
    found = recipe_files("./model", None, architecture_of(find_entry(alias)))
    assert groups in found[RECIPE]
    assert "{" not in found[SCRIPT].replace('{name: row[name] for name in ("input_ids", '
        '"attention_mask")}', "")  # fmt: skip


def test_a_revision_is_told() -> None:
    found = recipe_files("org/name", "abc", architecture_of(find_entry("qwen2.5-7b")))
    assert "'org/name', 'abc'" in found[SCRIPT]
    compile(found[SCRIPT], SCRIPT, "exec")
