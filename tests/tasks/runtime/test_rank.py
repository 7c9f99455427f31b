import socket

import psutil
import pytest

from data.errors import WorkerError
from tasks.runtime import rank
from tasks.runtime.rank import answers, use_outer_interface


@pytest.fixture
def network(monkeypatch):
    """A function that tells how this machine resolves names, which address leads to the first rank, and if it is there.

    The function gets the address of the own name, that of the first rank, and that of the interface towards it.
    """

    def network(own, first, here, is_there=False):
        addresses = {"me": own, "first": first}
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", "")  # so that it is restored, whoever sets it
        monkeypatch.delenv("GLOO_SOCKET_IFNAME")
        monkeypatch.setenv("MASTER_ADDR", "first")
        monkeypatch.setenv("MASTER_PORT", "1234")
        monkeypatch.setattr(socket, "gethostname", lambda: "me")
        monkeypatch.setattr(rank, "answers", lambda host, port: is_there)
        monkeypatch.setattr(socket, "gethostbyname", addresses.__getitem__)

        class Probe:
            def __init__(self, *kind):
                pass

            def __enter__(self):
                return self

            def __exit__(self, *error):
                pass

            def connect(self, place):
                assert place == ("first", 1234)

            def getsockname(self):
                return here, 5

        monkeypatch.setattr(rank.socket, "socket", Probe)
        known = {"lo": "127.0.0.1", "ib0": "10.0.0.7"}
        found = {name: [type("Address", (), {"address": address})] for name, address in known.items()}
        monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)

    return network


def test_a_name_that_is_a_local_address_is_not_told_to_other_machines(network, monkeypatch):
    network("127.0.1.1", "10.0.0.1", "10.0.0.7")
    use_outer_interface()
    assert rank.os.environ["GLOO_SOCKET_IFNAME"] == "ib0"


def test_a_name_with_an_address_of_the_network_is_left_alone(network):
    network("10.0.0.7", "10.0.0.1", "10.0.0.7")
    use_outer_interface()
    assert "GLOO_SOCKET_IFNAME" not in rank.os.environ


def test_a_first_rank_that_is_local_by_mistake_is_one_line(network):
    network("127.0.1.1", "127.0.1.1", "127.0.0.1")
    with pytest.raises(WorkerError, match="on me, the name first is the local address 127.0.1.1; correct /etc/hosts"):
        use_outer_interface()


def test_the_interface_that_the_user_names_stays(network, monkeypatch):
    network("127.0.1.1", "127.0.1.1", "127.0.0.1")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth5")
    use_outer_interface()
    assert rank.os.environ["GLOO_SOCKET_IFNAME"] == "eth5"


def test_several_nodes_of_one_machine_may_meet_at_a_local_address(network):
    network("127.0.1.1", "127.0.0.1", "127.0.0.1", is_there=True)
    use_outer_interface()
    assert rank.os.environ["GLOO_SOCKET_IFNAME"] == "lo"


def test_whether_somebody_listens(monkeypatch):
    monkeypatch.setattr(rank, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert answers("127.0.0.1", port)
    assert not answers("127.0.0.1", port)
