"""A model's weights as the headers of their files tell them; no weight is read."""

import msgspec


class StoredWeights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of all files of one model together."""

    elements: dict[str, int]
    """By dtype, as the header writes it: F32, BF16, F16, F8_E4M3, I8, U8, I32, ..."""
    bytes: int
    """Of the tensors, without the headers."""
    tensors: dict[str, tuple[int, ...]] = {}
    """Shapes by name; empty where they were not kept. An empty shape is a scalar."""
    files: int = 1
