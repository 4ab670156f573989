"""From a recipe to an adapter, with its whole history."""
