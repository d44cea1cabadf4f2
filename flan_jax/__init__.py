"""Instruction tuning the FLAN way on JAX."""

__version__ = '0.1.0'
