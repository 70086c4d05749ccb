"""Which network addresses belong to the public internet."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_AZURE_HOST = IPv4Address("168.63.129.16")
"""Public by its number, but what answers there is the cloud's own agent, with the machine's secrets."""
_RELAYS = (IPv4Network("192.88.99.0/24"),)

_UNICAST = IPv6Network("2000::/3")
"""All that is handed out (RFC 4291); mapped, compatible, NAT64, unique local, link-local and multicast lie outside."""
_TUNNELS = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))
"""Teredo and 6to4: an IPv4 address, which may be a private one, in disguise."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether a stranger's URL may lead there: nothing of ours, of the machine's or of its network answers."""
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return address != _AZURE_HOST and not any(address in network for network in _RELAYS)
    return address in _UNICAST and not any(address in network for network in _TUNNELS)
