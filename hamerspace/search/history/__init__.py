"""What studies found, kept in one file of the user's, for the first trials of later ones."""
