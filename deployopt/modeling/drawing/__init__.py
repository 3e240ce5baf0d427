"""Pipelines that draw: opened by diffusers, asked as the reference, exported part by part."""
