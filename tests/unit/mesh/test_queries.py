"""mesh.queries: a file of named statements."""

import pytest

from mesh import queries


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package with such a `queries.sql`, and returns its name."""

    def make(text):
        folder = tmp_path / f"package_of_{tmp_path.name}"
        (folder / "sql").mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "sql" / "queries.sql").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return folder.name

    return make


def test_each_statement_has_its_name_its_comment_and_no_semicolon(package):
    loaded = queries.load(package("-- Posts.\n-- name: one\n-- Why.\nSELECT 1;\n\n-- name: two\nSELECT\n  2\n"))
    assert list(loaded) == ["one", "two"]
    assert loaded["one"].sql == "-- Why.\nSELECT 1"
    assert loaded["two"].sql == "SELECT\n  2"


def test_a_name_that_stands_twice_is_refused(package):
    with pytest.raises(ValueError, match="two queries are named one"):
        queries.load(package("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n"))
