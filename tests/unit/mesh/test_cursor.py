"""mesh.cursor: opaque, signed, bound to one list."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.cursor import CursorInvalid, CursorSigner

SIGNER = CursorSigner("k" * 32)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4))
def test_integers_come_back(parts: list[int]) -> None:
    cursor = SIGNER.encode("home:42", *parts)
    assert SIGNER.decode_ints("home:42", cursor, len(parts)) == tuple(parts)


def test_mixed_parts_come_back_by_their_kinds() -> None:
    cursor = SIGNER.encode("list", 7, "grüße/+")
    assert SIGNER.decode("list", cursor, (int, str)) == (7, "grüße/+")


def test_a_cursor_stands_in_a_url_as_it_is() -> None:
    cursor = SIGNER.encode("s", 2**63 - 1, "ü?&=" * 20)
    assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in cursor)


@pytest.mark.parametrize("scope", ["home:43", "home:4", "author:42", ""])
def test_a_cursor_of_another_list_or_person_is_refused(scope: str) -> None:
    with pytest.raises(CursorInvalid):
        SIGNER.decode_ints(scope, SIGNER.encode("home:42", 1), 1)


def test_a_cursor_of_another_key_is_refused() -> None:
    with pytest.raises(CursorInvalid):
        CursorSigner("l" * 32).decode_ints("home:42", SIGNER.encode("home:42", 1), 1)


def test_every_changed_byte_is_noticed() -> None:
    raw = base64.urlsafe_b64decode(SIGNER.encode("home:42", 123_456) + "==")
    for place in range(len(raw)):
        changed = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        with pytest.raises(CursorInvalid):
            SIGNER.decode_ints("home:42", base64.urlsafe_b64encode(changed).decode().rstrip("="), 1)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_with_the_reason_of_the_table(text: str) -> None:
    with pytest.raises(CursorInvalid) as refused:
        SIGNER.decode_ints("home:42", text, 1)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(("parts", "kinds"), [((1,), (str,)), ((1, 2), (int,)), (("1",), (int,)), ((), (int,))])
def test_a_cursor_of_another_shape_is_refused(parts: tuple[int | str, ...], kinds: tuple[type, ...]) -> None:
    with pytest.raises(CursorInvalid):
        SIGNER.decode("s", SIGNER.encode("s", *parts), kinds)
