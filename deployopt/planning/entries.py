"""The shape of a catalogue's model: what its config says, and its operators where it has any."""

import functools

import msgspec

from deployopt.catalogue.models import Entry, find_entry
from deployopt.core.architecture import Architecture
from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture


def architecture_of(entry: Entry) -> Architecture:
    """The config's stacks with the entry's operators beside them; parameters are the entry's.

    Raises:
        UsageError: the entry has neither.
    """
    return _known(entry.alias) if entry is find_entry(entry.alias) else _put_together(entry)


@functools.cache
def _known(alias: str) -> Architecture:
    return _put_together(find_entry(alias))


def _put_together(entry: Entry) -> Architecture:
    if not entry.config and not entry.operations:
        raise UsageError(
            f"The catalogue does not hold the shape of {entry.alias!r}. Give the folder or the hub "
            "name of the model, or its sizes by hand: --params 7B --layers 32 --hidden 4096."
        )
    if entry.config:
        shape = read_architecture(entry.config)
        basis = f"the catalogue's config of {entry.alias}"
    else:
        shape = Architecture(model_type=entry.family, parameters=entry.parameters, basis="")
        basis = f"the catalogue's operators of {entry.alias}"
    return msgspec.structs.replace(
        shape,
        operations=shape.operations + entry.operations,
        activations=max(shape.activations, entry.activations),
        image_size=entry.image_size or shape.image_size,
        positions=shape.positions or entry.context,
        parameters=entry.parameters,
        basis=basis,
    )
