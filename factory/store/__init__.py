"""What is on disk: bases, adapters, merges, cells, studies; each a folder with a card, found by content key."""
