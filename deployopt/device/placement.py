"""Where the nodes of a model ran: on its card, or on the CPU that a runtime falls back to.

In: the profile that ONNX Runtime wrote of one request. Out: its nodes. Refuses a model of which
more than arithmetic on shapes was worked out on the CPU: what was measured would not be the card.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from deployopt.core.errors import DeviceError
from deployopt.core.text import name_list, safe_text

CPU: Final = "CPUExecutionProvider"
SMALL: Final = 100
"""Elements: so many ONNX Runtime itself takes for part of a shape when it places nodes."""
_WHOLE: Final = frozenset({"bool", "int32", "int64"})
"""Shapes, indices and masks; quantized values are of 8 bits."""
_SHOWN: Final = 4
_NODE: Final = "Node"


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """One node that ran; `tensors` are the type and the elements of all that it read and wrote."""

    name: str
    operator: str
    provider: str
    tensors: tuple[tuple[str, int], ...] = ()

    @property
    def on_shapes(self) -> bool:
        """Whether it works on shapes, indices and masks, which runtimes leave to the CPU."""
        return all(kind in _WHOLE or size <= SMALL for kind, size in self.tensors)


class _Arguments(msgspec.Struct, frozen=True):
    op_name: str = ""
    provider: str = ""
    input_type_shape: tuple[dict[str, tuple[int, ...]], ...] = ()
    output_type_shape: tuple[dict[str, tuple[int, ...]], ...] = ()


class _Event(msgspec.Struct, frozen=True):
    """Other keys are the profile's own and may change."""

    name: str = ""
    cat: str = ""
    args: _Arguments | None = None


def read_placement(profile: bytes) -> tuple[Placed, ...]:
    """Every node of the profile, once for all that it did alike.

    Names are no key: nodes of a loop's body may have those of others, and long ones are cut here.

    Raises:
        DeviceError: it is no profile as this reads them.
    """
    try:
        events = msgspec.json.decode(profile, type=tuple[_Event, ...], strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DeviceError(
            "ONNX Runtime's profile cannot be read, so that nobody knows where the model ran: "
            f"{safe_text(str(error), 200)}"
        ) from error
    return tuple(dict.fromkeys(_nodes(events)))


def require_on_card(placed: Sequence[Placed], provider: str) -> None:
    """Raise DeviceError where the card did not do what there was to do."""
    if not any(one.provider == provider for one in placed):
        raise DeviceError(
            f"Not one node of the model ran on {provider}: it fell back, and nothing that it did "
            "here would count. `deployopt doctor` says what the card's runtime lacks."
        )
    fell = [one for one in placed if one.provider == CPU and not one.on_shapes]
    if fell:
        named = name_list([f"{one.name} ({one.operator})" for one in fell], _SHOWN)
        raise DeviceError(
            f"{len(fell)} of {len(placed)} nodes ran on the CPU and not on the card: {named}. "
            f"{provider} has no kernel for them, and the latency would be of neither. Only "
            f"arithmetic on shapes may stay there: whole numbers, or at most {SMALL} of any kind. "
            "Build for another runtime of the card, or export the model without these operators."
        )


def _nodes(events: Sequence[_Event]) -> Iterator[Placed]:
    for event in events:
        args = event.args
        if event.cat != _NODE or args is None or not args.provider:
            continue
        tensors = (*args.input_type_shape, *args.output_type_shape)
        yield Placed(
            name=safe_text(event.name.removesuffix("_kernel_time"), 80),
            operator=safe_text(args.op_name, 40),
            provider=args.provider,
            tensors=tuple(
                (kind, _elements(shape)) for one in tensors for kind, shape in one.items()
            ),
        )


def _elements(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
