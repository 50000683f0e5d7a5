"""Search spaces: from a declaration to suggestions, recipes and their number."""
