"""The controller interface."""

from inspect import signature

from udpim.hop.congestion import Controller
from udpim.hop.newreno import NewReno


def test_newreno_has_every_method_of_the_interface_with_its_signature():
    names = [name for name in vars(Controller) if name.startswith("on_")]
    assert names == ["on_ack", "on_loss", "on_spurious_loss"]
    for name in names:
        assert signature(getattr(NewReno, name)) == signature(getattr(Controller, name))
