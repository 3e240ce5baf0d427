"""Several at once where that pays and nobody waits."""

from collections.abc import Callable

from deployopt.catalogue.models import find_entry
from deployopt.core.budget import parse_budget
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.batching import batched
from deployopt.planning.recommending.looking import look
from deployopt.planning.recommending.wants import Wants

Ask = Callable[..., Wants]


def test_a_gpu_takes_several_and_a_cpu_one(wants: Ask) -> None:
    for target, many in (("rtx3060", True), ("rpi4", False)):
        asked = wants(target=target)
        found = batched(look(find_entry("distilbert"), asked, None), asked)
        assert found is not None
        assert (found.batch > 1) is many
        assert found.predicted["throughput_per_s"].value > 0
        assert ("batch_latency_s" in found.predicted) is many


def test_whoever_waits_is_served_alone(wants: Ask) -> None:
    asked = wants(target="rtx3060", realtime=True)
    found = batched(look(find_entry("distilbert"), asked, None), asked)
    assert found is not None
    assert found.batch == 1


def test_a_batch_stays_inside_the_limit_and_the_memory(wants: Ask) -> None:
    limit = parse_budget("latency_p50", "20 ms")
    asked = wants(target="rtx3060", budgets=(limit,))
    found = batched(look(find_entry("distilbert"), asked, None), asked)
    assert found is not None
    assert found.standing is Standing.INSIDE
    if found.batch > 1:
        assert found.predicted["batch_latency_s"].upper <= limit.limit
    free = wants(target="rtx3060")
    more = batched(look(find_entry("distilbert"), free, None), free)
    assert more is not None
    assert more.batch >= found.batch


def test_energy_is_of_a_request(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_CLASSIFICATION, "rtx3060")
    candidate = look(find_entry("distilbert"), asked, None)
    assert candidate.at is not None
    power = asked.target.hardware.power
    assert power is not None
    found = candidate.at.predicted
    assert found["energy_j"].value == found["latency_s"].value * float(power.load)


def test_a_batch_that_gains_nothing_is_not_taken(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_TO_IMAGE, "rtx3060")
    found = batched(look(find_entry("sdxl"), asked, None), asked)
    assert found is not None
    assert found.batch == 1


def test_every_card_of_a_machine_works(wants: Ask) -> None:
    pace = []
    for target in ("a100", "a100x4"):
        asked = wants(target=target)
        found = batched(look(find_entry("distilbert"), asked, None), asked)
        assert found is not None
        pace.append((found.batch, found.predicted["throughput_per_s"].value))
    (batch, one), (batch_of_four, four) = pace
    assert batch == batch_of_four
    assert 3.9 < four / one < 4.1
