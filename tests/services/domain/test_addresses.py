"""Which addresses a stranger's URL may lead to, beside the registries of what is not public."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.addresses import is_public

RELAYS = IPv4Network("192.88.99.0/24")


@given(st.ip_addresses())
def test_is_public_never_takes_what_python_knows_to_be_special(address: IPv4Address | IPv6Address) -> None:
    """Hypothesis draws often from IANA's registries of special networks; Python has them too."""
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_is_public_takes_all_other_ipv4(address: IPv4Address) -> None:
    """Refusing too much would be a fault as well."""
    if address.is_global and not address.is_multicast and address not in RELAYS:
        assert is_public(address) or address in IPv4Network("192.0.0.0/24")


@given(st.ip_addresses(v=6))
def test_is_public_refuses_ipv6_outside_of_global_unicast(address: IPv6Address) -> None:
    """What is not handed out to anybody is nobody's."""
    if address not in IPv6Network("2000::/3"):
        assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1",
        "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "100::1",
        "169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "0.0.0.0", "255.255.255.255",
    ],
)  # fmt: skip
def test_is_public_refuses_what_has_fooled_others(address: str) -> None:
    """Loopback and private addresses in every disguise, and the clouds' metadata services."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::8a"])
def test_is_public_takes_the_internet(address: str) -> None:
    """Otherwise there would be nothing to fetch."""
    assert is_public(ip_address(address))
