"""`deployopt build --train-data` end to end: shapes timed, taught, judged, gone on with."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from deployopt.store.verifying import verify_bundle
from tests.fakes import hurried, models
from tests.functional.conftest import ROOT, Done, Invoke, check_schema, child_environment

pytestmark = [pytest.mark.torch, pytest.mark.slow]
SETTLED = {0, 3}
"""Accepted, or undecided for want of rounds that count: five short ones, beside other tests."""


@pytest.fixture(scope="module")
def model(shelf: Path) -> Path:
    return models.train_text_model(shelf / "searched-model", layers=3, steps=50)


@pytest.fixture(scope="module")
def reviews(shelf: Path) -> Path:
    """Texts to learn from; some of them stand in the evaluation data too."""
    known = models.labelled_texts()[:40]
    rows = [(text, models.LABELS[label]) for text, label in models.labelled_texts(500, seed=7)]
    return models.write_csv(
        shelf / "reviews.csv", [*rows, *((text, models.LABELS[label]) for text, label in known)]
    )


def words(model: Path, texts: Path, here: Path, folder: Path, *more: object) -> list[object]:
    return [
        "build", "-t", here, "-m", model, "-d", texts, "-o", folder / "out", "--store",
        folder / "store", "-b", "accuracy_drop=6pt", "--json", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("searched")


@pytest.fixture(scope="module")
def done(invoke: Invoke, model: Path, texts: Path, reviews: Path, here: Path, folder: Path) -> Done:
    return invoke(*words(model, texts, here, folder, "--train-data", reviews))


def log_of(folder: Path) -> Path:
    (found,) = folder.glob("out.search-*.jsonl")
    return found


def test_shapes_are_timed_then_taught_then_judged(done: Done, folder: Path) -> None:
    found = done.json
    check_schema("build-result", found)
    assert done.code == found["exit_code"], done.err
    assert done.code in SETTLED
    search = found["search"]
    assert search["effort"] == "default"
    assert search["train_data"] == "reviews.csv"
    assert 300 < search["train_examples"] < 500
    assert any("left out" in note for note in search["notes"])
    # Fewer neurons leave products that are too small for int8 to gain anything.
    assert [len(s["profile"].get("layers", ())) for s in search["shapes"]] == [2, 1]
    rungs = [one["rung"] for one in search["trainings"]]
    counts = [rungs.count(r) for r in range(3)]
    # How far each climbs follows from what it loses; no rung has more than the one before.
    assert 1 <= counts[0] <= len(search["shapes"])
    assert counts == sorted(counts, reverse=True)
    assert all(one["failure"] is None and one["loss"] for one in search["trainings"])
    assert sum(one["promoted"] for one in search["trainings"]) == sum(counts[1:])
    assert search["layers"]
    assert search["layers"] == sorted(search["layers"], key=lambda one: -one["error"])
    assert set(search["front"]) <= {one["recipe"] for one in found["candidates"]}
    assert len(found["candidates"]) > 2
    verify_bundle(Path(found["bundle"]))
    kinds = [json.loads(line)["type"] for line in log_of(folder).read_bytes().splitlines()]
    assert kinds[0] == "search"
    assert kinds.count("layers") == kinds.count("form") == 1
    assert kinds.count("shape") >= len(search["shapes"])  # what was noise is timed again
    assert kinds.count("training") == len(search["trainings"])


def test_a_taught_shape_is_smaller_than_the_whole(done: Done) -> None:
    size = {one["recipe"]: one["size"]["value"] for one in done.json["candidates"]}
    taught = {one["recipe"] for one in done.json["search"]["trainings"]} & size.keys()
    assert taught
    assert all(size[name] < size["int8"] for name in taught)


def test_the_same_call_teaches_nothing_again(
    invoke: Invoke,
    done: Done,
    model: Path,
    texts: Path,
    reviews: Path,
    here: Path,
    folder: Path,
) -> None:
    before = log_of(folder).read_bytes()
    again = invoke(*words(model, texts, here, folder, "--train-data", reviews))
    assert again.code in SETTLED
    assert log_of(folder).read_bytes() == before
    assert again.json["search"]["resumed"] is True
    assert again.json["search"]["trainings"] == done.json["search"]["trainings"]
    steps = [s for one in again.json["candidates"] for s in one["steps"]]
    assert steps
    assert all(step["reused"] for step in steps)


def test_the_log_alone_is_enough(
    invoke: Invoke,
    done: Done,
    model: Path,
    texts: Path,
    reviews: Path,
    here: Path,
    folder: Path,
    tmp_path: Path,
) -> None:
    """In an empty store only what ships is made again, by the recipes of the log."""
    place = tmp_path / log_of(folder).name
    place.write_bytes(log_of(folder).read_bytes())
    again = invoke(*words(model, texts, here, tmp_path, "--train-data", reviews))
    assert again.code in SETTLED, again.err
    assert place.read_bytes() == log_of(folder).read_bytes()
    made = {one["recipe"]: one["artifact"] for one in again.json["candidates"]}
    assert made == {one["recipe"]: one["artifact"] for one in done.json["candidates"]}


def test_a_killed_search_goes_on(
    invoke: Invoke, done: Done, model: Path, texts: Path, reviews: Path, here: Path, tmp_path: Path
) -> None:
    arguments = [str(w) for w in words(model, texts, here, tmp_path, "--train-data", reviews)]
    child = subprocess.Popen(
        [*hurried.COMMAND, *arguments],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and child.poll() is None:
        lines = [p.read_bytes() for p in tmp_path.glob("out.search-*.jsonl")]
        if lines and b'"training"' in lines[0]:
            break
        time.sleep(0.1)
    child.kill()
    child.wait()
    before = log_of(tmp_path).read_bytes()
    assert before.count(b"\n") >= 1
    again = invoke(*arguments)
    assert again.code in SETTLED, again.err
    assert log_of(tmp_path).read_bytes().startswith(before.rpartition(b"\n")[0])
    shapes = [s["profile"] for s in again.json["search"]["shapes"]]
    assert shapes == [s["profile"] for s in done.json["search"]["shapes"]]
    taught = again.json["search"]["trainings"]
    assert len(taught) >= before.count(b'"type":"training"')
    assert {one["rung"] for one in taught} >= {0}


def test_a_time_limit_too_short_to_teach_says_so(
    invoke: Invoke, model: Path, texts: Path, reviews: Path, here: Path, tmp_path: Path
) -> None:
    more = ("--train-data", reviews, "--time-limit", "60s")
    found = invoke(*words(model, texts, here, tmp_path, *more))
    assert found.code in SETTLED, found.err
    assert found.json["search"]["trainings"] == []
    assert any("too short" in note for note in found.json["search"]["notes"])


def test_a_limit_that_is_over_still_measures_what_was_taught(
    invoke: Invoke,
    done: Done,
    model: Path,
    texts: Path,
    reviews: Path,
    here: Path,
    folder: Path,
) -> None:
    before = log_of(folder).read_bytes()
    more = ("--train-data", reviews, "--time-limit", "1s")
    again = invoke(*words(model, texts, here, folder, *more))
    assert again.code in SETTLED, again.err
    assert log_of(folder).read_bytes() == before
    assert [c["recipe"] for c in again.json["candidates"]] == [
        c["recipe"] for c in done.json["candidates"]
    ]
    assert all(c["latency"] is not None for c in again.json["candidates"])


def test_what_cannot_be_learned_from_is_refused_before_any_work(
    invoke: Invoke, model: Path, texts: Path, here: Path, tmp_path: Path
) -> None:
    wrong = models.write_csv(tmp_path / "wrong.csv", [("a text", "purple"), ("b", "green")] * 40)
    found = invoke(*words(model, texts, here, tmp_path, "--train-data", wrong))
    assert found.code == 2
    assert "purple" in found.paragraph or "labels" in found.paragraph
    assert not list(tmp_path.glob("out*"))


def test_an_effort_that_is_none(
    invoke: Invoke, model: Path, texts: Path, here: Path, tmp_path: Path
) -> None:
    found = invoke(*words(model, texts, here, tmp_path, "--effort", "heroic"))
    assert found.code == 2
    assert json.loads(found.out)["exit_code"] == 2
