"""The backend that runs models with PyTorch itself."""
