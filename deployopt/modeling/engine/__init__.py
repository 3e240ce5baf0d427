"""Engines for GPUs, built by TensorRT for RTX in a process of its own; no GPU is needed."""
