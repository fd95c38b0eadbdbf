"""PYTHONPATH=benches/peers python3 -m unittest discover benches/accuracy"""

import csv
import tempfile
import unittest
from pathlib import Path

from accuracy.table import HEADER, line, row, write
from compare.agreement import Agreement

FOUND = Agreement(photographs=84, same=82, top5=0.95, cosine=0.9951234567, least_cosine=0.97)


class Table(unittest.TestCase):
    def test_a_line_has_a_cell_under_each_heading(self):
        of = row("tf_efficientnet_lite0", "onnxruntime", 70, FOUND, 4_950_000)
        self.assertEqual((of.agreement, of.megabytes), (82 / 84, 4.95))
        self.assertEqual({len(text) for text in (*HEADER.splitlines(), line(of))}, {len(HEADER.splitlines()[0])})
        for cell in ("70/84", "82/84", "97.6%", "95.0%", "0.9951", "0.9700", "4.95"):
            self.assertIn(cell, line(of))

    def test_a_row_of_the_file_has_all_figures(self):
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "figures.csv"
            write(file, [row("net", "runtime", 70, FOUND, 4_950_000)])
            with file.open(newline="") as written:
                (read,) = csv.DictReader(written)
        self.assertEqual((read["network"], read["right"], read["same"], read["photographs"]), ("net", "70", "82", "84"))
        self.assertEqual((read["agreement"], read["cosine"]), ("0.97619", "0.995123"))


if __name__ == "__main__":
    unittest.main()
