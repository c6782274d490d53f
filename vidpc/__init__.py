"""vidpc: video and point-cloud transformers from the command line."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("vidpc")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
