"""The Simple Recurrent Unit: a library to build on, jobs to train with, notebooks to read."""

__version__ = "0.1.0"

from .sru import SRU, SRUCell
from .srupp import SRUpp, SRUppCell

__all__ = ["SRU", "SRUCell", "SRUpp", "SRUppCell"]
