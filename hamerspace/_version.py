"""Where the number stands for what must not import the public names."""

__version__ = "0.1.0"
