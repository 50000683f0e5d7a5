"""A study to start from: written from what a model reveals, or copied from one that comes along."""

from hamerspace.search.starter.examples import copy_example
from hamerspace.search.starter.text import search_command
from hamerspace.search.starter.write import Starter, write_starter

__all__ = ["Starter", "copy_example", "search_command", "write_starter"]
