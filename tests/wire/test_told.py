"""Words for a declaration's rule change nothing but the words."""

import construct as c
import pytest

from udpim.wire.told import told


def odd():
    return c.ExprValidator(c.Int8ub, lambda value, _: value % 2)


def test_the_words_are_those_of_the_declaration_and_of_a_field_of_it():
    declaration = told(odd(), "odd")
    assert "odd" == declaration.docs
    assert "odd" == ("field" / declaration).docs


def test_errors_name_the_same_path_with_and_without_words():
    paths = []
    for declaration in (odd(), told(odd(), "odd")):
        with pytest.raises(c.ValidationError) as caught:
            c.Struct("field" / declaration).parse(b"\x02")
        paths.append(caught.value.path)
    assert ["(parsing) -> field"] * 2 == paths
