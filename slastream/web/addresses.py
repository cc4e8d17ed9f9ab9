"""Addresses that somebody else names: only those of the Internet, and of networks that the operator allows.

A name is looked up for each connection and its addresses are judged then, so it does not help to change what it stands for later.
"""

import ipaddress
import socket
from collections.abc import Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class RefusedAddressError(OSError):
    """The receiver is at an address that nobody may be sent to."""


def why_refused(address: str, allowed: Sequence[Network]) -> str | None:
    """None for an address of the Internet, or of an allowed network; else what it is."""
    ip = _inner(ipaddress.ip_address(address.partition("%")[0]))
    is_outside = ip.is_global and not ip.is_multicast and not ip.is_reserved
    if is_outside or any(ip.version == network.version and ip in network for network in allowed):
        return None
    return f"{address} is no address of the Internet; if it is meant, write it into allow_networks"


def _inner(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or ip


class GuardedResolver(AbstractResolver):
    """Names to addresses that are allowed; all of them must be."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            if (why := why_refused(one["host"], self._allowed)) is not None:
                raise RefusedAddressError(why)
        return found

    async def close(self) -> None:
        await self._resolver.close()
