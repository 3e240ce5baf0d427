"""Students that learn: from logits, hidden states and relations; what stops them, and refusals."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from deployopt.core.distill_result import Lessons
from deployopt.core.errors import StepError, TrainingError
from tests.fakes import encoders

pytestmark = pytest.mark.torch

FAMILY = "distilbert"


def silent(share: float, words: str) -> None:
    pass


def cut(teacher: Any, layers: tuple[int, ...] = (0, 2), ffn: int = 48) -> Any:
    from deployopt.modeling.pruning.scoring import scores
    from deployopt.modeling.pruning.shape import Shape
    from deployopt.modeling.pruning.surgery import prune

    shape = Shape(layers=layers, heads=encoders.HEADS, ffn=ffn)
    return prune(teacher, shape, scores(teacher, []))


def material(family: str = FAMILY, count: int = 256) -> Any:
    from deployopt.modeling.distilling.loop import Material

    return Material(
        interface=encoders.interface(family),
        train=encoders.feeds(family, count, seed=1),
        labels=(-1,) * count,
        validation=encoders.feeds(family, 96, seed=2),
    )


def teach(
    student: Any,
    teacher: Any,
    clock: Callable[[], int] = lambda: 0,
    given: Any = None,
    **options: Any,
) -> Lessons:
    from deployopt.modeling.distilling.loop import distil
    from deployopt.modeling.distilling.options import DistilOptions

    defaults: dict[str, Any] = {"epochs": 3, "learning_rate": 2e-3, "batch": 16, "layers": (0, 2)}
    chosen = DistilOptions(**(defaults | options))
    return distil(student, teacher, given or material(), chosen, silent, clock)


@pytest.fixture(scope="module")
def teacher() -> Any:
    return encoders.encoder(FAMILY, seed=3, dropout=0.0, attention_dropout=0.0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden_weight": 0.0},
        {"relation_weight": 1.0},
        {"cache_bytes": 0},
        {"hidden_weight": 0.0, "relation_weight": 1.0, "cache_bytes": 0},
        {"bfloat16": True, "relation_weight": 1.0},
    ],
)
def test_a_student_comes_nearer_to_its_teacher(teacher: Any, options: dict[str, Any]) -> None:
    student = cut(teacher)
    found = teach(student, teacher, **options)
    first, best = found.epochs[0], found.epochs[found.best_epoch]
    assert found.best_epoch > 0
    assert best.divergence < 0.6 * first.divergence
    assert best.agreement >= first.agreement
    assert found.layer_map == (1, 3)
    assert found.stopped == "epochs"
    assert found.steps == 3 * 16
    assert not student.training
    assert {str(weight.dtype) for weight in student.parameters()} == {"torch.float32"}


def test_bfloat16_is_what_products_are_worked_out_in(teacher: Any) -> None:
    one, other = (teach(cut(teacher), teacher, epochs=1, bfloat16=b) for b in (False, True))
    assert one.epochs[0] == other.epochs[0]
    assert one.epochs[1].loss != other.epochs[1].loss
    assert one.epochs[1].loss == pytest.approx(other.epochs[1].loss, rel=0.02)


def test_what_is_cached_and_what_is_asked_again_teach_the_same(teacher: Any) -> None:
    one, other = (
        teach(cut(teacher), teacher, cache_bytes=size, relation_weight=0.5, epochs=1)
        for size in (2**30, 0)
    )
    # Kept states are float16.
    assert one.epochs[-1].loss == pytest.approx(other.epochs[-1].loss, rel=1e-2)


def test_the_seed_decides_everything(teacher: Any) -> None:
    one, same, other = (teach(cut(teacher), teacher, epochs=1, seed=n) for n in (5, 5, 6))
    assert one == same
    assert one.epochs[-1] != other.epochs[-1]


def test_a_narrower_student_learns_through_a_bridge(teacher: Any) -> None:
    student = encoders.encoder(FAMILY, seed=4, dim=16, n_layers=2, dropout=0.0)
    before = {name: weight.clone() for name, weight in student.state_dict().items()}
    found = teach(student, teacher, layers=(), relation_weight=0.5, epochs=1)
    assert found.epochs[1].divergence < found.epochs[0].divergence
    assert set(student.state_dict()) == set(before)


def test_images_are_taught_too() -> None:
    teacher = encoders.encoder("vit", seed=3)
    found = teach(cut(teacher), teacher, given=material("vit", 96), epochs=2, bfloat16=True)
    assert found.epochs[found.best_epoch].divergence < found.epochs[0].divergence


def test_labels_count_where_there_are_any(teacher: Any) -> None:
    plain = material()
    labelled = msgspec.structs.replace(plain, labels=(0, *(-1,) * 255))
    one = teach(cut(teacher), teacher, given=plain, label_weight=1.0, epochs=1)
    other = teach(cut(teacher), teacher, given=labelled, label_weight=1.0, epochs=1)
    without = teach(cut(teacher), teacher, given=labelled, epochs=1)
    assert one.epochs[1].loss == without.epochs[1].loss
    assert other.epochs[1].loss != without.epochs[1].loss


def test_a_loss_that_is_no_number_ends_it(teacher: Any) -> None:
    import torch

    student = cut(teacher)
    with pytest.raises(TrainingError, match=r"(loss was (nan|inf)|not finite after epoch)"):
        teach(student, teacher, learning_rate=1e25)
    broken = cut(teacher)
    with torch.no_grad():
        broken.classifier.bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match="not finite after epoch 0"):
        teach(broken, teacher)


def test_the_best_epoch_stays_and_learning_stops_when_it_helps_no_more(teacher: Any) -> None:
    import torch

    student = cut(teacher, layers=(0, 1, 2, 3), ffn=encoders.FFN)
    before = {name: weight.clone() for name, weight in student.state_dict().items()}
    found = teach(student, teacher, layers=(), epochs=9, patience=2, learning_rate=1e-2)
    # A copy of the teacher agrees with it from the start.
    assert found.epochs[0].agreement == 1.0
    assert (found.best_epoch, found.stopped, len(found.epochs)) == (0, "no better", 3)
    for name, weight in student.state_dict().items():
        assert torch.equal(weight, before[name])


class Ticking:
    """A clock that goes a tenth of a second on at every look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 100_000_000
        return self.now


def test_the_time_limit_is_kept_and_the_rate_gets_to_zero(teacher: Any) -> None:
    clock = Ticking()
    found = teach(cut(teacher), teacher, clock, epochs=50, time_limit_s=3.0)
    assert found.stopped == "time limit"
    assert 16 < found.steps < 40
    assert clock.now <= 3.2e9
    assert found.epochs[found.best_epoch].divergence < found.epochs[0].divergence


def test_a_time_limit_in_which_nothing_can_be_learned(teacher: Any) -> None:
    with pytest.raises(TrainingError, match="before the student learned anything"):
        teach(cut(teacher), teacher, Ticking(), time_limit_s=0.2)


def test_layers_that_are_not_the_students(teacher: Any) -> None:
    with pytest.raises(StepError, match="cannot be those that were kept"):
        teach(cut(teacher), teacher, layers=(0, 1, 2))


def test_relations_ignore_padding_and_are_zero_for_the_same() -> None:
    import torch

    from deployopt.modeling.distilling.losses import relation_loss

    torch.manual_seed(0)
    one = torch.randn(2, 5, 8, requires_grad=True)
    real = torch.tensor([[1.0, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    assert float(relation_loss([one], [one.detach()], real, 4).detach()) == pytest.approx(
        0, abs=1e-6
    )
    noisy = one.detach().clone()
    noisy[1, 3:] = 7
    loss = relation_loss([one], [noisy], real, 4)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    other = relation_loss([one], [torch.randn(2, 5, 8)], real, 4)
    other.backward()
    assert float(other.detach()) > 0.01
    assert np.isfinite(one.grad.numpy()).all()
