"""The NAT of the virtual networks."""

from udpim.testing.nat import Nat

INSIDE, OTHER = ("10.0.0.2", 5000), ("10.0.0.3", 5000)


def test_a_binding_is_the_same_while_it_is_used():
    nat = Nat("192.0.2.99", 30.0)
    public = nat.outward(INSIDE, 0.0)
    assert public[0] == "192.0.2.99"
    assert public == nat.outward(INSIDE, 30.0) == nat.outward(INSIDE, 60.0)
    assert INSIDE == nat.inward(public, 90.0)


def test_each_inside_address_has_a_binding_of_its_own():
    nat = Nat("192.0.2.99", 30.0)
    assert nat.outward(INSIDE, 0.0) != nat.outward(OTHER, 0.0)


def test_a_binding_that_is_not_used_is_forgotten_and_another_one_takes_its_place():
    nat = Nat("192.0.2.99", 30.0)
    public = nat.outward(INSIDE, 0.0)
    assert nat.inward(public, 30.1) is None
    again = nat.outward(INSIDE, 31.0)
    assert again != public
    assert nat.inward(public, 31.0) is None
    assert INSIDE == nat.inward(again, 31.0)
    assert 2 == nat.forgotten


def test_what_comes_in_refreshes_only_where_it_is_said_to():
    for refreshes in (False, True):
        nat = Nat("192.0.2.99", 30.0, inward_refreshes=refreshes)
        public = nat.outward(INSIDE, 0.0)
        nat.inward(public, 20.0)
        assert (nat.inward(public, 45.0) == INSIDE) is refreshes


def test_a_rebinding_forgets_all_at_once_and_may_change_the_public_side():
    nat = Nat("192.0.2.99", 30.0)
    first = nat.outward(INSIDE, 0.0)
    nat.rebind()
    second = nat.outward(INSIDE, 1.0)
    assert (first[0], True) == (second[0], first[1] != second[1])
    nat.rebind("192.0.2.98")
    third = nat.outward(INSIDE, 2.0)
    assert "192.0.2.98" == third[0]
    assert [None, None, INSIDE] == [nat.inward(public, 3.0) for public in (first, second, third)]
    assert [INSIDE] * 3 == [nat.whose(public) for public in (first, second, third)]
    assert nat.whose(("192.0.2.99", 1)) is None
