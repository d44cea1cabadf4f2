"""Finds faults of declarations that no program stumbles over: in templates, in fields, in what rows become."""
