"""One file, one strategy: `build(recipe, pools)` composes weights over tasks, selection of groups and schedule."""
