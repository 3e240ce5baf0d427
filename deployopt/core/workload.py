"""What one request is: the shapes and lengths that are measured and predicted."""

from typing import Annotated, Literal

import msgspec


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests of `batch` examples; text at its real length or padded to `length` tokens."""

    batch: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 1
    length: Annotated[int, msgspec.Meta(ge=1, le=131072)] | Literal["real"] = "real"
    image_size: Annotated[int, msgspec.Meta(ge=8, le=4096)] | None = None
