"""python3 -m unittest discover benches/peers"""

import unittest

from compare import report
from compare.agreement import Agreement
from compare.figures import Bare, Burst, Measured, geometric_mean, means, peak_share, rows

OURS = "ours"


def measured(python: bool, times: list[float], megabytes: int, start: float, **said) -> Measured:
    bursts = [Burst(time, time / 2, 10, megabytes * 1_000_000, **said) for time in times]
    return Measured(python, bursts, [start])


def table(network: str = "net", slow: float = 4.0):
    of = {
        OURS: measured(False, [1.0, 3.0, 2.0], 30, 40.0, peak_gflops=100.0, multiply_adds=50_000_000),
        "fast": measured(True, [2.5], 85, 200.0),
        "slow": measured(True, [slow], 70, 160.0),
    }
    return rows(network, 1, OURS, of, Bare([25_000_000], [120.0]))


class Figures(unittest.TestCase):
    def test_ratios_are_ours_by_theirs(self):
        ours, fast, slow = table()
        self.assertEqual((ours.median_ms, ours.min_ms), (2.0, 0.5))
        self.assertEqual((ours.ratio_median, fast.ratio_median, slow.ratio_median), (1.0, 0.8, 0.5))
        self.assertEqual(fast.ratio_min, 0.4)

    def test_what_python_takes_is_subtracted_from_its_processes_only(self):
        ours, fast, slow = table()
        self.assertEqual((ours.net_memory_mb, fast.net_memory_mb, slow.net_memory_mb), (30.0, 60.0, 45.0))
        self.assertEqual((fast.ratio_memory, slow.ratio_memory), (0.5, 30 / 45))
        self.assertEqual((ours.net_start_ms, fast.net_start_ms, slow.ratio_start), (40.0, 80.0, 1.0))

    def test_the_share_of_the_peak_counts_two_operations_a_multiply_add(self):
        self.assertAlmostEqual(table()[0].peak_share, 0.5)
        self.assertIsNone(peak_share(None, 1.0, 100.0))
        self.assertIsNone(peak_share(1, 1.0, None))

    def test_the_best_peer_is_another_one_for_each_ratio(self):
        best = means(table(), OURS)["best of them"]
        self.assertEqual(best.networks, 1)
        self.assertAlmostEqual(best.ratios["ratio_median"], 0.8)
        self.assertAlmostEqual(best.ratios["ratio_memory"], 30 / 45)

    def test_means_are_geometric_over_the_networks_that_a_peer_ran(self):
        ours, _, slow = table("b", 1.0)
        found = means([*table("a", 4.0), ours, slow], OURS)
        self.assertAlmostEqual(found["slow"].ratios["ratio_median"], 1.0)
        self.assertEqual((found["slow"].networks, found["fast"].networks), (2, 1))
        self.assertAlmostEqual(found["best of them"].ratios["ratio_median"], (0.8 * 2.0) ** 0.5)
        self.assertIsNone(geometric_mean([None]))

    def test_a_ratio_that_noise_has_eaten_is_left_out(self):
        of = {OURS: measured(False, [1.0], 30, 40.0), "peer": measured(True, [1.0], 50, 110.0)}
        lines = rows("net", 1, OURS, of, Bare([25_000_000], [120.0]))
        self.assertIsNone(lines[1].ratio_start)
        self.assertIsNone(means(lines, OURS)["peer"].ratios["ratio_start"])
        self.assertAlmostEqual(means(lines, OURS)["peer"].ratios["ratio_memory"], 30 / 25)

    def test_how_quantized_networks_agree_with_float_is_in_their_rows_and_reports(self):
        of = {OURS: measured(False, [1.0], 30, 40.0), "peer": measured(True, [1.0], 50, 110.0)}
        of["peer"].agreement = Agreement(photographs=84, same=63, top5=0.9, cosine=0.98765, least_cosine=0.9)
        lines = rows("net", 1, OURS, of, Bare([25_000_000], [120.0]))
        self.assertEqual((lines[1].agreement, lines[1].cosine), (0.75, 0.98765))
        self.assertIsNone(lines[0].agreement)
        self.assertTrue(report.block(lines, OURS).splitlines()[1].endswith("  75.0%   0.9877"))
        self.assertIn("75.0% of the photographs", report.summary(lines, OURS))
        self.assertNotIn("cosine", report.header(int8=False))


if __name__ == "__main__":
    unittest.main()
