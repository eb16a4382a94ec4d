"""The Simple Recurrent Unit for PyTorch."""

__version__ = "0.1.0"
