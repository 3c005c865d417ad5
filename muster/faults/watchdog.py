"""The watchdog of one fault. Run by path, in a process of its own; imports nothing of muster, so that it costs little.

``watchdog.py RECORD EXPIRES_AT HEAL...``: wait until EXPIRES_AT (seconds since the epoch) or until the record is gone
or healed; then run HEAL (``muster heal --only ID``) until the record is healed, a bounded number of times. What HEAL
says goes to RECORD's name with ``.log``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

LOOK_S = 0.5
TRIES = 12
LONGEST_PAUSE_S = 60.0
HEAL_LIMIT_S = 300.0


def is_open(record: Path) -> bool:
    """Whether something may be left to undo; a record that cannot be read is open, for healing to say so."""
    try:
        return bool(json.loads(record.read_text(encoding="utf-8"))["state"] != "healed")
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        return True


def wait(record: Path, until: float) -> bool:
    """Wait until that time; False as soon as the record needs nobody any more."""
    while is_open(record):
        left = until - time.time()
        if left <= 0:
            return True
        time.sleep(min(left, LOOK_S))
    return False


def heal(record: Path, argv: list[str]) -> bool:
    """Run the healing once; whether the record is closed now."""
    with record.with_suffix(".log").open("ab") as log:
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} expired: {' '.join(argv)}\n".encode())
        log.flush()
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=HEAL_LIMIT_S, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            log.write(f"{error}\n".encode())
    return not is_open(record)


def main(record: Path, expires_at: float, argv: list[str]) -> None:
    """The whole life of a watchdog."""
    if not wait(record, expires_at):
        return
    pause_s = 1.0
    for _ in range(TRIES):
        if heal(record, argv) or not wait(record, time.time() + pause_s):  # or somebody else does it meanwhile
            return
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


if __name__ == "__main__":
    os.setsid()  # a terminal's Ctrl-C, or the end of its session, is not for us, from the moment that we watch
    if os.fork():
        os._exit(0)
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
