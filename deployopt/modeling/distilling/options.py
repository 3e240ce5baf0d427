"""How a student is taught; numbers only."""

import msgspec


class DistilOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As the step of the same name, with the seed and threads of its context."""

    epochs: int = 4
    learning_rate: float = 1e-4
    batch: int = 32
    temperature: float = 2.0
    hidden_weight: float = 1.0
    relation_weight: float = 0.0
    label_weight: float = 0.0
    layers: tuple[int, ...] = ()
    """The teacher's layers that the student was cut from; none: spread evenly."""
    patience: int = 2
    time_limit_s: float | None = None
    warm_up: float = 0.06
    weight_decay: float = 0.01
    bfloat16: bool = False
    """Products in bfloat16 (torch's autocast); weights, losses and the optimizer stay float32."""
    seed: int = 0
    threads: int = 1
    cache_bytes: int = 2**31
    """The most memory for the teacher's hidden states; over it they are asked for again."""
