"""The version: here, so that pyproject.toml and the saved pictures say the same."""

__version__ = "0.1.0"
