"""Helpers around tensors: removable hooks and, under `data`, datasets and loaders."""

from . import data, hooks

__all__ = ["data", "hooks"]
