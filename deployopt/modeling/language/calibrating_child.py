"""The process that calibrates a language model's weights of few bits; it dies with its parent.

In: what to do, as JSON in the first argument: a folder in Hugging Face form, documents as token
ids. Out: a folder in that form whose weights are integers with scales, as Olive writes it and
onnxruntime-genai's builder reads it. It is confined before any of that is imported: it reads the
model and the documents, writes that folder, starts nothing and has no network.
"""

import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.confine import confine_reader
from deployopt.confinement.parent import die_with
from deployopt.core.errors import ExitCode
from deployopt.core.samples import Array, decode_samples

_IDS: Final = "input_ids"
_MASK: Final = "attention_mask"
_DATA: Final = "deployopt_documents"
_CACHES: Final = ("HF_HOME", "HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME")


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`eight` is the share of the layers' weights that keeps 8 bits, by `asked` documents."""

    source: str
    documents: str
    destination: str
    cache: str
    bits: int
    block: int
    damping: float
    eight: float
    asked: int
    threads: int
    parent: int


def calibrate(order: Order) -> int:
    """Round every product of the layers by GPTQ (Frantar et al., 2022)."""
    die_with(order.parent)
    readable = [Path(order.source), Path(order.documents)]
    confine_reader(readable, [Path(order.destination), Path(order.cache)])
    os.environ |= dict.fromkeys(_CACHES, order.cache)
    documents = [feed[_IDS] for feed in decode_samples(Path(order.documents))]
    kept = _kept(order, documents[: order.asked]) if order.eight else ()
    _round(order, documents, kept)
    return ExitCode.ACCEPTED


def _kept(order: Order, documents: list[Array]) -> tuple[str, ...]:
    """The products whose weights stay in 8 bits."""
    import torch
    from olive.common.quant.utils import WeightQuantizer

    from deployopt.core.interface import Task
    from deployopt.modeling.language.sensitivity import expected_losses, most_sensitive
    from deployopt.modeling.loading import load_model

    torch.set_num_threads(order.threads)
    model = load_model(Path(order.source), Task.TEXT_GENERATION)
    quantizer = WeightQuantizer(bits=order.bits, symmetric=False, group_size=order.block)
    texts = [torch.from_numpy(ids) for ids in documents]
    losses = expected_losses(model, texts, quantizer.fake_quantize)
    return most_sensitive(model, losses, order.eight)


def _round(order: Order, documents: list[Array], kept: tuple[str, ...]) -> None:
    import torch
    from olive.data.config import DataConfig
    from olive.data.registry import Registry
    from olive.model import HfModelHandler
    from olive.passes.olive_pass import create_pass_from_dict
    from olive.passes.pytorch.gptq import Gptq

    torch.set_num_threads(order.threads)
    texts = [torch.from_numpy(ids) for ids in documents]

    # Each batch of Olive's data is what the model takes, and what is expected of it: nothing.
    Registry.register_dataset(_DATA)(
        lambda: [({_IDS: ids, _MASK: torch.ones_like(ids)}, None) for ids in texts]
    )
    Registry.register_dataloader(_DATA)(lambda dataset: dataset)
    Registry.register_pre_process(_DATA)(lambda dataset: dataset)
    named = {"type": _DATA}
    data = DataConfig(
        name=_DATA,
        load_dataset_config=named,
        pre_process_data_config=named,
        dataloader_config=named,
    )
    options = {
        "bits": order.bits,
        "group_size": order.block,
        "sym": False,
        "damp_percent": order.damping,
        "data_config": data,
        "overrides": {name: {"bits": 8} for name in kept},
    }
    rounding = create_pass_from_dict(Gptq, options, disable_search=True)
    rounding.run(HfModelHandler(model_path=order.source), order.destination)


if __name__ == "__main__":
    sys.exit(calibrate(msgspec.json.decode(sys.argv[1], type=Order)))
