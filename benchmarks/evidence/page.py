"""The page: sections of words, tables and pictures, in one file that opens without a network."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from app.domain.rates import Rate

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;
color:#1c2733}
h1{font-size:1.7rem}
h2{margin-top:2.5rem;border-bottom:1px solid #cfd8e0;padding-bottom:.2rem}
table{border-collapse:collapse;margin:1rem 0}
th,td{border:1px solid #cfd8e0;padding:.3rem .7rem;text-align:left}
th{background:#eef2f6}
svg{max-width:100%;height:auto;display:block;margin:1rem 0}
svg text{font:12px system-ui,sans-serif}
.grid{stroke:#dfe5eb;stroke-width:1}
.note{color:#55636f}
@media print{svg,table{break-inside:avoid}}
"""


@dataclass(slots=True)
class Section:
    """A part of the report; `figures` go to the JSON file as they are."""

    title: str
    notes: list[str] = field(default_factory=list)
    tables: list[tuple[Sequence[str], Sequence[Sequence[str]]]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)

    def html(self) -> str:
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in self.notes)
        tables = "".join(_table(head, rows) for head, rows in self.tables)
        return f"<h2>{escape(self.title)}</h2>{notes}{tables}{''.join(self.pictures)}"


def told(rate: Rate) -> str:
    """A rate with its interval at 95 % and its trials."""
    if not rate.trials:
        return "-"
    low, high = rate.interval
    return f"{rate.value:.2%} ({low:.2%} to {high:.2%} of {rate.trials:,})"


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole document."""
    body = "".join(section.html() for section in sections)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"
