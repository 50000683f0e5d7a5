"""From a recipe to a candidate: stages, the store of their results, the isolated worker."""
