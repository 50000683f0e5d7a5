"""Programs that some tests want and that pip does not install."""

import shutil

NAMES = {
    "browser": ("chromium", "chromium-browser", "google-chrome", "chrome"),
    "compiler": ("g++", "clang++"),
}


def find(kind):
    """The path of the first of a kind that is there, or ``None``."""
    return next(filter(None, map(shutil.which, NAMES[kind])), None)
