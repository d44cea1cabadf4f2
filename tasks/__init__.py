"""Declarations of datasets and their instruction templates."""
