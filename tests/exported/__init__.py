"""Tests of flan_jax.exported."""
