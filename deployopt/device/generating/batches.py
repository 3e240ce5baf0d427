"""Several texts of one length that go on together, for figures by batch.

In: an open decoder, rows of token ids `[batch, n]`. Out: a token a row at a time. The rows are
equally long, so that nothing is padded: the runtime would mask what it takes for padding.
"""

import numpy as np

from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.samples import Array
from deployopt.core.text import safe_text
from deployopt.device.generating.decoder import FAILURES, GREEDY, PIECE, Decoder, import_genai


class Batch:
    """The rows and what was chosen after each; no end of text is ever chosen."""

    def __init__(self, decoder: Decoder, rows: Array, context: int) -> None:
        """Read the rows.

        Raises:
            UsageError: a row is empty, or has what the runtime takes for padding.
            DeviceError: there is no memory for it, or the runtime fails.
        """
        if not rows.size or np.isin(rows, list(decoder.config.paddings)).any():
            raise UsageError("A batch needs rows of tokens none of which is padding.")
        genai = import_genai()
        options = {**GREEDY, "max_length": context, "min_length": context}
        try:
            params = genai.GeneratorParams(decoder.model)
            params.set_search_options(**options, batch_size=len(rows))
            self._generator = genai.Generator(decoder.model, params)
            # Of several rows the runtime takes all at once only, with logits for every token.
            length = PIECE if len(rows) == 1 else rows.shape[1]
            for start in range(0, rows.shape[1], length):
                piece = np.ascontiguousarray(rows[:, start : start + length], dtype=np.int32)
                self._generator.append_tokens(piece)
        except MemoryError as error:
            raise DeviceError("The model needs more memory than it may take.") from error
        except FAILURES as error:
            raise _failed(error) from error

    def next(self) -> tuple[int, ...]:
        """Choose a token for every row.

        Raises:
            DeviceError: the context is full, or the runtime fails.
        """
        try:
            self._generator.generate_next_token()
            return tuple(int(token) for token in self._generator.get_next_tokens())
        except MemoryError as error:
            raise DeviceError("The model needs more memory than it may take.") from error
        except FAILURES as error:
            raise _failed(error) from error


def _failed(error: BaseException) -> DeviceError:
    return DeviceError(f"onnxruntime-genai failed: {safe_text(str(error), 400)}")
