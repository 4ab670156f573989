"""One file, one strategy: how the prompts of a step are drawn from the tasks."""
