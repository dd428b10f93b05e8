import socket

import pytest

from maestro.embedded import ports
from maestro.embedded.errors import PortTaken
from maestro.embedded.record import Ports


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind((ports.HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_free_ports_differ():
    found = ports.find_free(5)

    assert len(set(found)) == 5
    assert all(ports.is_free(port) for port in found)


def test_a_port_somebody_listens_on_is_not_free(taken):
    assert not ports.is_free(taken)


def test_a_first_start_chooses_free_ports_for_the_servers():
    api, flower = ports.find_free(2)

    chosen = ports.choose(api=api, flower=flower, previous=None)

    assert (chosen.api, chosen.flower) == (api, flower)
    assert len({chosen.api, chosen.flower, chosen.postgres, chosen.valkey}) == 4


def test_the_servers_keep_their_ports():
    api, flower, postgres, valkey = ports.find_free(4)
    previous = Ports(api=1, flower=2, postgres=postgres, valkey=valkey)

    chosen = ports.choose(api=api, flower=flower, previous=previous)

    assert chosen == Ports(api=api, flower=flower, postgres=postgres, valkey=valkey)


def test_a_server_whose_port_was_taken_moves(taken):
    api, flower, valkey = ports.find_free(3)

    chosen = ports.choose(api=api, flower=flower, previous=Ports(api=1, flower=2, postgres=taken, valkey=valkey))

    assert chosen.postgres not in (taken, api, flower, valkey)
    assert chosen.valkey == valkey


def test_a_server_makes_way_for_the_port_a_person_chose():
    api, flower, valkey = ports.find_free(3)

    chosen = ports.choose(api=api, flower=flower, previous=Ports(api=1, flower=2, postgres=api, valkey=valkey))

    assert chosen.postgres != api


def test_a_taken_api_port_is_named_with_its_flag(taken):
    [flower] = ports.find_free(1)

    with pytest.raises(PortTaken) as caught:
        ports.choose(api=taken, flower=flower, previous=None)

    assert str(taken) in caught.value.message
    assert "--port (or MAESTRO_PORT)" in caught.value.message


def test_a_taken_flower_port_is_named_with_its_flag(taken):
    [api] = ports.find_free(1)

    with pytest.raises(PortTaken) as caught:
        ports.require_free(api=api, flower=taken)

    assert str(taken) in caught.value.message
    assert "--flower-port (or MAESTRO_FLOWER_PORT)" in caught.value.message


def test_api_and_flower_cannot_share_a_port():
    [port] = ports.find_free(1)

    with pytest.raises(PortTaken, match="cannot share"):
        ports.require_free(api=port, flower=port)
