"""Which of several processes this is: one of torchrun's or `accelerate launch`'s, or the only one.

The leader alone writes and prints. Everything is told by the environment, so that the command line
can ask without torch.
"""

import os
from typing import Final

_TIMEOUT_S: Final = 3_600


def process_count() -> int:
    """How many processes train together."""
    return max(1, int(os.environ.get("WORLD_SIZE", "1") or 1))


def is_leader() -> bool:
    """Whether this is the one that writes and prints."""
    return int(os.environ.get("RANK", "0") or 0) == 0


def join() -> None:
    """Meet the other processes, where there are any: NCCL between GPUs, gloo between CPUs."""
    if process_count() == 1:
        return
    from datetime import timedelta

    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        if backend == "nccl":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group(backend, timeout=timedelta(seconds=_TIMEOUT_S))


def leave() -> None:
    """Part from the others."""
    if process_count() > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()


def wait() -> None:
    """Until every process is here."""
    if process_count() > 1:
        import torch.distributed as dist

        dist.barrier()


def told_by_leader(text: str) -> str:
    """What the leader says, in every process."""
    if process_count() == 1:
        return text
    import torch.distributed as dist

    said: list[str | None] = [text if is_leader() else None]
    dist.broadcast_object_list(said, src=0)
    return said[0] or ""
