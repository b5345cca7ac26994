"""What is left out of a report, in which order, and that it is said."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ci.report.fit import Frame, Section, fit, make_section, size

FRAME = Frame(head="# head", foot="foot")
ELSEWHERE = "More is elsewhere."


def section(title: str, *shown: tuple[int, int]) -> Section:
    """Of `(weight, length)`; each text begins with the title."""
    return make_section(title, *((weight, (title * length)[:length]) for weight, length in shown))


def shown(limit: int, *sections: Section) -> str:
    return fit([FRAME], sections, limit=limit, elsewhere=ELSEWHERE)


def test_all_of_it_where_there_is_room() -> None:
    assert shown(100, section("a", (1, 5)), section("b", (2, 5))) == (
        "# head\n\naaaaa\n\nbbbbb\n\nfoot\n"
    )


def test_the_least_weight_goes_first_and_is_named() -> None:
    body = shown(130, section("a", (5, 50)), section("b", (1, 50)), section("c", (9, 20)))
    assert "bb" not in body
    assert "a" * 50 in body
    assert "_Shortened to fit: b. More is elsewhere._\n\nfoot" in body


def test_a_long_section_is_shortened_before_a_short_one_goes() -> None:
    plan, graph = section("p", (1, 5_000), (60, 30)), section("g", (10, 30))
    body = shown(200, plan, graph)
    assert "p" * 30 in body
    assert "g" * 30 in body


def test_what_went_in_vain_is_given_back() -> None:
    """`light` weighs least and goes first; only then goes `heavy`, which makes room for both."""
    light, heavy = section("l", (1, 60)), section("h", (2, 9_000))
    body = shown(200, light, heavy)
    assert "l" * 60 in body
    assert "Shortened to fit: h." in body


def test_a_smaller_frame_where_the_whole_one_takes_half() -> None:
    frames = [Frame(head="# a long head " * 10, foot="foot"), FRAME]
    parts = [section("a", (1, 20))]
    assert fit(frames, parts, limit=400, elsewhere="").startswith("# a long head")
    assert fit(frames, parts, limit=200, elsewhere="").startswith("# head")


sections = st.lists(
    st.lists(st.tuples(st.integers(1, 100), st.integers(1, 3_000)), min_size=1, max_size=4),
    max_size=8,
)


@given(sections, st.integers(200, 9_000))
def test_it_always_fits_and_says_what_is_missing(
    parts: list[list[tuple[int, int]]], limit: int
) -> None:
    made = [
        section(title, *sorted(each, key=lambda pair: -pair[1]))
        for title, each in zip("abcdefgh", parts, strict=False)
    ]
    body = shown(limit, *made)
    assert size(body) <= limit
    assert body.startswith("# head\n")
    assert body.endswith("\n\nfoot\n")
    whole = [each.variants[0] in body for each in made]
    assert ("_Shortened to fit: " in body) <= (not all(whole))


@given(sections)
def test_more_room_never_shows_less_of_the_weightiest(
    parts: list[list[tuple[int, int]]],
) -> None:
    made = [section("a", (101, 50)), *(section("b", *each) for each in parts)]
    seen = [("a" * 50) in shown(limit, *made) for limit in range(200, 2_000, 200)]
    assert all(later >= earlier for earlier, later in itertools.pairwise(seen))
