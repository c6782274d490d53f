"""Weights files: reading, the registry of known ones, the cache and its downloads, published layouts."""

from .files import Header, WeightsFile, read, read_header, write

__all__ = ["Header", "WeightsFile", "read", "read_header", "write"]
