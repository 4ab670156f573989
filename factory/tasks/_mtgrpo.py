"""Rows of MT-GRPO's published files (arXiv 2602.05547; github.com/rsshyam/MT-GRPO, in verl's layout).

The prompt stands whole in a row, with the frame for bases that have no chat template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factory.core.errors import BadInput
from factory.tasks._dataset import Dataset, Part
from factory.tasks._style import RAW_FRAME

ORIGIN = "github.com/rsshyam/MT-GRPO, offline mirror"
FIELDS = {"data_source": str, "prompt": list, "reward_model": dict, "extra_info": dict}
_BEFORE, _AFTER = RAW_FRAME.split("{question}")


@dataclass(frozen=True, slots=True)
class Published:
    """A published row.

    Attributes:
        id: its file's name for the data and its place there, such as `zebra-easy-test-0`.
        prompt: the whole text to be continued.
        question: what stands in the prompt's frame.
        truth: `{"target"}`, for countdown with `numbers`.
        difficulty: 1 to 4.
    """

    id: str
    prompt: str
    question: str
    truth: dict[str, Any]
    difficulty: int


def files(task: str, **names: str) -> Dataset:
    """The dataset of a task whose parts are files of the mirror."""
    return Dataset(task, "", {part: Part(f"mtgrpo/{name}.parquet", FIELDS) for part, name in names.items()})


def published(plain: dict[str, Any], where: str) -> Published:
    """A row as it was read.

    Raises:
        BadInput: it is not laid out as the authors' files are.
    """
    try:
        prompt, extra = plain["prompt"][0]["content"], plain["extra_info"]
        question = prompt.removeprefix(_BEFORE).removesuffix(_AFTER)
        name = f"{plain['data_source']}-{extra['index']}"
        truth = dict(plain["reward_model"]["ground_truth"])
        str(truth["target"])
        return Published(name, prompt, question, truth, int(extra["difficulty"]))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(
            f"{where}: expected prompt[0].content, reward_model.ground_truth.target and extra_info with index and "
            f"difficulty ({type(error).__name__}: {error}); the file is not MT-GRPO's"
        ) from error
