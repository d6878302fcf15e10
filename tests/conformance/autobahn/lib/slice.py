"""A TCP relay that passes on SIZE bytes a write, both ways: `slice.py SIZE HOST PORT`.

Prints the port that it listens on. Nothing is held back or changed, so a peer that is right must be as
right behind it. A half that ends is half-closed on the other side, a reset is passed on as a reset.
"""
import os
import socket
import struct
import sys
import threading

CHUNK_BYTES = 65536


def end_with_the_parent():
    """Waits for the end of standard input, which is a pipe from the parent."""
    sys.stdin.buffer.read()
    os._exit(0)


def reset(*sockets):
    for each in sockets:
        try:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.shutdown(socket.SHUT_RD)  # wakes the other thread
        except OSError:
            pass


def copy(source, sink, size):
    try:
        while chunk := source.recv(CHUNK_BYTES):
            for at in range(0, len(chunk), size):
                sink.sendall(chunk[at:at + size])
                os.sched_yield()  # so that the receiver reads this piece alone, as far as it is awake
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        reset(source, sink)


def serve(near, target, size):
    with near:
        try:
            far = socket.create_connection(target)
        except OSError:
            return reset(near)
        with far:
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=copy, args=(far, near, size), daemon=True)
            back.start()
            copy(near, far, size)
            back.join()


def main():
    size, target = int(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    while True:
        near, _ = listener.accept()
        threading.Thread(target=serve, args=(near, target, size), daemon=True).start()


if __name__ == "__main__":
    main()
