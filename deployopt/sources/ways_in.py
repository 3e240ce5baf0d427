"""What to give in the place of an alias that `build` does not take: a folder, the hub, or nothing.

In: an entry of the catalogue. Out: a sentence. An alias stands for work and memory, which are
counted from its config alone; families that are read from a folder say so here.
"""

from typing import Final

from deployopt.catalogue.models import Entry

_DATA: Final = {
    "detr": "DETR, RT-DETR and YOLOS detectors are built from their folder{hub}, with images and "
    "their boxes as --data; images have to be of one size (docs/detection.md)",
    "clip": "image-text models are built from their folder{hub}, with captions as --data, or with "
    "--labels as a classifier (docs/image-text.md)",
    "stable-diffusion": "pipelines of Stable Diffusion 1 and 2 are built from their folder{hub}, "
    "with prompts as --data (docs/image-generation.md)",
}
_FAMILIES: Final = {
    "detr": "detr",
    "rt-detr": "detr",
    "yolos": "detr",
    "clip": "clip",
    "siglip": "clip",
    "stable-diffusion": "stable-diffusion",
}


def way_in(entry: Entry) -> str | None:
    """How a model of the entry's family is built; None where none is."""
    family = _FAMILIES.get(entry.family)
    if family is None:
        return None
    hub = f", or as hub:{entry.repository}" if entry.repository else ""
    return _DATA[family].format(hub=hub)
