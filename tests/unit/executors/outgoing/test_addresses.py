import ipaddress

import pytest

from executors.outgoing.addresses import AllowedHosts, is_public


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "172.32.0.1",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_address_of_the_internet_is_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.8.8.8"),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::7f00:1", "::8.8.8.8", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::"),
        *("3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:100.64.0.1", "::ffff:0:7f00:1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
    ],
)
def test_address_inside_a_network_or_with_another_inside_is_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


def test_allowed_host_is_one_at_every_port_or_at_its_own():
    allowed = AllowedHosts.parse(["Inner.example", "db.example:8080", "[::1]:81"])

    assert allowed.has_host("inner.example", 1234)
    assert allowed.has_host("db.example", 8080)
    assert allowed.has_host("[::1]", 81)
    assert not allowed.has_host("db.example", 80)
    assert not allowed.has_host("x.inner.example", 80)


def test_allowed_network_is_one_of_addresses():
    allowed = AllowedHosts.parse(["10.1.0.0/16", "fd00::/8"])

    assert allowed.has_address(ipaddress.ip_address("10.1.2.3"))
    assert allowed.has_address(ipaddress.ip_address("fd00::1"))
    assert not allowed.has_address(ipaddress.ip_address("10.2.0.1"))


@pytest.mark.parametrize(
    "entry", ["", "a b", "host:", "host:0", "host:65536", "host:x", "http://host", "10.0.0.1/8", "10.0.0.0/33", "::1"]
)
def test_entry_that_can_be_read_as_nothing_is_named(entry):
    with pytest.raises(ValueError, match="is not a") as caught:
        AllowedHosts.parse([entry])

    assert repr(entry) in str(caught.value)
