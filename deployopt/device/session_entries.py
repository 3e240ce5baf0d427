"""Which config entries a bundle may give to ONNX Runtime, whoever opens the session.

In: a setup's session options. Out: the entries. Refuses those that name files or load libraries.
"""

from typing import Final

from deployopt.core.artifact import SessionOptions
from deployopt.core.errors import RefusedInputError
from deployopt.core.text import safe_text

ENTRIES_ALLOWED: Final = frozenset(
    {
        "session.disable_prepacking",
        "session.disable_quant_qdq",
        "session.dynamic_block_base",
        "session.force_spinning_stop",
        "session.inter_op.allow_spinning",
        "session.intra_op.allow_spinning",
        "session.qdqisint8allowed",
        "session.set_denormal_as_zero",
        "session.use_device_allocator_for_initializers",
        "session.use_env_allocators",
        "mlas.enable_gemm_fastmath_arm64_bfloat16",
        "optimization.disable_specified_optimizers",
        "optimization.enable_gelu_approximation",
        "optimization.minimal_build_optimizations",
    }
)
"""Entries that change arithmetic or scheduling only; others name files or load libraries."""


def allowed_entries(options: SessionOptions) -> list[tuple[str, str]]:
    """The entries by name.

    Raises:
        RefusedInputError: one is not allowed.
    """
    for key in sorted(options.config_entries):
        if key not in ENTRIES_ALLOWED:
            raise RefusedInputError(
                f"The session entry {safe_text(key, 80)!r} is not one that a bundle may set. "
                f"Allowed: {', '.join(sorted(ENTRIES_ALLOWED))}."
            )
    return sorted(options.config_entries.items())
