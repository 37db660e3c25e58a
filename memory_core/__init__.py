"""A memory that learns: the core, without any service around it."""

__version__ = "0.1.0"
