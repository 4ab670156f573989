"""Overlap of benchmark items with training text: what is exact, what is near, what is only a template's words."""

from hypothesis import given
from hypothesis import strategies as st

from factory.analysis.overlap import Overlap, Seen, exact_form, grams, words

TEN = "one two three four five six seven eight nine ten"


def overlap_of(training, item, others=(), **options):
    seen = Seen(8)
    for text in training:
        seen.add(text, **options)
    return seen.overlaps([item, *others])[0]


def test_the_same_text_is_exact_whatever_its_case_and_white_space():
    assert overlap_of(["What  is\n2+3?"], "what is 2 + 3?") == Overlap(True, 0.0)  # too short for a run of eight
    assert not overlap_of(["What is 2+3?"], "what is 2-3?").exact


def test_a_share_is_counted_in_tokens_by_hand():
    # Runs of eight: tokens 0-7 and 1-8 are seen, 2-9 is not (its last word differs): nine of ten tokens.
    assert overlap_of([TEN], TEN.replace("ten", "tin")) == Overlap(False, 0.9)
    # The fifth word differs: no run of eight is left.
    assert overlap_of([TEN], TEN.replace("five", "fife")).share == 0.0


def test_an_item_inside_a_longer_training_text_is_seen_whole():
    assert overlap_of([f"Please solve this now: {TEN}. Thank you very much indeed."], TEN) == Overlap(False, 1.0)


def test_a_templates_words_say_nothing():
    template = "Use each of the numbers exactly once to reach the target of"
    others = [f"{template} {n}" for n in range(100)]
    assert overlap_of([f"{template} 999"], f"{template} 777", others).share == 0.0
    # ... unless hardly any item has them
    assert overlap_of([f"{template} 999"], f"{template} 777").share > 0.8


def test_generated_training_text_counts_exactly_or_not_at_all():
    assert overlap_of([TEN], f"{TEN} eleven", exact_only=True) == Overlap(False, 0.0)
    assert overlap_of([TEN], TEN, exact_only=True).exact


@given(st.lists(st.text(max_size=80), max_size=5), st.text(max_size=80))
def test_any_text_has_a_share_between_zero_and_one_and_itself_is_exact(training, item):
    found = overlap_of([*training, item], item)
    assert found.exact
    assert 0.0 <= found.share <= 1.0
    assert (found.share == 1.0) == (len(words(item)) >= 8)


@given(st.lists(st.sampled_from("ab"), max_size=12), st.integers(1, 9))
def test_runs_are_all_there_are(tokens, ngram):
    found = grams(tokens, ngram)
    assert len(found) == max(0, len(tokens) - ngram + 1)
    assert all(list(gram) == tokens[start : start + ngram] for start, gram in enumerate(found))
    assert exact_form(" ".join(tokens)) == "".join(tokens)
