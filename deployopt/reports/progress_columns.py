"""The columns of progress at a terminal: texts of a fixed width, never wrapped, never markup."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TextColumn


def text_column(template: str, width: int) -> "TextColumn":
    """A column of `width` that shows a task's field, such as `{task.description}`."""
    from rich.progress import TextColumn
    from rich.table import Column

    column = Column(width=width, no_wrap=True, overflow="ellipsis")
    return TextColumn(template, markup=False, table_column=column)
