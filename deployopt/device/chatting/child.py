"""The process that opens a language model and answers whoever talks with it.

Started as `python -P -m deployopt.device.chatting.child DESCRIPTOR PARENT`. In: one Open, then
messages, and Stop within an answer. Out: pieces of answers, all on that descriptor. Before it opens
anything it gives up the network and, but for a card, every file but the model's; it dies with its
parent.
"""

import select
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from deployopt.confinement.confine import confine_measured, confine_reader
from deployopt.confinement.parent import die_with, receive
from deployopt.core.errors import (
    DeployoptError,
    DeviceError,
    ExitCode,
    IntegrityError,
    RefusedInputError,
    UsageError,
)
from deployopt.core.text import safe_text
from deployopt.device.chatting.speaker import Speaker
from deployopt.device.chatting.texts import Template, Texts, has_template
from deployopt.device.chatting.words import (
    HEADER_BYTES,
    Failed,
    Open,
    Opened,
    Question,
    Refused,
    Reply,
    Say,
    Stop,
    decode_question,
    frame,
)
from deployopt.device.generating.decoder import Decoder, import_genai, open_decoder
from deployopt.device.protocol import Kind, frame_length

_CPU: Final = "cpu"


def main(arguments: Sequence[str]) -> int:
    """Answer until the parent closes the channel."""
    descriptor, parent = int(arguments[0]), int(arguments[1])
    die_with(parent)
    with socket.socket(fileno=descriptor) as channel, suppress(EOFError, BrokenPipeError):
        talk = _Talk(channel)
        try:
            _serve(talk)
        except DeployoptError as error:
            talk.tell(Failed(message=str(error), kind=_kind(error)))
        except MemoryError:
            talk.tell(Failed(message="The model needs more memory than there is."))
        except (RuntimeError, ValueError) as error:
            said = safe_text(str(error), 500)
            talk.tell(Failed(message=f"The model's process failed: {said}"))
    return ExitCode.ACCEPTED


class _Talk:
    """The channel to the parent."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def tell(self, reply: Reply) -> None:
        self._channel.sendall(frame(reply))

    def hear(self) -> Question:
        """The next question; raises EOFError where the parent has gone."""
        length = frame_length(receive(self._channel, HEADER_BYTES))
        return decode_question(receive(self._channel, length))

    def stopped(self) -> bool:
        """Whether the answer that is being given is not wanted any more."""
        if not select.select([self._channel], [], [], 0)[0]:
            return False
        if isinstance(self.hear(), Stop):
            return True
        raise DeviceError("The model was asked while it answered.")


def _serve(talk: _Talk) -> None:
    asked = talk.hear()
    if not isinstance(asked, Open):
        raise DeviceError("The model was asked before it was opened.")
    folder = asked.setup.model.parent
    if asked.setup.provider == _CPU:
        confine_reader([folder])
    else:  # a card's driver opens devices, and keeps what it compiles
        confine_measured(None)
    decoder = open_decoder(asked.setup, stops=True)
    texts = _texts(folder, decoder)
    speaker = Speaker(decoder, texts, asked.context)
    talk.tell(Opened(chat=texts.chat, takes_system=texts.takes_system, why_not=texts.why_not))
    while True:
        said = talk.hear()
        # A Stop that came after the last token of an answer stops nothing.
        if isinstance(said, Say):
            talk.tell(_answered(speaker, said, talk))


def _answered(speaker: Speaker, said: Say, talk: _Talk) -> Reply:
    try:
        return speaker.answer(said, talk.tell, talk.stopped)
    except UsageError as error:
        return Refused(message=str(error))


def _texts(folder: Path, decoder: Decoder) -> Texts:
    """The tokenizer; of onnxruntime-genai's own only the template is used."""
    if not has_template(folder):
        return Texts(folder, None)
    try:
        template: Template = import_genai().Tokenizer(decoder.model)
    except (RuntimeError, ValueError) as error:
        return Texts(folder, None, safe_text(str(error), 200))
    return Texts(folder, template)


def _kind(error: DeployoptError) -> Kind:
    if isinstance(error, IntegrityError | RefusedInputError):
        return "integrity"
    return "usage" if isinstance(error, UsageError) else "device"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
