"""A study to start from: written from what a model reveals, or copied from one that comes along."""
