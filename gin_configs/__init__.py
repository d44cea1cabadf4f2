"""Gin files by name: models/, peft/, mixtures/, runs/, experiments/."""
