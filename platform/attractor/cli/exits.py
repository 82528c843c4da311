"""Exit codes of the command line."""

from typing import Final

DONE: Final = 0
FAILED: Final = 1
"""The graph, the run or the server's refusal."""
USAGE: Final = 2
"""Wrong arguments, a file that is not there."""
DIFFERENT: Final = 3
"""The result is not the one that it was compared with."""
UNREACHABLE: Final = 4
"""No server, or none that answers."""
NOT_LOGGED_IN: Final = 5
"""No key, or one that opens nothing."""
INTERRUPTED: Final = 130

HELP: Final = (
    "Exit codes: 0 done; 1 the graph, the run or the server's refusal; 2 wrong arguments or files; 3 another result "
    "than the one compared with; 4 the server cannot be reached; 5 not logged in; 130 interrupted (a run on the server "
    "goes on)."
)
