"""One candidate as advice."""

from collections.abc import Callable

import pytest

from deployopt.catalogue.models import find_entry
from deployopt.core.tasks import ModelTask
from deployopt.planning.cost import read_prices
from deployopt.planning.recommending.advice import advise
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.looking import look
from deployopt.planning.recommending.wants import Wants

Ask = Callable[..., Wants]


def test_compression_follows_the_precision_and_the_kind_of_net(wants: Ask) -> None:
    for task, target, alias, step in (
        (ModelTask.TEXT_CLASSIFICATION, "rpi4", "distilbert", "int8 dynamic"),
        (ModelTask.IMAGE_CLASSIFICATION, "rpi4", "efficientnet-b0", "int8 static"),
        (ModelTask.OBJECT_DETECTION, "rtx3060", "rt-detr-r18", "fp16 weights"),
        (ModelTask.TEXT_GENERATION, "rpi5", "qwen2.5-1.5b", "int8 weights"),
    ):
        asked = wants(task, target)
        choice = advise(look(find_entry(alias), asked, None), asked, read_prices(None), ()).choice
        assert choice.compression[0].startswith(step)


def test_no_examples_no_training(wants: Ask) -> None:
    asked = wants()
    found = advise(look(find_entry("distilbert"), asked, None), asked, read_prices(None), ())
    assert found.plan is None
    assert found.choice.training is None


def test_what_fits_nowhere_is_no_advice(wants: Ask, candidate: Callable[..., Candidate]) -> None:
    nowhere = Candidate(entry=candidate().entry)
    with pytest.raises(ValueError, match="fits nowhere"):
        advise(nowhere, wants(), read_prices(None), ())
