"""Engines and plans for NVIDIA cards, built by a library of NVIDIA's in a process of its own."""
