"""Which of four sentences comes next? Questions with choices, made of the demo's editorials.

    python -m benchmarks.next_sentence questions.jsonl [--seed 0]

One question an article, so that they are independent: three sentences, then the one that follows
and three of other articles, in an order drawn by lot. They show whether a form still tells what
fits a text from what does not; they are no test of knowledge or of reasoning, and a model that was
trained on the newspaper may know them.
"""

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deployopt.catalogue.models import DEMO_CHAT
from deployopt.sources.demo import DATA, read_demo_articles
from deployopt.sources.demo_data import stored_archive
from deployopt.store.store import Store
from deployopt.store.writing import atomic_write_bytes

BEFORE: Final = 3
WRONG: Final = 3
_END: Final = re.compile(r"(?<=[.!?])(?:''|[\"'])*\s+(?=[A-Z'\"])")
_LENGTHS: Final = range(25, 301)
"""Characters of a sentence that may be a choice."""


def main() -> None:
    """Write the file, and say how many there are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path)
    asked = parser.parse_args()
    with Store(asked.store) as store:
        articles = read_demo_articles(stored_archive(store, DEMO_CHAT).folder / DATA.file_name)
    questions = list(questions_of(articles, random.Random(asked.seed)))  # noqa: S311 -- no secret
    lines = (json.dumps(question, ensure_ascii=False) for question in questions)
    atomic_write_bytes(asked.file, "".join(f"{line}\n" for line in lines).encode())
    print(f"{len(questions)} questions of {WRONG + 1} choices in {asked.file}")


def questions_of(articles: Sequence[str], lot: random.Random) -> Iterator[dict[str, object]]:
    """One of every article that is long enough."""
    texts = [[one.strip() for one in _END.split(text) if one and one.strip()] for text in articles]
    for number, sentences in enumerate(texts):
        places = [at for at in range(BEFORE, len(sentences)) if len(sentences[at]) in _LENGTHS]
        if not places:
            continue
        place = lot.choice(places)
        others = lot.sample([one for one in range(len(texts)) if one != number], 4 * WRONG)
        drawn = [lot.choice(texts[other]) for other in others if texts[other]]
        wrong = [one for one in drawn if len(one) in _LENGTHS and one not in sentences]
        choices = list(dict.fromkeys([sentences[place], *wrong]))[: WRONG + 1]
        if len(choices) < WRONG + 1:
            continue
        right = choices[0]
        lot.shuffle(choices)
        before = " ".join(sentences[place - BEFORE : place])
        yield {"ctx": before, "endings": choices, "label": choices.index(right)}


if __name__ == "__main__":
    main()
