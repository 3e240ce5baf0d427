"""The device's half of bringing files: which are missing, and taking those.

In: a question and the channel that it came on. Out: answers on that channel, files by sha256. Only
the standard library is used: this file is also a part of the program that is sent to a device.
"""

from collections.abc import Sequence

from deployopt.device.framing import Channel
from deployopt.store.receiving import Objects, ReceivingError


def tell_missing(channel: Channel, number: int, objects: Objects, digests: Sequence[str]) -> None:
    """Answer which of the files are to be sent."""
    channel.tell(number, "missing", digests=objects.missing(digests))


def take_file(channel: Channel, number: int, objects: Objects, digest: str, size: int) -> None:
    """Say how much of a file is here, take the rest, and say that it is whole."""
    try:
        with objects.receiving(digest, size) as incoming:
            channel.tell(number, "from", offset=incoming.offset)
            objects.write(incoming, channel.chunks(size - incoming.offset), size)
    except ReceivingError as error:
        channel.tell(number, "failed", kind=error.kind, message=str(error))
    except OSError as error:
        channel.tell(number, "failed", kind="space", message=f"{objects.root}: {error.strerror}.")
    else:
        channel.tell(number, "stored", sha256=digest)
