"""What the weights' headers add to an architecture that was worked out from a config.

The headers are the truth: how many parameters are stored, in which dtypes and bytes. Buffers that
are stored with them (masks, running means, position ids) are not parameters; a tied table that is
stored twice counts once. Weights packed into integers hide their count, so the config's stands.
"""

import math
import re
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.weights import StoredWeights

_DTYPES: Final = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_PACKING: Final = ("U8", "I32", "I16", "U32", "F4")
_PACKED_SHARE: Final = 0.1
_BUFFER: Final = re.compile(
    r"(^|\.)(position_ids|num_batches_tracked|running_mean|running_var|inv_freq|masked_bias"
    r"|relative_position_index|weight_scale_inv|weight_scale|input_scale|SCB|weight_format|final_logits_bias|e_score_correction_bias"
    r"|h\.\d+\.attn\.bias|attention\.bias)$"
)
_TIED_HEAD: Final = re.compile(r"(^|\.)(lm_head|embed_out)\.weight$")
_NOTED: Final = 0.01


def with_headers(architecture: Architecture, stored: StoredWeights) -> Architecture:
    """The architecture with the headers' totals in place of the config's."""
    files = (
        "the headers of 1 weight file"
        if stored.files == 1
        else (f"the headers of {stored.files} weight files")
    )
    elements = sum(stored.elements.values())
    named = {_DTYPES.get(name, name.lower()): n for name, n in sorted(stored.elements.items())}
    common = msgspec.structs.replace(architecture, stored=named, stored_bytes=stored.bytes)
    if not elements:
        return common
    if sum(stored.elements.get(name, 0) for name in _PACKING) > _PACKED_SHARE * elements:
        return msgspec.structs.replace(
            common,
            basis=f"{architecture.basis}, and {files}: several weights are packed into one stored "
            "number, so the parameters are the config's",
        )
    parameters = elements - _not_parameters(architecture, stored)
    dtype = max(stored.elements, key=lambda name: stored.elements[name])
    return msgspec.structs.replace(
        common,
        parameters=parameters,
        dtype=_DTYPES.get(dtype, dtype.lower()),
        basis=f"{architecture.basis} and {files}{_difference(architecture.parameters, parameters)}",
    )


def _not_parameters(architecture: Architecture, stored: StoredWeights) -> int:
    buffers = sum(math.prod(s) for name, s in stored.tensors.items() if _BUFFER.search(name))
    return buffers + (_second_table(stored) if architecture.tied else 0)


def _second_table(stored: StoredWeights) -> int:
    """Elements of a tied head that is stored beside the table it is tied to."""
    shapes = list(stored.tensors.values())
    heads = (shape for name, shape in stored.tensors.items() if _TIED_HEAD.search(name))
    return sum(math.prod(shape) for shape in heads if shapes.count(shape) > 1)


def _difference(expected: int, found: int) -> str:
    share = found / expected - 1
    if abs(share) <= _NOTED:
        return ""
    return (
        f"; the headers hold {abs(share):.1%} {'more' if share > 0 else 'fewer'} parameters "
        f"than the config's arithmetic ({found:,} against {expected:,})"
    )
