"""What quotes mean is told or refused with the line, and no row is swallowed."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from distrecvae.data.sources.lines import Layout, LineError, physical_lines
from distrecvae.data.sources.quotes import quotes_quote
from tests.data.sources.test_lines import layout


def meant(content: str, given_layout: Layout) -> bool:
    def open_lines() -> Iterator[bytes]:
        return physical_lines(io.BytesIO(content.encode()))

    return quotes_quote(given_layout, open_lines)


@pytest.mark.parametrize(
    ("content", "n_columns", "quote"),
    [
        ('1,"a"\n2,b\n', 2, True),
        ('1,a,x,"so\nlong"\n', 4, True),
        ('1,a,5,"so\nlong, well, good, ""yes"""\n', 4, True),
        ('1,"a\n2,"b\n3,"c\n4,d\n', 2, False),
        ('1,"Heroes\n2,b\n', 2, False),
        ('1,"a\n2,b"\n', 2, False),  # an id has no line end, so these are characters
    ],
)
def test_quotes_that_mean_one_thing(content: str, n_columns: int, quote: bool) -> None:
    assert meant(content, layout(n_columns)) is quote


@pytest.mark.parametrize(
    ("content", "given_layout", "said"),
    [
        # One stray quote in 900,000 rows left 489,965: the text between two of them may be rows.
        ('1,a,1,"Heroes\n2,b,2,x\n3,c,3,7"\n', layout(4), "line 2 that is closed 2 line"),
        ('1,a,1,"x"\n2,b,2,"Heroes\n3,c,3,y\n', layout(4), "line 3 that opens a field and is never closed"),
        ('1,"a\n2,"b\n', layout(2, quoted_header=True), "in line 3 in the middle"),
        ('"1","a\nb"\n', layout(2), "line 2 that makes the item id continue"),
        ('1,"a"\n2,"b",c\n', layout(2), "has 3 fields in line 3 and 2 in its first"),
    ],
)
def test_quotes_that_may_mean_two_things_are_refused(content: str, given_layout: Layout, said: str) -> None:
    with pytest.raises(LineError, match=said):
        meant(content, given_layout)


def test_tabs_have_no_quoting_where_both_would_do() -> None:
    content = '1\ta\t1\t"Heroes\n2\tb\t2\tx\n3\tc\t3\t7"\n'
    assert meant(content, layout(4, b"\t")) is False
