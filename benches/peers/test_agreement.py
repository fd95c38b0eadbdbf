"""python3 -m unittest discover benches/peers"""

import math
import unittest

from compare.agreement import Agreement, agreement, classes, cosine, first, right, too_unlike


class TheAgreement(unittest.TestCase):
    def test_a_network_agrees_with_itself(self):
        logits = [[0.5, -1.0, 3.0, 2.0, 0.0, 1.0, -2.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
        found = agreement(logits, logits)
        self.assertEqual((found.photographs, found.same, found.part, found.top5), (2, 2, 1.0, 1.0))
        self.assertAlmostEqual(found.cosine, 1.0)
        self.assertAlmostEqual(found.least_cosine, 1.0)

    def test_the_first_class_and_the_first_five_are_compared_photograph_by_photograph(self):
        of_float = [[7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]]
        # The first two change places; then the last five lead.
        quantized = [[6.0, 7.0, 5.0, 4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]]
        found = agreement(of_float, quantized)
        self.assertEqual((found.same, found.part), (0, 0.0))
        self.assertAlmostEqual(found.top5, (1.0 + 0.6) / 2)
        found = agreement(of_float, [quantized[1], of_float[1]])
        self.assertEqual((found.same, found.part), (1, 0.5))

    def test_fewer_classes_than_five_are_all_common(self):
        self.assertEqual(agreement([[1.0, 2.0]], [[2.0, 1.0]]).top5, 1.0)

    def test_cosines_are_means_and_the_least(self):
        found = agreement([[1.0, 0.0], [1.0, 0.0]], [[2.0, 0.0], [1.0, 1.0]])
        self.assertAlmostEqual(found.cosine, (1.0 + math.sqrt(0.5)) / 2)
        self.assertAlmostEqual(found.least_cosine, math.sqrt(0.5))
        self.assertEqual(cosine([0.0, 0.0], [1.0, 2.0]), 0.0)

    def test_of_equal_logits_the_lower_index_is_first(self):
        self.assertEqual(first([1.0, 3.0, 3.0, 2.0], 3), [1, 2, 3])

    def test_logits_that_cannot_be_compared_are_errors(self):
        for of_float, quantized in (
            ([], []),
            ([[1.0, 2.0]], []),
            ([[1.0, 2.0]], [[1.0, 2.0, 3.0]]),
            ([[1.0, 2.0]], [[1.0, math.nan]]),
            ([[1.0, 2.0]], [[math.inf, 0.0]]),
        ):
            with self.assertRaises(ValueError, msg=f"{of_float} {quantized}"):
                agreement(of_float, quantized)

    def test_any_accepted_class_is_right(self):
        self.assertEqual(right([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], [{1}, {1}, {0, 1}]), 2)

    def test_the_floor_is_half_of_the_photographs_where_the_float_network_tells_them_apart(self):
        self.assertIsNone(too_unlike(Agreement(84, 42, 0.9, 0.995, 0.8), 40))
        self.assertIn("41 of 84", too_unlike(Agreement(84, 41, 0.9, 0.995, 0.8), 40))
        self.assertIsNone(too_unlike(Agreement(84, 0, 0.9, 0.995, 0.8), 9))

    def test_other_logits_are_a_failure_whatever_the_classes(self):
        for classes_of_float in (1, 40):
            self.assertIn("0.9899", too_unlike(Agreement(84, 84, 1.0, 0.9899, 0.8), classes_of_float))

    def test_classes_of_the_float_network_are_counted_once(self):
        self.assertEqual(classes([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0]]), 2)


if __name__ == "__main__":
    unittest.main()
