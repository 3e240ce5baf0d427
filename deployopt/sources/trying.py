"""Native readers of strangers' files, kept in confined processes: tokenizers, tables, images.

In: a reader's module, a path, a question. Out: its answer, or one paragraph of why there is none. A
file whose reader dies, hangs or takes too much memory is refused as one that could break it.
"""

from pathlib import Path

from deployopt.confinement.reader import Reader, StoppedError
from deployopt.core.errors import RefusedInputError


def asked(reader: Reader, question: bytes, path: Path) -> bytes:
    """The reader's answer about the file.

    Raises:
        UsageError, RefusedInputError: what it says of the file, or that it was stopped.
    """
    try:
        return reader.ask(question)
    except StoppedError as error:
        raise RefusedInputError(
            f"{path} was not opened: reading it in a process of its own {error}. Take another "
            "file, or write it anew with the program that made it."
        ) from error
