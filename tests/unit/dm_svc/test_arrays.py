"""Array literals: whatever stands in a text, Postgres reads the same."""

from dm_svc.store import arrays


def test_texts_that_mean_something_in_an_array_are_quoted():
    assert arrays.texts(['a"b', "a\\b", "{,}", "NULL", "", None]) == r'{"a\"b","a\\b","{,}","NULL","",NULL}'


def test_byte_strings_are_hexadecimal():
    assert arrays.byte_strings([b"\x00\xff", b""]) == r'{"\\x00ff","\\x"}'


def test_booleans_are_numbers():
    assert arrays.integers([True, False, -7]) == "{1,0,-7}"
