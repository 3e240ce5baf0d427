"""What a model ends in, from the names of classes in `architectures`.

In: the config. Out: a word: `generate`, `classify`, `tag`, `span`, `mask`, `pretrain`, `base`, ...
"""

from typing import Final

from deployopt.core.errors import UsageError
from deployopt.planning.architectures.keys import Keys

_ENDINGS: Final = (
    ("ForSequenceClassification", "classify"),
    ("ForImageClassification", "classify"),
    ("ForImageClassificationWithTeacher", "classify"),
    ("ForAudioClassification", "classify"),
    ("ForTokenClassification", "tag"),
    ("ForAudioFrameClassification", "tag"),
    ("ForXVector", "speaker"),
    ("ForCTC", "hear"),
    ("ForQuestionAnswering", "span"),
    ("ForMaskedLM", "mask"),
    ("ForPreTraining", "pretrain"),
    ("ForCausalLM", "generate"),
    ("LMHeadModel", "generate"),
    ("ForConditionalGeneration", "generate"),
    ("MTModel", "generate"),
    ("ForObjectDetection", "detect"),
    ("ForSemanticSegmentation", "segment"),
    ("EncoderModel", "encode"),
    ("Model", "base"),
    ("Encoder", "base"),
)


def head_of(keys: Keys, default: str) -> str:
    """The word for the first class that is known; `default` where none is named or known."""
    for name in keys.texts("architectures"):
        for ending, word in _ENDINGS:
            if name.endswith(ending):
                return word
    return default


def head_width(keys: Keys, hidden: int, heads: int) -> int:
    """The width of one head: as the config of a model that lost heads says, else hidden / heads."""
    return keys.whole("head_dim") if keys.has("head_dim") else heads_divide(keys, hidden, heads)


def heads_divide(keys: Keys, hidden: int, heads: int) -> int:
    """The width of one head where the config gives it nowhere: hidden / heads, a whole number.

    Raises:
        UsageError: hidden is no multiple of heads.
    """
    if hidden % heads:
        raise UsageError(
            f"The model's config has {keys.path}hidden size {hidden} and {heads} attention heads, "
            "of which one is no multiple of the other, and no head_dim. Correct the config."
        )
    return hidden // heads
