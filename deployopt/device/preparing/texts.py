"""Texts become integer arrays: cut at the model's length, padded to the longest of a request.

In: a tokenizer, texts. Out: int64 `[texts, length]` by input name. This file stands alone: it is
copied, as it is, to servers that have no deployopt.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer


class TextPreparer:
    """One tokenizer with a model's own settings; `fixed` pads, and cuts, every text to a length."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        input_names: Sequence[str],
        max_length: int,
        pad_id: int,
        fixed: int | None = None,
    ) -> None:
        self._names = tuple(input_names)
        self._pad_id = pad_id
        self._fixed = fixed
        self._tokenizer = tokenizer
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=min(max_length, fixed or max_length))

    def encode(self, texts: list[str]) -> Sequence[Encoding]:
        """The tokens of each text; raises what the tokenizer raises."""
        encoded: Sequence[Encoding] = self._tokenizer.encode_batch(texts)
        return encoded

    def arrays(self, encoded: Sequence[Encoding]) -> dict[str, npt.NDArray[np.int64]]:
        """One request of these, an array an input."""
        length = self._fixed or max(1, *(len(item.ids) for item in encoded))
        return {name: self._array(name, encoded, length) for name in self._names}

    def _array(self, name: str, encoded: Sequence[Encoding], length: int) -> npt.NDArray[np.int64]:
        fill = self._pad_id if name == "input_ids" else 0
        array = np.full((len(encoded), length), fill, dtype=np.int64)
        for row, item in enumerate(encoded):
            values = _COLUMNS[name](item)
            array[row, : len(values)] = values
        return array


def _ids(item: Any) -> list[int]:  # noqa: ANN401 -- an Encoding, which has no types
    return list(item.ids)


def _mask(item: Any) -> list[int]:  # noqa: ANN401 -- as above
    return list(item.attention_mask)


def _types(item: Any) -> list[int]:  # noqa: ANN401 -- as above
    return list(item.type_ids)


_COLUMNS: Final = {"input_ids": _ids, "attention_mask": _mask, "token_type_ids": _types}
