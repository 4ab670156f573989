"""A base small enough to be made in seconds; it has the tokenizer, the template and the shape of the embedded one."""

from factory.core.recipes import EmbeddedRecipe

PICO = EmbeddedRecipe(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=1,
    num_attention_heads=2,
    vocab_size=400,
    steps=60,
    batch_size=16,
)
