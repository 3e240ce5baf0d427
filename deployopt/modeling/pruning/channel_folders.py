"""A convolution net's folder in, a narrower one out; apart, as torch-pruning loads slowly."""

from collections.abc import Sequence
from pathlib import Path

from deployopt.core.interface import Interface
from deployopt.core.samples import Feed
from deployopt.modeling.loading import load_model
from deployopt.modeling.pruning.channels import Narrowed, narrow
from deployopt.modeling.pruning.folders import CutOptions, inputs_for
from deployopt.modeling.pruning.scoring import Importance
from deployopt.modeling.saving import save_folder
from deployopt.modeling.threads import torch_threads


def narrow_folder(
    folder: Path,
    interface: Interface,
    destination: Path,
    options: CutOptions,
    feeds: Sequence[Feed] = (),
) -> Narrowed:
    """Write the narrower model and its preprocessor into `destination`, an empty folder.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: the family, the share, a block that is not traced, or the check after the cut.
    """
    model = load_model(folder, interface.task)
    together, checked = inputs_for(feeds, interface, options)
    method = Importance(options.importance)
    with torch_threads(options.threads):
        narrowed = narrow(model, options.channels, together, method, checked)
    save_folder(narrowed.model, folder, destination)
    return narrowed
