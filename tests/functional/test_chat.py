"""`chat` and `run` with a language model's bundle, through pipes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deployopt.core.generation import Sampling
from deployopt.device.run import Predictor
from tests.fakes.language_bundles import make_language_bundle
from tests.fakes.talkers import make_talker
from tests.functional.conftest import Done, Invoke, check_schema, child_environment, outside

GREETING = "你好 \N{GRINNING FACE}"
SCRIPTS = (f"First {GREETING} \x1b[31m##", "Second ##")
COMMAND = (sys.executable, "-m", "deployopt")


@pytest.fixture(scope="session")
def talking_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    folder = tmp_path_factory.mktemp("chat")
    return make_language_bundle(make_talker(folder / "model", SCRIPTS), folder / "bundle")


def piped(given: str | bytes, *words: object, folder: Path = Path("/")) -> Done:
    """The command with these lines on its stdin."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True, check=False, timeout=120, cwd=folder, env=child_environment(),
    )  # fmt: skip
    return Done(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def test_lines_in_answers_out(talking_bundle: Path, tmp_path: Path) -> None:
    done = piped(
        "Hello\n\nWhat did I just say?\n/reset\nHello\n",
        "chat", talking_bundle, "--plain", "--transcript", "said.jsonl", folder=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    first, second, third = done.out.splitlines()
    assert first.startswith(f"First {GREETING} [31m")
    assert second.startswith("Second ")
    assert third == first
    assert done.err == "What was said is forgotten.\n"
    said = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [one["conversation"] for one in said] == [0] * 4 + [1] * 2
    assert said[1]["content"].startswith(f"First {GREETING} \x1b[31m")


def test_an_object_a_turn(talking_bundle: Path) -> None:
    done = piped(f"Hello\n{'x' * 600}\nAnd?\n", "chat", talking_bundle, "--json")
    turns = [json.loads(line) for line in done.out.splitlines()]
    for turn in turns:
        check_schema("chat-turn", turn)
    one, refused, two = turns
    assert "takes 619 tokens" in refused["error"]
    kept = one["answer"]["prompt_tokens"] + one["answer"]["answer_tokens"]
    assert two["answer"]["kept_tokens"] == kept
    assert done.code == 2  # not every line was answered


def test_one_prompt(invoke: Invoke, talking_bundle: Path, tmp_path: Path) -> None:
    done = invoke("run", talking_bundle, "--text", "Hi", "--json", "--max-tokens", "5")
    assert done.code == 0, done.err
    check_schema("generate-result", done.json)
    (answer,) = done.json["answers"]
    assert (answer["text"], answer["ended"], answer["answer_tokens"]) == ("First", "length", 5)
    assert answer["first_token_s"] > 0
    assert answer["tokens_per_s"] > 0
    (tmp_path / "prompts.txt").write_text("Hi\n\nthere\n")
    many = invoke("run", talking_bundle, "Hi", "--input", tmp_path / "prompts.txt")
    assert many.out.count(f"First {GREETING} [31m") == 3
    predictor = Predictor.open(talking_bundle)
    assert predictor.generate("Hi", sampling=Sampling(max_tokens=5)).text == "First"
    assert many.out.splitlines()[0].endswith(predictor.generate("Hi").text[-2:])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--temperature", "-1"), "temperature -1 is not possible: it is from 0 to 10"),
        (("--top-p", "nan"), "top p nan"),
        (("--max-tokens", "0"), "max tokens 0"),
        (("--context", "100000"), "takes 512 at most"),
        (("--system", "@/nowhere"), "/nowhere cannot be read"),
        (("--transcript", "/"), "/ is not a file"),
        (("--threads", "0"), "threads"),
    ],
)
def test_options_that_are_not_possible(
    invoke: Invoke, talking_bundle: Path, words: tuple[str, ...], said: str
) -> None:
    done = invoke("chat", talking_bundle, "--plain", *words)
    assert done.code == 2
    assert said in done.paragraph
    assert done.out == ""


def test_another_kind_of_model_does_not_talk(invoke: Invoke, mlp_bundle: Path) -> None:
    done = invoke("chat", mlp_bundle, "--plain")
    assert done.code == 2
    assert f"deployopt run {mlp_bundle}" in done.paragraph
    refused = invoke("run", mlp_bundle, "x", "--seed", "1")
    assert refused.code == 2
    assert "for language models" in refused.paragraph


def test_a_language_model_predicts_no_labels(talking_bundle: Path) -> None:
    with pytest.raises(Exception, match="Use generate for one prompt"):
        Predictor.open(talking_bundle).predict(["x"])


def test_a_changed_model_is_not_opened(invoke: Invoke, tmp_path: Path) -> None:
    bundle = make_language_bundle(make_talker(tmp_path / "model"), tmp_path / "bundle")
    (bundle / "model" / "chat_template.jinja").write_text("{{ messages }}")
    done = invoke("chat", bundle, "--plain")
    assert done.code == 4
    assert "chat_template.jinja" in done.err


def test_without_the_extra_one_is_told_how_to_get_it(talking_bundle: Path) -> None:
    source = (
        "import sys; from importlib import util; find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if 'genai' in name else find(name, *a)\n"
        f"from deployopt.cli.main import main; main(['chat', {str(talking_bundle)!r}])"
    )
    done = outside([sys.executable, "-c", source], Path("/"))
    assert done.code == 2
    assert "pip install 'deployopt[chat]'" in done.paragraph


def test_a_model_without_a_template_says_so_once(tmp_path: Path) -> None:
    model = make_talker(tmp_path / "model", ("0123456789 goes on",), template=None)
    bundle = make_language_bundle(model, tmp_path / "bundle", chat=False)
    done = piped("x123456789\ny123456789\n", "chat", bundle)
    assert done.code == 0, done.err
    assert done.out == "0123456789 goes on\n" * 2
    assert done.err.count("no chat template") == 1


def test_bytes_that_are_no_text(talking_bundle: Path) -> None:
    done = piped(b"Hello\ncaf\xe9\n", "chat", talking_bundle, "--plain")
    assert done.code == 2
    assert "Line 2 of stdin is not UTF-8 text (byte 3)" in done.paragraph
    assert done.out.startswith("First ")


def test_a_signal_ends_it_and_its_child_and_the_transcript_stays(
    tmp_path: Path,
) -> None:
    model = make_talker(tmp_path / "model", ("y" * 400,), slow=True)
    bundle = make_language_bundle(model, tmp_path / "bundle")
    running = subprocess.Popen(
        [*COMMAND, "chat", bundle, "--plain", "--transcript", tmp_path / "said.jsonl"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=child_environment(), cwd="/",
    )  # fmt: skip
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(b"Hello\n")
    running.stdin.flush()
    assert os.read(running.stdout.fileno(), 1) == b"y"
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 143, err
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert (tmp_path / "said.jsonl").exists()
