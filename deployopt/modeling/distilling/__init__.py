"""A student learns what a teacher answers, and how its layers come to it; labels are optional.

The loop is short and its own: what a large trainer brings (devices, checkpoints, logging) is not
needed for a student that learns in minutes, and what counts here is not in one: the teacher is
asked once for every example and its answers are kept, batches hold texts of like length and no
more padding than that, the learning rate reaches zero when the time is up, and the best student by
agreement with the teacher is the one that stays.
"""
