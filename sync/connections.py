"""Connections by urllib3 that end in time, for whoever calls an API of somebody else's."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.util.ssl_ import create_urllib3_context

from sync import in_time


class _HttpConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _opened(self)


class _HttpsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _opened(self)


def _opened(connection: HTTPConnection) -> socket.socket:
    """A socket for a connection of urllib3, in whose words it fails."""
    most_s = connection.timeout
    assert isinstance(most_s, float | int), "the pool says how long"
    try:
        return in_time.connected(connection._dns_host, connection.port, most_s)
    except TimeoutError:
        raise ConnectTimeoutError(connection, "no connection in time") from None
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from None
    except OSError as error:
        raise NewConnectionError(connection, type(error).__name__) from None


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    """Reads all certificates that there are to be believed once, and not for every connection."""

    ConnectionCls = _HttpsConnection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        context.load_default_certs()
        super().__init__(*args, ssl_context=in_time.bounded(context), **kwargs)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What urllib3 is asked inside of it ends in time: whatever it calls that, then by TimeoutError."""
    with in_time.within(seconds):
        try:
            yield
        except NewConnectionError:  # a kind of timeout to urllib3, but who refuses at once was not waited for
            in_time.left_s()
            raise
        except (ConnectTimeoutError, ReadTimeoutError):
            raise TimeoutError from None
        except HTTPError:
            in_time.left_s()
            raise


def pool(connections: int, connect_s: float) -> urllib3.PoolManager:
    """Connections to any host, so many of each kept for reuse. What is asked for is asked for once.

    Without retries it follows no redirect either, and so takes nothing elsewhere.
    """
    manager = urllib3.PoolManager(
        maxsize=connections, timeout=urllib3.Timeout(connect=connect_s), retries=False
    )
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager
