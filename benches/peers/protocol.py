"""One line in, one line out: the same as benches/src/protocol.rs."""

import sys


def serve(answer):
    """Answers every line on standard input: `ok ...` with what `answer(words)` gives, or `error ...`."""
    for line in sys.stdin:
        try:
            reply = "ok " + " ".join(map(str, answer(line.split())))
        except Exception as error:  # whatever a peer throws, the comparison goes on without it
            reply = f"error {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        print(reply, flush=True)
