"""The task: source models, data, metrics, and conversions between model formats."""
