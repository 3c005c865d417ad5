"""A program that uses memory or CPU until its standard input ends. Run by path; imports nothing of the lab.

``worker.py memory BYTES`` or ``worker.py cpu LOAD`` (0 to 1, of one core).
"""

import select
import sys
import time

_PIECE = 16 << 20
_SLICE_S = 0.05


def _memory(size: int) -> None:
    held = []
    while size > 0:
        held.append(bytearray(b"\x5a") * min(size, _PIECE))  # written to, so that it is resident
        size -= _PIECE
    sys.stdin.buffer.read()


def _cpu(load: float) -> None:
    end = time.perf_counter()
    while not select.select([sys.stdin], [], [], max(0.0, end - time.perf_counter()))[0]:
        begin = time.perf_counter()
        end = begin + _SLICE_S
        while time.perf_counter() < begin + _SLICE_S * load:
            pass


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        _memory(int(sys.argv[2]))
    else:
        _cpu(float(sys.argv[2]))
