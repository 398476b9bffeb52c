"""The values about groups and reading are part of the set that everybody takes from one place."""

import inspect

from udpim.wire import im_group_packets, im_packets


def test_each_is_exported_with_the_other_packets():
    own = {
        name: value
        for name, value in vars(im_group_packets).items()
        if inspect.isclass(value) and value.__module__ == im_group_packets.__name__
    }
    assert 8 == len(own)
    assert own == {name: getattr(im_packets, name) for name in own}
    assert own.keys() <= set(im_packets.__all__)
