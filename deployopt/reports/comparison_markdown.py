"""A comparison for a pull request: GitHub Markdown, the outcome first.

In: a result record. Out: text in which nothing that came from a model or a file is markup.
"""

from collections.abc import Iterator

from deployopt.core.comparison import Comparison
from deployopt.core.result import CompareResult
from deployopt.core.text import safe_record
from deployopt.reports import comparison_words as words
from deployopt.reports.markdown_text import ICONS, escape, table
from deployopt.reports.words import machine_words, sentences


def compare_markdown(result: CompareResult) -> str:
    """A comparison as a comment or a step summary."""
    result = safe_record(result)
    found = result.comparison
    word = found.outcome.value
    names = f"{escape(found.new.name)} against {escape(found.old.name)}"
    lines = [f"### {ICONS[word]} {names}: {word}", "", *baseline_lines(found), ""]
    place = f"on {words.place_words(found)} ({machine_words(found.machine)})"
    lines += [f"Measured {escape(place)}, {words.rounds_words(found)}."]
    lines += [f"Margins: {words.margin_words(found)}.", ""]
    lines += [f"- Old: {escape(found.old.bundle or found.old.name)}"]
    lines += [f"- New: {escape(found.new.bundle or found.new.name)}"]
    lines += [f"- Warning: {escape(warning)}" for warning in result.warnings]
    return "\n".join(lines) + "\n"


def baseline_lines(found: Comparison) -> Iterator[str]:
    """The sentence, the table and the notes, as they stand in a build's summary too."""
    yield escape(sentences(words.in_short(found), *found.reasons))
    yield ""
    head = ("what", "old", "new", "change", "bounds", "outcome")
    rows = [
        [
            words.aspect_words(d),
            escape(words.old_words(d)),
            escape(words.new_words(d)),
            escape(words.change_words(d)),
            escape(words.bounds_words(d)),
            f"{words.change_mark(d)} {words.change_word(d)}",
        ]
        for d in found.differences
    ]
    yield from table(head, rows)
    yield ""
    yield from (f"- {escape(name)}: {escape(text)}" for name, text in words.notes_of(found))
    yield from (f"- {escape(note)}" for note in found.notes)
