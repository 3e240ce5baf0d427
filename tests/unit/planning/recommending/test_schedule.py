"""More examples: fewer epochs, all parameters, less augmentation."""

import pytest

from deployopt.core.memory import Method
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending import schedule


@pytest.mark.parametrize("task", list(ModelTask))
def test_epochs_fall_with_examples_and_never_reach_zero(task: ModelTask) -> None:
    counts = [schedule.epochs(task, n) for n in (100, 5_000, 50_000, 500_000, 10**9)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 1


@pytest.mark.parametrize("task", list(ModelTask))
@pytest.mark.parametrize("examples", [1, 7, 800, 10**6])
def test_a_batch_leaves_ten_updates_an_epoch(task: ModelTask, examples: int) -> None:
    batch = schedule.effective_batch(task, examples)
    assert batch >= 1
    assert batch == 1 or batch * 10 <= examples


def test_rates_lie_where_they_are_advised() -> None:
    text = ModelTask.TEXT_CLASSIFICATION
    full = [schedule.learning_rate(text, Method.FULL, n) for n in (10**7, 10**8, 10**9)]
    assert full == [5e-5, 3e-5, 2e-5]
    chat = ModelTask.TEXT_GENERATION
    assert schedule.learning_rate(chat, Method.LORA, 7 * 10**9) == 2e-4
    assert schedule.learning_rate(chat, Method.QLORA, 70 * 10**9) == 1e-4


def test_warm_up_is_6_to_10_percent() -> None:
    assert [schedule.warmup_share(n) for n in (100, 10**6)] == [0.10, 0.06]


def test_all_parameters_are_trained_from_a_count_that_depends_on_the_task() -> None:
    assert not schedule.enough_for_full(ModelTask.TEXT_CLASSIFICATION, 999)
    assert schedule.enough_for_full(ModelTask.TEXT_CLASSIFICATION, 1_000)
    assert not schedule.enough_for_full(ModelTask.TEXT_TO_IMAGE, 999_999)
    assert schedule.enough_for_full(ModelTask.TEXT_TO_IMAGE, 2_000_000)


def test_few_examples_are_augmented() -> None:
    text = ModelTask.TEXT_CLASSIFICATION
    assert schedule.augmentation(text, 300).startswith("16 copies")
    assert schedule.augmentation(text, 8_000) == ""
    image = ModelTask.IMAGE_CLASSIFICATION
    assert "mixup" in schedule.augmentation(image, 500)
    assert "mixup" not in schedule.augmentation(image, 50_000)


def test_adapters_grow_with_the_data() -> None:
    assert [schedule.rank(n) for n in (100, 5_000, 50_000, 10**6)] == [8, 16, 32, 64]
