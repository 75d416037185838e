"""The version of evonas, in one place."""

__version__ = "0.1.0"
