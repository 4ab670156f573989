"""To the Hugging Face Hub and back: model cards, push, pull."""
