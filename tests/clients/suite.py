"""How the scripts of clients are run as tests."""

import json
import os
import sys
import unittest


def run() -> None:
    """Runs the tests of the script, says as JSON on stdout how many of them passed, and ends the process."""
    result = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2).result
    print(json.dumps({"passed": result.testsRun - len(result.failures) - len(result.errors) - len(result.skipped)}))
    sys.stdout.flush()
    sys.stderr.flush()
    # The packages' threads do not always end with the interpreter.
    os._exit(0 if result.wasSuccessful() else 1)
