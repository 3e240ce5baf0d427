"""A language model of a few kilobytes that says what it was told to, for onnxruntime-genai.

Its n-th answer in a conversation is the n-th script. Where a script has `#`, it says a digit that
is a checksum of every token before: a memory that is wrong by one token gives another answer.
It is made with onnx alone and reads bytes: one token a byte, so that a character takes several.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

START: Final = 256
END: Final = 257
VOCABULARY: Final = 258
TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NO_SYSTEM: Final = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
)
_OPENING: Final = len("assistant\n")
_CHECKSUM: Final = -1
_SIDE: Final = 512


def make_talker(
    folder: Path,
    scripts: Sequence[str | bytes] = ("Hello.",),
    *,
    template: str | None = TEMPLATE,
    context: int = 4096,
    slow: bool = False,
    search: Mapping[str, object] | None = None,
) -> Path:
    """A folder as onnxruntime-genai opens it; after the last script the first one comes again.

    `slow` puts some milliseconds of work behind each token.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_graph(_table(scripts), slow=slow), folder / "model.onnx")
    _tokenizer().save(str(folder / "tokenizer.json"))
    says: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(says), "utf-8")
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, "utf-8")
    config = {
        "model": {
            "type": "llama",
            "bos_token_id": START,
            "eos_token_id": END,
            "pad_token_id": END,
            "context_length": context,
            "vocab_size": VOCABULARY,
            "decoder": {
                "session_options": {"log_id": "genai", "provider_options": []},
                "filename": "model.onnx",
                "head_size": 4,
                "hidden_size": 4,
                "num_attention_heads": 1,
                "num_hidden_layers": 1,
                "num_key_value_heads": 1,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {
            "do_sample": False,
            "max_length": context,
            "past_present_share_buffer": False,
            **(search or {}),
        },
    }
    (folder / "genai_config.json").write_text(json.dumps(config), "utf-8")
    return folder


def _table(scripts: Sequence[str | bytes]) -> np.ndarray:
    """`[scripts, longest + 1]` token ids, an end behind each."""
    said = [text.encode() if isinstance(text, str) else text for text in scripts]
    table = np.full((len(said), max(map(len, said)) + 1), END, np.int64)
    for row, text in enumerate(said):
        table[row, : len(text)] = [_CHECKSUM if byte == ord("#") else byte for byte in text]
    return table


def _tokenizer() -> Tokenizer:
    """A byte a token: id 65 is "A"."""
    vocabulary = {character: byte for byte, character in _byte_letters().items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)]
    )
    return tokenizer


def _byte_letters() -> dict[int, str]:
    """As byte-level tokenizers write bytes: the printable as they are, others from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + at) for at, byte in enumerate(others)}


def _graph(table: np.ndarray, *, slow: bool) -> onnx.ModelProto:
    """Keys hold, for each token: where a turn starts, its id, whether a turn starts.

    Of their sums the next token follows: which answer this is, how far it has come, the checksum.
    """
    constants = {
        "zero": np.int64(0), "one": np.int64(1), "two": np.int64(2), "ten": np.int64(10),
        "digit": np.int64(ord("0")), "opening": np.int64(_OPENING), "start": np.int64(START),
        "last": np.int64(table.shape[1] - 1), "count": np.int64(table.shape[0]),
        "axis": np.array([-1], np.int64), "all": np.array([1, 1, -1, 4], np.int64),
        "tall": np.array([1, 1, -1], np.int64), "vocabulary": np.int64(VOCABULARY),
        "high": np.array([0.0, 10.0], np.float32), "table": table,
        "side": np.ones((_SIDE, _SIDE), np.float32) / _SIDE,
        "nothing": np.float32(0.0),
    }  # fmt: skip
    nodes = [
        helper.make_node("Shape", ["input_ids"], ["n1"], start=1, end=2),
        helper.make_node("Shape", ["past_key_values.0.key"], ["p1"], start=2, end=3),
        helper.make_node("Squeeze", ["n1"], ["n"]),
        helper.make_node("Squeeze", ["p1"], ["p"]),
        helper.make_node("Add", ["n", "p"], ["t"]),
        helper.make_node("Add", ["p", "one"], ["from"]),
        helper.make_node("Add", ["t", "one"], ["to"]),
        helper.make_node("Range", ["from", "to", "one"], ["places"]),
        helper.make_node("Equal", ["input_ids", "start"], ["is_start"]),
        helper.make_node("Cast", ["is_start"], ["flag"], to=TensorProto.INT64),
        helper.make_node("Mul", ["flag", "places"], ["where"]),
        helper.make_node("Mul", ["flag", "zero"], ["empty"]),
        *(
            helper.make_node("Unsqueeze", [name, "axis"], [f"{name}_tall"])
            for name in ("where", "input_ids", "flag", "empty")
        ),
        helper.make_node(
            "Concat", ["where_tall", "input_ids_tall", "flag_tall", "empty_tall"], ["rows"], axis=-1
        ),
        helper.make_node("Reshape", ["rows", "all"], ["rows4"]),
        helper.make_node("Cast", ["rows4"], ["new"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["past_key_values.0.key", "new"], ["present.0.key"], axis=2),
        helper.make_node("Concat", ["past_key_values.0.value", "new"], ["present.0.value"], axis=2),
        helper.make_node("Cast", ["present.0.key"], ["known"], to=TensorProto.INT64),
        helper.make_node("Split", ["known"], ["w", "i", "f", "e"], axis=3, num_outputs=4),
        helper.make_node("ReduceMax", ["w"], ["begun"], keepdims=0),
        helper.make_node("ReduceSum", ["i"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["f"], ["starts"], keepdims=0),
        helper.make_node("Sub", ["t", "begun"], ["since"]),
        helper.make_node("Sub", ["since", "opening"], ["said"]),
        helper.make_node("Max", ["said", "zero"], ["said0"]),
        helper.make_node("Min", ["said0", "last"], ["at"]),
        helper.make_node("Div", ["starts", "two"], ["turns"]),
        helper.make_node("Sub", ["turns", "one"], ["turn0"]),
        helper.make_node("Mod", ["turn0", "count"], ["which"]),
        helper.make_node("Gather", ["table", "which"], ["script"]),
        helper.make_node("Gather", ["script", "at"], ["code"]),
        helper.make_node("Mod", ["sum", "ten"], ["rest"]),
        helper.make_node("Add", ["rest", "digit"], ["check"]),
        helper.make_node("Less", ["code", "zero"], ["checks"]),
        helper.make_node("Where", ["checks", "check", "code"], ["next"]),
        helper.make_node("Reshape", ["next", "one1"], ["next1"]),
        helper.make_node("OneHot", ["next1", "vocabulary", "high"], ["one_hot"]),
        helper.make_node("Reshape", ["one_hot", "tall"], ["last_logits"]),
        *(_work() if slow else [helper.make_node("Identity", ["last_logits"], ["worked"])]),
        helper.make_node("Concat", ["one1", "n1", "vocabulary1"], ["shape"], axis=0),
        helper.make_node("Expand", ["worked", "shape"], ["logits"]),
    ]
    constants |= {"one1": np.array([1], np.int64), "vocabulary1": np.array([VOCABULARY], np.int64)}
    graph = helper.make_graph(
        nodes,
        "talker",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [1, "t"]),
            *(
                helper.make_tensor_value_info(
                    f"past_key_values.0.{kind}", TensorProto.FLOAT, [1, 1, "p", 4]
                )
                for kind in ("key", "value")
            ),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, "n", VOCABULARY]),
            *(
                helper.make_tensor_value_info(
                    f"present.0.{kind}", TensorProto.FLOAT, [1, 1, "t", 4]
                )
                for kind in ("key", "value")
            ),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _work() -> list[onnx.NodeProto]:
    """Products of matrices that follow from the input, and change nothing."""
    nodes = [
        helper.make_node("Cast", ["sum"], ["sum_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["side", "sum_f"], ["m0"]),
    ]
    nodes += [helper.make_node("MatMul", [f"m{i}", "side"], [f"m{i + 1}"]) for i in range(3)]
    return [
        *nodes,
        helper.make_node("ReduceMax", ["m3"], ["m_max"], keepdims=0),
        helper.make_node("Mul", ["m_max", "nothing"], ["m_none"]),
        helper.make_node("Add", ["last_logits", "m_none"], ["worked"]),
    ]
