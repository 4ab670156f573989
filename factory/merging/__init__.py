"""From adapters to one adapter or one model."""
