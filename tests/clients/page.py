"""Runs the Python of a page about clients, block after block, and says as JSON how many tests passed.

Arguments: the page's name, and the Flight SQL door of the project that the page begins with.
"""

import pathlib
import re
import sys
import unittest

import suite

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "clients" / sys.argv[1]
ADDRESS = sys.argv[2]


class Page(unittest.TestCase):
    def test_blocks_run(self) -> None:
        blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
        self.assertGreater(len(blocks), 0)
        port = ADDRESS.rsplit(":", 1)[1]
        for number, lines in enumerate(blocks, 1):
            lines = lines.replace("127.0.0.1:32010", ADDRESS).replace("port=32010", f"port={port}")
            with self.subTest(block=number):
                exec(compile(lines, PAGE.name, "exec"), {})


if __name__ == "__main__":
    suite.run()
