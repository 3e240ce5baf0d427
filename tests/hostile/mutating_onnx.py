"""Mutants of graphs by their fields: what bytes alone rarely reach.

In: a model. Out: the same with a few fields of a few messages changed, whatever their types are:
the descriptors of the protocol buffers say which there are.
"""

from typing import Any, Final

import onnx
from google.protobuf.descriptor import FieldDescriptor

from tests.hostile.mutating import TEXTS, Chance

_MESSAGES_MAX: Final = 400
_CHANGES_MAX: Final = 5
_INT_BITS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (32, True),
    FieldDescriptor.CPPTYPE_INT64: (64, True),
    FieldDescriptor.CPPTYPE_UINT32: (32, False),
    FieldDescriptor.CPPTYPE_UINT64: (64, False),
}
_FLOATS: Final = (0.0, -1.0, 1e38, float("inf"), float("nan"), 1e-45)
_NAMES: Final = (
    "If", "Loop", "Scan", "Constant", "ConstantOfShape", "Expand", "Tile", "Resize", "Pad", "Range",
    "Reshape", "Gather", "MatMul", "Conv", "EPContext", "PythonOp", "Attention", "Cast", "Slice",
    "com.microsoft", "ai.onnx.ml", "evil", "", "location", "offset", "length", "../secret",
    "logits",
)  # fmt: skip


def mutate_model(data: bytes, lot: Chance) -> bytes:
    """A few changes of fields."""
    model = onnx.ModelProto.FromString(data)
    for _ in range(lot.randint(1, _CHANGES_MAX)):
        messages = _messages(model)
        message = lot.choice(messages)
        field = lot.choice(message.DESCRIPTOR.fields)
        if field.is_repeated:
            _change_repeated(message, field, messages, lot)
        elif field.message_type is not None:
            _change_message(message, field, messages, lot)
        else:
            setattr(message, field.name, _scalar(field, lot))
    written: bytes = model.SerializeToString()
    return written


def _messages(model: onnx.ModelProto) -> list[Any]:
    found: list[Any] = []
    waiting: list[Any] = [model]
    while waiting and len(found) < _MESSAGES_MAX:
        message = waiting.pop(0)
        found.append(message)
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += list(value) if field.is_repeated else [value]
    return found


def _change_message(message: Any, field: Any, messages: list[Any], lot: Chance) -> None:
    donors = [one for one in messages if field.message_type == one.DESCRIPTOR]
    if donors and lot.random() < 0.7:
        copied = type(donors[0])()
        copied.CopyFrom(lot.choice(donors))
        getattr(message, field.name).CopyFrom(copied)
    elif lot.random() < 0.5:
        message.ClearField(field.name)
    else:
        getattr(message, field.name).SetInParent()


def _change_repeated(message: Any, field: Any, messages: list[Any], lot: Chance) -> None:
    values = getattr(message, field.name)
    what = lot.randrange(4)
    if what == 0 and len(values):
        del values[lot.randrange(len(values))]
    elif what == 1 and len(values):
        kept = list(values)
        lot.shuffle(kept)
        if field.message_type is not None:
            kept = [type(one).FromString(one.SerializeToString()) for one in kept]
        del values[:]
        values.extend(kept)
    elif field.message_type is None:
        values.extend(_scalar(field, lot) for _ in range(lot.choice((1, 1, 3, 2000))))
    else:
        donors = [one for one in messages if field.message_type == one.DESCRIPTOR]
        if donors:
            donor = type(donors[0]).FromString(lot.choice(donors).SerializeToString())
            values.extend([donor] * lot.choice((1, 1, 2, 50)))
        else:
            values.add()


def _scalar(field: Any, lot: Chance) -> Any:
    kind = field.cpp_type
    if kind in _INT_BITS:
        return _whole(*_INT_BITS[kind], lot)
    if kind in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return lot.choice(_FLOATS)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return lot.random() < 0.5
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return lot.choice([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lot.choice((b"", b"\0", b"\xff" * 7, lot.randbytes(lot.choice((4, 64, 4096)))))
    text = lot.choice(TEXTS if lot.random() < 0.4 else _NAMES)
    return text.encode("utf-8", "replace").decode("utf-8")


def _whole(bits: int, signed: bool, lot: Chance) -> int:  # noqa: FBT001 -- a column of a table
    top = 2 ** (bits - 1) if signed else 2**bits
    edges = (0, 1, 2, 3, 8, 127, 1000, 2**16, 2**20, 2**28, 2**30, top - 1, -1, -top, -2)
    value = lot.choice(edges)
    return value if signed else value % top
