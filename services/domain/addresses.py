"""Which network addresses belong to the public internet.

Written out, because Python's own `is_global` has gaps that depend on its version (192.0.0.192, where one cloud keeps
its machines' secrets, counts as global up to 3.11).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_SPECIAL = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by its number, but Azure's own agent answers there
        "169.254.0.0/16",  # link-local, with most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, with Oracle's metadata
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
"""IANA's registry of special-purpose IPv4 addresses, and two that clouds made special."""

_UNICAST = IPv6Network("2000::/3")
"""All that is handed out (RFC 4291); mapped, compatible, NAT64, unique local, link-local and multicast lie outside."""
_SPECIAL_UNICAST = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, with Teredo: an IPv4 address in disguise
        "2001:db8::/32",
        "2002::/16",  # 6to4: another disguise
        "3fff::/20",
    )
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether a stranger's URL may lead there: nothing of ours, of the machine's or of its network answers."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL)
    return address in _UNICAST and not any(address in network for network in _SPECIAL_UNICAST)
