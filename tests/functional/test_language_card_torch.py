"""A language model for a card that is not here: built, judged on a stand-in, opened nowhere."""

import json
from pathlib import Path

import pytest

from deployopt.store.verifying import verify_bundle
from tests.fakes.chat import sentences, write_tiny_llama
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def text(shelf: Path) -> Path:
    path = shelf / "text.txt"
    path.write_text("\n\n".join(sentences(60)))
    return path


@pytest.fixture(scope="module")
def chatty(shelf: Path) -> Path:
    return write_tiny_llama(shelf / "chatty")


@pytest.fixture(scope="module")
def built(invoke: Invoke, shelf: Path, chatty: Path, text: Path) -> Done:
    return invoke(
        "build", "-t", "rtx3060", "-m", chatty, "-d", text, "-o", shelf / "card", "--store",
        shelf / "store", "-b", "nll_increase=50%", "--json",
    )  # fmt: skip


@pytest.fixture(scope="module")
def bundle(built: Done) -> Path:
    assert built.code == 3, built.err
    return Path(built.json["bundle"])


def test_three_forms_are_made_asked_and_not_timed(built: Done) -> None:
    found = built.json
    check_schema("build-result", found)
    tried = {one["recipe"]: one for one in found["candidates"]}
    assert {name: one["precision"] for name, one in tried.items()} == {
        "float16": "fp16",
        "int8 weights": "int8",
        "int4": "int4",
    }
    for one in tried.values():
        assert one["failure"] is None
        assert one["latency"] is None
        assert one["generation"] is None
        assert one["scores"]["increase"]["evidence"] == "measured:proxy"
        assert one["card"]["ran"] is False
        assert one["card"]["answer_s"] > 0
        assert {"ttft_p50", "decode_tps_min", "memory_peak"} <= set(one["predicted"])
    # Half precision and 8 bits lose next to nothing of it.
    for name in ("float16", "int8 weights"):
        assert abs(tried[name]["scores"]["increase"]["value"]) < 0.01
    assert found["settings"] == []


def test_the_verdict_is_provisional_and_owns_up_to_a_stand_in(built: Done) -> None:
    found = built.json
    assert built.code == found["exit_code"] == 3
    assert found["verdict"]["provisional"] is True
    checks = {check["metric"]: check for check in found["verdict"]["checks"]}
    assert {name: check["evidence"] for name, check in checks.items()} == {
        "nll_increase": "measured:proxy",
        "memory_peak": "predicted",
    }
    assert "it has not run on a card" in checks["nll_increase"]["reason"]
    assert "it came in fp32" in found["plan"]["fit_reason"]
    assert "On the card: predicted, run nowhere yet (SM86)" in built.err
    assert max(len(line) for line in built.err.splitlines()) <= 80 or "/" in built.err


def test_the_bundle_names_its_card_and_cuda(bundle: Path) -> None:
    manifest = verify_bundle(bundle)
    assert bundle.name == "card.provisional"
    assert manifest.runtime == "onnxruntime-genai"
    card = json.loads((bundle / "manifest.json").read_bytes())["card"]
    assert card["ran"] is False
    assert (card["provider"], card["compute_capability"]) == ("cuda", "8.6")
    assert card["runtime"] == "onnxruntime-genai-cuda"
    config = json.loads((bundle / "model/genai_config.json").read_bytes())
    options = config["model"]["decoder"]["session_options"]["provider_options"]
    assert options == [{"cuda": {"enable_cuda_graph": "0"}}]
    # What answered here in its place is not shipped.
    steps = json.loads((bundle / "lineage.json").read_bytes())["steps"]
    assert [step["step"] for step in steps] == ["export-decoder"]
    page = (bundle / "report.html").read_text("utf-8")
    assert "On the card: predicted, run nowhere yet" in page
    assert "On the card: predicted" in (bundle / "report.md").read_text("utf-8")


def test_a_machine_without_the_card_opens_nothing(invoke: Invoke, bundle: Path) -> None:
    for words in (("verify", bundle), ("verify", bundle, "--proxy")):
        done = invoke(*words)
        assert done.code == 2
        assert "Its language model was built without the card and has not run" in done.paragraph
    assert not (bundle / "verifications").exists()
    done = invoke("run", bundle, "hello")
    assert done.code == 5, done.err
    assert "was built without one, and has not run yet" in done.paragraph


def test_a_script_may_take_it(
    invoke: Invoke, shelf: Path, chatty: Path, text: Path, tmp_path: Path
) -> None:
    done = invoke(
        "build", "-t", "a100", "-m", chatty, "-d", text, "-o", tmp_path / "big", "--store",
        shelf / "store", "-b", "nll_increase=50%", "--accept-predicted", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["verdict"]["provisional"] is True
    assert {one["card"]["compute_capability"] for one in done.json["candidates"]} == {"8.0"}
