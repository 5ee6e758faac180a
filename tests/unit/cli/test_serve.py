"""Where the metrics are told before anything of the server is opened."""

import socket
from contextlib import closing

import pytest

from app.cli.options import UsageError
from app.cli.serve import for_metrics
from app.settings import METRICS_PORT, Settings


def test_metrics_are_told_on_a_port_that_is_not_the_clients():
    assert Settings.read(port=8000).scraped_port == METRICS_PORT


def test_where_the_clients_port_is_a_free_one_so_is_that_of_metrics():
    assert Settings.read(port=0).scraped_port == 0


def test_only_this_machine_is_told_unless_an_operator_says_otherwise():
    listener = for_metrics(Settings.read(port=0))

    assert listener is not None
    with closing(listener):
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_named_with_its_setting():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(UsageError, match=rf"port {port}: .* \(FACERECO_METRICS_PORT\)"):
            for_metrics(Settings.read(metrics_port=port))


def test_no_port_is_opened_where_metrics_are_off():
    assert for_metrics(Settings.read(metrics=False)) is None
