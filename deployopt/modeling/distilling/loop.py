"""The loop: a student learns from a teacher's answers until it gets no better or time is up.

In: student and teacher as models, examples as model inputs. Out: the student with the best weights
found, and how it went. Refuses a loss that is no finite number, and a time limit in which nothing
could be learned.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from deployopt.core.distill_result import EpochScore, Lessons
from deployopt.core.errors import TrainingError
from deployopt.core.interface import ImageInputs, Interface
from deployopt.core.samples import Feed
from deployopt.modeling.batching import batches, shuffled_batches
from deployopt.modeling.distilling.losses import (
    hidden_loss,
    label_loss,
    logits_loss,
    relation_loss,
)
from deployopt.modeling.distilling.options import DistilOptions
from deployopt.modeling.distilling.parts import RELATED, parts_of
from deployopt.modeling.distilling.remembered import remembered
from deployopt.modeling.distilling.schedule import progress, rate
from deployopt.modeling.distilling.stages import as_tokens
from deployopt.modeling.distilling.teaching import (
    Targets,
    Teacher,
    inputs_of,
    real_tokens,
)
from deployopt.modeling.hooks import outputs_of
from deployopt.modeling.threads import torch_threads

_TEACHER_SHARE: Final = 0.1
_EVALUATED: Final = 64
_CLIP: Final = 1.0


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """Examples as model inputs, one each; a label of -1 says that there is none."""

    interface: Interface
    train: Sequence[Feed]
    labels: Sequence[int]
    validation: Sequence[Feed]
    digest: str = ""
    """Of teacher and examples, to remember the teacher's answers by; empty: they are forgotten."""


def distil(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    material: Material,
    options: DistilOptions,
    tell: Callable[[float, str], None],
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Lessons:
    """Teach `student` in place; it ends with the best weights by agreement on the validation split.

    Raises:
        TrainingError: the loss was no finite number, or the time was too short.
        StepError: a family that is not known, or layers that do not fit.
    """
    with torch_threads(options.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        lesson = _Lesson(student, teacher, material, options, clock)
        return lesson.run(tell)


class _Lesson:
    """One run of the loop."""

    def __init__(
        self,
        student: PreTrainedModel,
        teacher: PreTrainedModel,
        material: Material,
        options: DistilOptions,
        clock: Callable[[], int],
    ) -> None:
        self.clock, self.began = clock, clock()
        self.student, self.material, self.options = student, material, options
        interface, cache = material.interface, options.cache_bytes
        example = inputs_of(material.train, [0], interface)
        self.parts = parts_of(student, teacher, interface, options, example)
        known = remembered(material.digest) if material.digest else None
        self.teacher = Teacher(teacher, self.parts.teacher, material.train, interface, cache, known)
        self.judge = Teacher(teacher, {}, material.validation, interface, cache)
        self.bridges = nn.ModuleList(
            nn.Linear(own, other) if own != other else nn.Identity()
            for own, other in self.parts.widths
        )
        self.weights = [*student.parameters(), *self.bridges.parameters()]
        # In one pass over each weight: a third of the time of the loop over them.
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
        )
        self.random = np.random.default_rng(options.seed)
        self.limit = options.time_limit_s
        self.steps = 0

    def run(self, tell: Callable[[float, str], None]) -> Lessons:
        """Ask the teacher, learn, keep the best."""
        self.judge.answer_all(_unseen)
        self.teacher.answer_all(lambda share: tell(_TEACHER_SHARE * share, "asking the teacher"))
        scores = [self._reserve_evaluation()]
        best, state = 0, copy.deepcopy(self.student.state_dict())
        stopped = "epochs"
        for epoch in range(1, self.options.epochs + 1):
            loss, in_time = self._epoch(epoch, tell)
            if self.steps == 0:
                raise TrainingError(
                    f"The time limit of {self.options.time_limit_s:.0f} s was over before the "
                    "student learned anything: asking the teacher took "
                    f"{self._elapsed():.0f} s. Allow more time, or give fewer examples."
                )
            scores.append(self._score(epoch, loss))
            if _merit(scores[-1]) > _merit(scores[best]):
                best, state = epoch, copy.deepcopy(self.student.state_dict())
            if not in_time:
                stopped = "time limit"
                break
            if epoch - best >= self.options.patience and epoch < self.options.epochs:
                stopped = "no better"
                break
        self.student.load_state_dict(state)
        self.student.eval()
        return Lessons(
            epochs=tuple(scores),
            best_epoch=best,
            steps=self.steps,
            stopped=stopped,
            layer_map=self.parts.map,
        )

    def _elapsed(self) -> float:
        return (self.clock() - self.began) / 1e9

    def _reserve_evaluation(self) -> EpochScore:
        """Score the student as it came, and keep that much time for its last score."""
        before = self._elapsed()
        found = self._score(0, None)
        if self.limit is not None:
            self.limit = max(0.0, self.limit - (self._elapsed() - before))
        return found

    def _epoch(self, epoch: int, tell: Callable[[float, str], None]) -> tuple[float, bool]:
        """One pass; the mean loss, and whether the time was enough for all of it."""
        self.student.train()
        groups = self._groups()
        total, losses, count = len(groups) * self.options.epochs, 0.0, 0
        for at, rows in enumerate(groups):
            done = (epoch - 1) * len(groups) + at
            share = progress(done, total, self._elapsed(), self.limit)
            if share >= 1:
                return losses / max(1, count), False
            losses += self._step(rows, share + 0.5 / total) * len(rows)
            count += len(rows)
            tell(_TEACHER_SHARE + (1 - _TEACHER_SHARE) * share, f"epoch {epoch}")
        return losses / max(1, count), True

    def _groups(self) -> list[list[int]]:
        """The batches of an epoch; one image alone has no variance to be normalized by."""
        material = self.material
        groups = shuffled_batches(
            material.train, material.interface, self.options.batch, self.random
        )
        if isinstance(material.interface.inputs, ImageInputs):
            return [rows for rows in groups if len(rows) > 1] or groups
        return groups

    def _step(self, rows: Sequence[int], share: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * rate(share, self.options.warm_up)
        inputs = inputs_of(self.material.train, rows, self.material.interface)
        mixed = torch.autocast("cpu", torch.bfloat16, enabled=self.options.bfloat16)
        with outputs_of(self.parts.student) as given, mixed:
            logits = self.student(**inputs, return_dict=False)[0].float()
        states = {name: as_tokens(state).float() for name, state in given.items()}
        loss = self._loss(logits, states, self.teacher.targets(rows), inputs, rows)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise TrainingError(
                f"The loss was {value} at step {self.steps + 1}, so the student learns nothing "
                "any more. Lower the learning rate, and check that the teacher's answers are "
                "finite."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, _CLIP)
        self.optimizer.step()
        self.steps += 1
        return value

    def _loss(
        self,
        logits: Tensor,
        states: dict[str, Tensor],
        targets: Targets,
        inputs: dict[str, Tensor],
        rows: Sequence[int],
    ) -> Tensor:
        options = self.options
        loss = logits_loss(logits, targets.logits, options.temperature)
        if len(self.bridges):
            names = [f"hidden {at}" for at in range(len(self.bridges))]
            said = [bridge(states[n]) for bridge, n in zip(self.bridges, names, strict=True)]
            real = [real_tokens(inputs, each) for each in said]
            wanted = [targets.states[name] for name in names]
            loss = loss + options.hidden_weight * hidden_loss(said, wanted, real)
        if options.relation_weight > 0:
            one = [states[name] for name in RELATED]
            other = [targets.states[name] for name in RELATED]
            real = real_tokens(inputs, one[0])
            loss = loss + options.relation_weight * relation_loss(
                one, other, real, self.parts.heads
            )
        if options.label_weight > 0:
            labels = torch.tensor([self.material.labels[row] for row in rows])
            loss = loss + options.label_weight * label_loss(logits, labels)
        return loss

    def _score(self, epoch: int, loss: float | None) -> EpochScore:
        """Agreement and divergence on the validation split."""
        self.student.eval()
        feeds, same, apart = self.material.validation, 0, 0.0
        for rows in batches(feeds, self.material.interface, _EVALUATED):
            with torch.no_grad():
                inputs = inputs_of(feeds, rows, self.material.interface)
                said = self.student(**inputs, return_dict=False)[0]
            wanted = self.judge.logits[rows]
            same += int((said.argmax(dim=1) == wanted.argmax(dim=1)).sum())
            apart += float(
                functional.kl_div(
                    functional.log_softmax(said, dim=1),
                    functional.log_softmax(wanted, dim=1),
                    reduction="sum",
                    log_target=True,
                )
            )
        if not math.isfinite(apart):
            raise TrainingError(
                f"The student's answers were not finite after epoch {epoch}. Lower the learning "
                "rate; if it is epoch 0, the student came with such weights."
            )
        return EpochScore(
            epoch=epoch, loss=loss, agreement=same / len(feeds), divergence=apart / len(feeds)
        )


def _unseen(share: float) -> None:
    """Too short to be shown."""


def _merit(score: EpochScore) -> tuple[float, float]:
    return score.agreement, -score.divergence
