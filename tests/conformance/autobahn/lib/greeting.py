"""One plain opening handshake before a run, so that a dead or wrong server is reported as such."""
import base64
import os
import re
import socket
import ssl
import time
from urllib.parse import urlsplit

CLOSE_NORMAL = b"\x88\x82\0\0\0\0\x03\xe8"


class Unusable(Exception):
    """Nothing can be run, and why."""


def address(url):
    """Scheme, host, port, and what stands behind them."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise Unusable("not a ws:// or wss:// URL: %s" % url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    return parts.scheme, parts.hostname, port, (parts.path or "/") + ("?" + parts.query if parts.query else "")


def greet(url, wait):
    """The server's name from its answer, or None; raises Unusable."""
    scheme, host, port, target = address(url)
    connection = connect(host, port, wait)
    try:
        if scheme == "wss":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection, server_hostname=host)
        head = handshake(connection, "%s:%d" % (host, port), target, url)
    except OSError as error:
        raise Unusable("the opening handshake with %s failed: %s" % (url, error))
    finally:
        connection.close()
    name = re.search(rb"(?im)^server:[ \t]*([^\r\n]+)", head)
    return name.group(1).decode("latin-1").strip() if name else None


def connect(host, port, wait):
    end = time.monotonic() + wait
    while True:
        try:
            return socket.create_connection((host, port), timeout=5)
        except OSError as error:
            if time.monotonic() >= end:
                raise Unusable("cannot connect to %s:%d: %s (waited %g s)" % (host, port, error, wait))
            time.sleep(0.1)


def handshake(connection, host, target, url):
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % (target, host, key)).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(4096)
        if not data:
            said = " after: %r" % head[:200] if head else " without any answer"
            raise Unusable("%s closed the connection during the opening handshake%s" % (url, said))
        head += data
    if not re.match(rb"HTTP/1\.1 101\b", head):
        raise Unusable("%s does not accept WebSockets: %s" % (url, head.split(b"\r\n")[0].decode("latin-1")))
    connection.sendall(CLOSE_NORMAL)
    connection.settimeout(1)
    try:
        while connection.recv(4096):
            pass
    except OSError:
        pass
    return head
