"""Networks of keys, against what RFC 4632 and RFC 4291 say."""

import pytest

from apps.workspaces.networks import NoNetwork, network, plain, within


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        ([], "203.0.113.9", True),
        ([], None, True),
        (["203.0.113.0/24"], "203.0.113.255", True),
        (["203.0.113.0/24"], "203.0.114.0", False),
        (["203.0.113.0/25"], "203.0.113.128", False),
        (["203.0.113.7/32"], "203.0.113.7", True),
        (["2001:db8::/32"], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["203.0.113.0/24"], "::ffff:203.0.113.1", True),  # IPv4 over an IPv6 socket
        (["::/0"], "203.0.113.1", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["203.0.113.0/24", "2001:db8::/32"], "2001:db8::1", True),
        (["203.0.113.0/24"], None, False),
        (["203.0.113.0/24"], "", False),
        (["203.0.113.0/24"], "203.0.113.1, 10.0.0.1", False),
        (["fe80::/10"], "fe80::1%eth0", True),
    ],
)
def test_within(networks: list[str], address: str | None, inside: bool) -> None:
    assert within(networks, address) is inside


@pytest.mark.parametrize("text", ["203.0.113.1/24", "203.0.113.0/33", "x", "", "1/x", "203.0.113.0/24 2001:db8::/32"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(NoNetwork):
        network(text)


def test_forms() -> None:
    assert network(" 203.0.113.7 ") == "203.0.113.7/32"
    assert network("2001:0DB8:0::/48") == "2001:db8::/48"
    assert plain("2001:0DB8::0001") == "2001:db8::1"
    assert plain("garbage") is None
