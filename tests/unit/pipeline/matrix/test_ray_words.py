"""What nodes say is read strictly: nothing but the words that there are."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import encode_json
from deployopt.core.errors import IntegrityError
from deployopt.pipeline.matrix.child import Start
from deployopt.pipeline.matrix.messages import Share
from deployopt.pipeline.matrix.ray_words import (
    Began,
    Done,
    FromNode,
    Job,
    Lost,
    Ready,
    Said,
    decode,
    decode_event,
    decode_word,
)
from tests.fakes.cells import cell

WORDS = [
    Began(cell="a", node="n"),
    Said(cell="a", message=Share(share=0.5, words="half")),
    Lost(cell="a", node="n", reason="it died."),
    Done(cell="a", node="n", result=msgspec.Raw(b'{"any":"thing"}')),
]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: type(word).__name__)
def test_a_node_s_word_comes_back_as_it_was(word: FromNode) -> None:
    data = encode_json(word)
    assert encode_json(decode_word(data)) == data
    assert encode_json(decode_event(data)) == data


def test_a_job_travels_whole(tmp_path: Path) -> None:
    job = Job(
        cell=cell(store=tmp_path),
        start=Start(environment={"OMP_NUM_THREADS": None, "A": "b"}),
        shared={"/x": "1"},
        inputs={"/m": "0" * 64},
        niceness=0,
    )
    assert decode(encode_json(job), Job) == job


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nonsense", b"{}", b'{"type":"began","cell":"a"}', b'{"type":"run","cell":"a"}',
        b'{"type":"began","cell":"a","node":"n","more":1}',
    ],
)  # fmt: skip
def test_what_is_no_word_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="What a node of the cluster said"):
        decode_event(data)


def test_a_node_does_not_speak_for_the_cluster() -> None:
    with pytest.raises(IntegrityError):
        decode_word(encode_json(Ready(nodes=("n",), cores=1)))
