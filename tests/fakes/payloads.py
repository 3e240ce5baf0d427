"""Five hundred texts that have broken a terminal, a CI log, a web page or a reader somewhere."""

import random
from itertools import cycle
from typing import Final

_CONTROLS: Final = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0))]
_INVISIBLE: Final = [
    chr(c)
    for c in (
        *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x180E, 0x2028, 0x2029, 0x3164, 0xFEFF, 0xFFA0),
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        *(0xE0001, 0xE0041, 0xE0100, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF),
    )
]
_WHOLE: Final = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "\r\x1b[KACCEPTED",
    "::error file=a,line=1::boom",
    "x\n::set-output name=a::b",
    " \t::add-mask::secret",
    "::stop-commands::token",
    "##[error]boom",
    "###[group]x",
    ":::warning:::x",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><svg/onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "javascript:alert(1)",
    "]]><!--",
    "-->",
    "&lt;script&gt;&#60;b&#62;",
    "{{ 7 * 7 }}",
    "{% for x in range(10**9) %}{% endfor %}",
    "{{ r.__class__.__mro__ }}",
    "[bold red]markup[/bold red]",
    "[link=http://evil.example]x[/link]",
    "[/]",
    "![x](http://evil.example/a.png)",
    "[click](http://evil.example)",
    "@everyone see #1 and GH-1",
    "www.evil.example",
    "a|b|c\n|---|\n",
    "```sh\nrm -rf /\n```",
    "$(rm -rf /)",
    "'; DROP TABLE x; --",
    "%s%n%x",
    "\u202egnp.exe",
    "e" + "\u0301" * 400,
    "\ufdfd" * 50,
    "汉字" * 200,
    "👨‍👩‍👧‍👦" * 30,
    "x" * 5000,
    "",
    " ",
    "\n",
]


def payloads(number: int = 500) -> list[str]:
    """The same texts each time: whole ones, each odd character, then random mixtures."""
    made = [*_WHOLE, *(f"a{c}b" for c in (*_CONTROLS, *_INVISIBLE))]
    chance = random.Random(11)  # noqa: S311 -- no secret
    parts = cycle(_WHOLE)
    while len(made) < number:
        odd = chance.choices([*_CONTROLS, *_INVISIBLE], k=4)
        made.append(f"{odd[0]}{next(parts)}{odd[1]}{odd[2]}{next(parts)}{odd[3]}")
    return made[:number]
