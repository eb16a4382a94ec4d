"""The Simple Recurrent Unit: a library to build on, jobs to train with, notebooks to read."""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {"SRU": "sru", "SRUCell": "sru", "SRUpp": "srupp", "SRUppCell": "srupp"}
__all__ = ["SRU", "SRUCell", "SRUpp", "SRUppCell"]


def __getattr__(name):  # when first asked for: what starts a job or reads a notebook does without torch
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__():
    return sorted([*globals(), *__all__])
