"""Options that cannot be meant are refused by name."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.memory import Method
from deployopt.core.training import TrainingOptions

USUAL = TrainingOptions(method=Method.FULL)


def test_the_usual_options_hold() -> None:
    USUAL.check()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"epochs": 0}, "--epochs is 0"),
        ({"batch": -1}, "--batch is -1"),
        ({"rank": 0}, "--rank is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"patience": -1}, "--patience"),
        ({"learning_rate": 0.0}, "--learning-rate is 0"),
        ({"learning_rate": float("nan")}, "--learning-rate is nan"),
        ({"warmup_share": 1.0}, "--warmup is 1"),
        ({"trained_share": 0.0}, "--trained-share is 0"),
        ({"unfreeze_every": -1}, "--unfreeze-every is -1"),
        ({"unfreeze_every": 1}, None),
        ({"unfreeze_every": 2}, "--epochs 5 or more"),
        ({"unfreeze_every": 2, "method": Method.FREEZE}, None),
        ({"unfreeze_every": 3, "method": Method.FREEZE}, "--epochs 4 or more"),
        ({"unfreeze_every": 1, "method": Method.LORA}, "of --method full and freeze"),
        ({"precision": Precision.INT8}, "--precision int8"),
    ],
)
def test_a_wrong_option_is_named(changed: dict[str, object], named: str | None) -> None:
    options = msgspec.structs.replace(USUAL, **changed)
    if named is None:
        options.check()
        return
    with pytest.raises(UsageError, match=named):
        options.check()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"class_weights": True}, "--class-weights"),
        ({"augment": True}, "--augment"),
        ({"unfreeze_every": 1}, "--unfreeze-every"),
    ],
)
def test_what_is_of_classifiers_is_refused_of_language_models(
    changed: dict[str, object], named: str
) -> None:
    USUAL.check_for_language()
    with pytest.raises(UsageError, match=f"{named} is of classifiers"):
        msgspec.structs.replace(USUAL, **changed).check_for_language()
