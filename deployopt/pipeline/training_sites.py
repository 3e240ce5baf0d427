"""What this machine has to train with; it asks torch."""

from deployopt.pipeline.training_options import Site


def this_site() -> Site:
    """The GPU, if there is one, whether bf16 gains, and how many processes train together."""
    from deployopt.modeling.training.places import gains_from_bf16, on_gpu, trains_in_four_bits
    from deployopt.modeling.training.ranks import process_count

    return Site(
        gpu=on_gpu(),
        bf16=gains_from_bf16(),
        four_bits=trains_in_four_bits(),
        processes=process_count(),
    )
