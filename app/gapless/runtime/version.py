"""The version, for the package's metadata, the command and the API's description."""

__version__ = "0.1.0"
