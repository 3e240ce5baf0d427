"""Names become cells with keys; what is wrong is one paragraph, and nothing was started."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.matrix import CellRequest
from deployopt.core.measurement import Machine
from deployopt.pipeline.matrix.cell import build_request
from deployopt.pipeline.matrix.planning import Places, plan_cells
from deployopt.pipeline.matrix.run import read_matrix

Changes = tuple[str, str]


def planned(
    folder: Path, places: Places, machine: Machine, *changes: Changes
) -> dict[str, CellRequest]:
    text = (folder / "m.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "n.toml").write_text(text)
    cells = plan_cells(read_matrix(folder / "n.toml"), places, machine)
    return {cell.name.id: cell for cell in cells}


def test_every_model_for_every_target(folder: Path, places: Places, machine: Machine) -> None:
    cells = planned(folder, places, machine)
    assert list(cells) == ["a-here", "a-rpi4", "demo-sentiment-here", "demo-sentiment-rpi4"]
    first = cells["a-here"]
    assert first.model == f"{folder}/a"
    assert first.data == f"{folder}/a.csv"
    assert Path(first.output) == folder / "out" / "a-here"
    assert {b.metric: b.limit for b in first.budgets} == {
        "artifact_size": 9 * 2**20, "latency_p95": 0.06,
    }  # fmt: skip
    assert [b.metric for b in cells["a-rpi4"].budgets] == ["artifact_size"]
    assert cells["demo-sentiment-rpi4"].model == "demo-sentiment"
    assert len({cell.key for cell in cells.values()}) == 4
    assert not (folder / "out").exists()
    assert not (folder / "store").exists()


def test_variants_and_exceptions(folder: Path, places: Places, machine: Machine) -> None:
    tight = '[[variant]]\nname = "tight"\nbudgets = { artifact_size = "1 MiB" }\n'
    more = tight + '[[variant]]\nname = "wide"\n'
    left = 'except = [["a", "rpi4"], ["demo-sentiment", "here", "wide"]]\noutput'
    cells = planned(folder, places, machine, ("output", left), ("[[target]]", more + "[[target]]"))
    assert list(cells) == [
        "a-here-tight", "a-here-wide", "demo-sentiment-here-tight", "demo-sentiment-rpi4-tight",
        "demo-sentiment-rpi4-wide",
    ]  # fmt: skip
    limits = {b.metric: b.limit for b in cells["a-here-tight"].budgets}
    assert limits["artifact_size"] == 2**20


def test_an_image_text_model_has_its_labels_in_a_file(
    folder: Path, places: Places, machine: Machine
) -> None:
    (folder / "labels.txt").write_text("a cat\na dog\n")
    change = ('"./a.csv"', '"./a.csv"\nlabels = "./labels.txt"')
    cell = planned(folder, places, machine, change)["a-here"]
    assert cell.labels == f"{folder}/labels.txt"
    assert build_request(cell).labels == folder / "labels.txt"
    before = cell.key
    (folder / "labels.txt").write_text("a cat\na cow\n")
    assert key(folder, places, machine, change) != before
    (folder / "labels.txt").write_text("a cat\n")
    with pytest.raises(UsageError, match=r"model a:.*has 1 label"):
        planned(folder, places, machine, change)


TIGHT = '[[variant]]\nname = "tight"\nbudgets = { latency_p95 = "20 ms" }\n[[target]]'
PAIRS = [[model, target] for model in ("a", "demo-sentiment") for target in ("here", "rpi4")]
ALL = f"except = {PAIRS}\noutput"
ARM = 'device = "ssh://pi@board:22"\n'


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([('name = "rpi4"', 'name = "rpi44"')], "target rpi44: There is no target 'rpi44'. Did"),
        ([('"demo-sentiment"', '"demo-sentimint"')], "model demo-sentimint: "),
        ([('"./a"', '"./b"')], "model a: There is no file or folder"),
        ([("./a.csv", "./b.csv")], "model a: There is no data './b.csv'"),
        ([('"./here.toml"', '"./there.toml"')], "target here: The target file"),
        ([('"60 ms"', '"60 MiB"')], "target here: budgets: The budget latency_p95"),
        ([("artifact_size", "artefact_size")], "m.toml: budgets: "),
        ([("[[target]]", TIGHT)], ("a-here-tight contradict each other: latency_p95 is 60.0 ms "
         "for target here and 20.0 ms for variant tight")),
        ([('name = "here"\n', f'name = "here"\n{ARM}'), ('"rpi4"', f'"rpi4"\n{ARM}')],
         ("the device ssh://pi@board:22 is claimed twice: for here, which is x86_64, and for rpi4, "
         "which is aarch64")),
        ([('name = "here"', 'name = "here"\ndevice = "board"')], "is not the address of a device"),
        ([('"demo-sentiment"', '"a-here"\nmodel = "./a"'), ('name = "rpi4"',
         'name = "here-here"\ntarget = "rpi4"')], "two cells would write a-here-here"),
        ([('"rpi4"', '"here.rejected"\ntarget = "rpi4"')], "would write a-here.rejected"),
        ([("output", ALL)], "except leaves no cell"),
        ([('"./a"', '"hub:../x"')], "is not a name on the hub"),
        ([("./a.csv", f"./{'b' * 300}")], "model a: "),
        ([("./a.csv", "~nobody-here/a.csv")], "model a: ~nobody-here/a.csv: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    folder: Path, places: Places, machine: Machine, changes: list[Changes], said: str
) -> None:
    with pytest.raises(UsageError) as found:
        planned(folder, places, machine, *changes)
    assert said in str(found.value)
    assert "\n" not in str(found.value)
    assert not (folder / "out").exists()


def test_one_device_may_serve_two_targets_of_one_architecture(
    folder: Path, places: Places, machine: Machine
) -> None:
    more = 'name = "pi"\ntarget = "rpi5"\ndevice = "ssh://pi@board"\n[[target]]\nname = "rpi4"\n'
    cells = planned(folder, places, machine, ('name = "rpi4"', more + 'device = "ssh://pi@board/"'))
    assert cells["a-pi"].device == cells["a-rpi4"].device == "ssh://pi@board"


def key(folder: Path, places: Places, machine: Machine, *changes: Changes) -> str:
    return planned(folder, places, machine, *changes)["a-here"].key


def test_a_key_is_of_all_that_decides_and_of_nothing_else(
    folder: Path, places: Places, machine: Machine
) -> None:
    first = key(folder, places, machine)
    assert first == key(folder, places, machine)
    elsewhere = msgspec.structs.replace(places, output=folder / "x", store=folder / "y")
    assert first == key(folder, elsewhere, machine)
    others = [
        key(folder, places, machine, ('"9 MiB"', '"8 MiB"')),
        key(folder, places, machine, ("output", "seed = 1\noutput")),
        key(folder, places, machine, ("output", "accept_predicted = true\noutput")),
        key(folder, places, machine, ("output", 'effort = "default"\noutput')),
        key(folder, places, machine, ('"./a.csv"', '"./a.csv"\ncolumns = { text = "x" }')),
        key(folder, places, machine, ('name = "here"', 'name = "here"\ndevice = "ssh://x"')),
        key(folder, msgspec.structs.replace(places, time_limit_s=9.0), machine),
        key(folder, places, msgspec.structs.replace(machine, cores=7)),
    ]
    (folder / "a" / "model.safetensors").write_bytes(b"1" * 1000)
    others.append(key(folder, places, machine))
    (folder / "a.csv").write_text("text,label\nx,y\n")
    others.append(key(folder, places, machine))
    (folder / "here.toml").write_text((folder / "here.toml").read_text().replace("like", "as"))
    others.append(key(folder, places, machine))
    assert len({first, *others}) == len(others) + 1
