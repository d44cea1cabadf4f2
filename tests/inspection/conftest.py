"""The rows that the linter's tests have."""

from tests.lint.conftest import suite, untouched  # noqa: F401
