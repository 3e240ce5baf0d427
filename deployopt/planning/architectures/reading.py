"""The door: which family a config is of, and what is the same for all of them.

In: `config.json` as a mapping and, where they were read, the headers of the weights. Out: the
model's `Architecture`. A family that is not known is read as the nearest common one and says so.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.weights import StoredWeights
from deployopt.planning.architectures.compact import COMPACT
from deployopt.planning.architectures.deltas import DELTAS
from deployopt.planning.architectures.detectors import DETECTORS
from deployopt.planning.architectures.elders import ELDERS
from deployopt.planning.architectures.encoders import ENCODERS
from deployopt.planning.architectures.experts import EXPERTS
from deployopt.planning.architectures.further import FURTHER
from deployopt.planning.architectures.gemmas import GEMMAS
from deployopt.planning.architectures.generic import generic
from deployopt.planning.architectures.glances import GLANCES
from deployopt.planning.architectures.gpts import GPTS
from deployopt.planning.architectures.headers import with_headers
from deployopt.planning.architectures.keys import Keys, Readers
from deployopt.planning.architectures.latent import LATENT
from deployopt.planning.architectures.listening import LISTENING
from deployopt.planning.architectures.llamas import LLAMAS
from deployopt.planning.architectures.mobile import MOBILE
from deployopt.planning.architectures.newer import NEWER
from deployopt.planning.architectures.pairs import PAIRS
from deployopt.planning.architectures.patches import PATCHES
from deployopt.planning.architectures.queries import QUERIES
from deployopt.planning.architectures.realtime import REALTIME
from deployopt.planning.architectures.recurrent import RECURRENT
from deployopt.planning.architectures.relative import RELATIVE
from deployopt.planning.architectures.remote import REMOTE
from deployopt.planning.architectures.residual import RESIDUAL
from deployopt.planning.architectures.rotary import ROTARY
from deployopt.planning.architectures.routers import ROUTERS
from deployopt.planning.architectures.seeing import SEEING
from deployopt.planning.architectures.speech import SPEECH
from deployopt.planning.architectures.towers import TOWERS
from deployopt.planning.architectures.translators import TRANSLATORS
from deployopt.planning.architectures.windows import WINDOWS

FAMILIES: Final[Readers] = {
    **LLAMAS,
    **GEMMAS,
    **GPTS,
    **ELDERS,
    **EXPERTS,
    **ROUTERS,
    **NEWER,
    **REMOTE,
    **LATENT,
    **RECURRENT,
    **DELTAS,
    **ENCODERS,
    **COMPACT,
    **FURTHER,
    **RELATIVE,
    **ROTARY,
    **PAIRS,
    **TRANSLATORS,
    **SPEECH,
    **LISTENING,
    **PATCHES,
    **RESIDUAL,
    **MOBILE,
    **WINDOWS,
    **DETECTORS,
    **QUERIES,
    **REALTIME,
    **TOWERS,
    **SEEING,
    **GLANCES,
}
_DTYPES: Final = ("torch_dtype", "dtype")
_SHOWN: Final = 6


def read_architecture(
    config: Mapping[str, object], stored: StoredWeights | None = None
) -> Architecture:
    """The shape and the exact parameter count of the model that `config` describes.

    Raises:
        UsageError: a size is missing or cannot be; it names the key and what may stand there.
    """
    keys = Keys(values=config, silent=set())
    family = family_of(keys)
    architecture = FAMILIES[family](keys) if family in FAMILIES else generic(keys)
    said = msgspec.structs.replace(
        architecture,
        dtype=dtype_of(keys),
        basis="; ".join(
            part for part in ("config.json", architecture.basis, _packing(keys)) if part
        ),
    )
    found = said if stored is None else with_headers(said, stored)
    silent = _silent(keys)
    return msgspec.structs.replace(found, basis=f"{found.basis}; {silent}") if silent else found


def family_of(keys: Keys) -> str:
    """`model_type`, or the family that a class in `architectures` is named after."""
    said = keys.text("model_type")
    if said:
        return said
    for name in keys.texts("architectures"):
        plain = name.lower()
        found = [family for family in FAMILIES if plain.startswith(_plain(family))]
        if found:
            return max(found, key=len)
    return ""


def _plain(family: str) -> str:
    return family.replace("_", "").replace("-", "")


def dtype_of(keys: Keys) -> str | None:
    """What the weights were saved in, as the config says."""
    for name in _DTYPES:
        said = keys.text(name)
        if said:
            return said.removeprefix("torch.")
    text = keys.part("text_config")
    return None if text is None else dtype_of(text)


def _silent(keys: Keys) -> str:
    """The sizes that the config does not give."""
    names = sorted(keys.silent)
    if not names:
        return ""
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"sizes that the config leaves out are the family's defaults: {shown}"


def _packing(keys: Keys) -> str:
    part = keys.part("quantization_config")
    if part is None:
        return ""
    method = part.text("quant_method") or "an unnamed method"
    return f"its weights are quantized by {method}"
