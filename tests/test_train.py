#!/usr/bin/env python3
"""test_train.py: the parts of tools/train that need no torch: data, schedules, batches, pruning and sentences.

Standard library only.
"""

import json
import math
import os
import random
import sys
import tempfile
import unittest

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools")
sys.path[:0] = [os.path.join(TOOLS, "train"), TOOLS]
import plan
import pruning
import records
import sentences

LABELS = ["neg", "pos"]


class Files(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def write(self, name, *rows):
        path = os.path.join(self.directory.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        return path


class Records(Files):
    def test_labels_are_names_or_numbers_or_missing(self):
        path = self.write("data", {"text": "a", "label": "pos"}, {"text": "b", "label": 0}, {"text": "c", "text_pair": "d"})
        read = records.read_records(path, LABELS)
        self.assertEqual([(r.text, r.pair, r.label) for r in read], [("a", None, 1), ("b", None, 0), ("c", "d", None)])

    def test_bad_lines_are_named(self):
        for row, message in [
            ({"label": "pos"}, 'data:2: no "text"'),
            ({"text": "a", "label": "good"}, 'data:2: label "good" is none of neg, pos'),
            ({"text": "a", "label": 2}, "data:2: label 2 is not below"),
            ({"text": "a", "label": True}, "data:2: label True is not below"),
            ({"text": "a", "text_pair": 1}, 'data:2: "text_pair" is no text'),
            ("a", 'data:2: no "text"'),
        ]:
            path = self.write("data", {"text": "a"}, row)
            with self.assertRaises(records.DataError) as caught:
                records.read_records(path, LABELS)
            self.assertIn(message, str(caught.exception))

    def test_no_texts(self):
        with self.assertRaisesRegex(records.DataError, "no texts"):
            records.read_records(self.write("data"), LABELS)

    def test_outputs_become_logits_in_the_order_of_labels(self):
        data = self.write("data", {"id": "1", "text": "a"}, {"id": "2", "text": "b"})
        answers = [{"id": "1", "probabilities": {"pos": 0.75, "neg": 0.25}}, {"id": "2", "probabilities": {"pos": 1, "neg": 0}}]
        read = records.read_with_outputs(data, self.write("answers", *answers), LABELS)
        self.assertEqual(read[0].teacher, (math.log(0.25), math.log(0.75)))
        self.assertEqual(read[1].teacher, (math.log(records.LEAST_PROBABILITY), 0.0))

    def test_outputs_that_do_not_fit_are_refused(self):
        good = {"id": "1", "probabilities": {"pos": 0.75, "neg": 0.25}}
        for answers, message in [
            ([good, good], "more lines than the 1 texts"),
            ([], "0 lines for 1 texts"),
            ([{**good, "id": "7"}], 'answers "7", but the text of this line is "1"'),
            ([{"id": "1"}], 'no "probabilities"'),
            ([{"probabilities": {"pos": 0.5, "bad": 0.5}}], "labels bad, pos are not those of the model, neg, pos"),
            ([{"probabilities": {"pos": 1.5, "neg": 0}}], "not within"),
        ]:
            data = self.write("data", {"id": "1", "text": "a"})
            with self.assertRaises(records.DataError) as caught:
                records.read_with_outputs(data, self.write("answers", *answers), LABELS)
            self.assertIn(message, str(caught.exception))

    def test_the_hold_out_is_never_learned_from(self):
        train, held = records.split_hold_out(list(range(25)), 10)
        self.assertEqual(held, [0, 10, 20])
        self.assertEqual(sorted(train + held), list(range(25)))
        self.assertEqual(records.split_hold_out([1, 2], 0), ([1, 2], []))
        with self.assertRaises(records.DataError):
            records.split_hold_out([1, 2], 1)

    def test_texts_without_anything_to_learn_are_left_out(self):
        rows = [records.Record("a"), records.Record("b", label=0), records.Record("c", teacher=(0.0, 1.0))]
        self.assertEqual([row.text for row in records.usable(rows)], ["b", "c"])


class Plan(unittest.TestCase):
    def test_exit_weights(self):
        self.assertEqual(plan.exit_weights("depth", 3), [1 / 6, 2 / 6, 3 / 6])
        self.assertEqual(plan.exit_weights("even", 4), [0.25] * 4)
        self.assertEqual(plan.exit_weights("2,1,1", 3), [0.5, 0.25, 0.25])
        for text in ("1,1", "1,x,1", "-1,1,1", "0,0,0", "nan,1,1", ""):
            with self.assertRaises(ValueError):
                plan.exit_weights(text, 3)

    def test_the_learning_rate_rises_and_falls_to_nothing(self):
        rates = [plan.learning_rate(step, 100, 2.0, warmup=0.1) for step in range(100)]
        self.assertEqual(max(rates), 2.0)
        self.assertAlmostEqual(rates[0], 0.2)
        self.assertEqual(sorted(rates[:10]), rates[:10])
        self.assertEqual(sorted(rates[10:], reverse=True), rates[10:])
        self.assertTrue(0 < rates[-1] < 0.05)
        self.assertEqual(plan.learning_rate(0, 1, 2.0), 2.0)

    def test_steps(self):
        self.assertEqual([plan.num_steps(65, 32, epochs) for epochs in (1, 2, 0.5, 0.01)], [3, 6, 2, 1])

    def test_batches_hold_every_text_once_and_those_of_like_length(self):
        lengths = [random.Random(1).randint(1, 500) for _ in range(1000)]
        out = list(plan.batches(lengths, 8, random.Random(2)))
        self.assertEqual(sorted(i for rows in out for i in rows), list(range(1000)))
        padded = sum(max(lengths[i] for i in rows) * len(rows) for rows in out)
        self.assertLess(padded, 1.05 * sum(lengths))
        self.assertEqual(out, list(plan.batches(lengths, 8, random.Random(2))))
        self.assertNotEqual(out, list(plan.batches(lengths, 8, random.Random(3))))

    def test_shorten(self):
        ids = list(range(100))
        self.assertEqual(plan.shorten(ids, 30, 0.0, random.Random(1)), ids[:30])
        self.assertEqual(plan.shorten([], 30, 1.0, random.Random(1)), [])
        for room, least, most in [(30, 30, 30), (200, 60, 100)]:
            seen = set()
            for seed in range(50):
                part = plan.shorten(ids, room, 1.0, random.Random(seed))
                self.assertEqual(part, ids[part[0] : part[0] + len(part)])
                self.assertTrue(least <= len(part) <= most)
                seen.add(part[0])
            self.assertGreater(len(seen), 10)


class Pruning(unittest.TestCase):
    def test_words_are_runs_between_white_space(self):
        text = " a\u00a0bc\u3000d\n"
        self.assertEqual([text[begin:end] for begin, end in pruning.split_words(text)], ["a", "bc", "d"])
        self.assertEqual(pruning.split_words("a\u200bb"), [(0, 3)])

    def test_a_word_is_as_important_as_its_best_piece(self):
        # "un" "good" | "film" | "." of the same word | a word that was not read
        words = pruning.word_importances("ungood film. late", [(0, 2), (2, 6), (7, 11), (11, 12)], [0.1, 0.7, 0.2, 0.3])
        self.assertEqual(words, [("ungood", 0.7), ("film.", 0.3), ("late", math.inf)])

    def test_a_piece_across_words_counts_for_both(self):
        words = pruning.word_importances("a b c", [(0, 3), (4, 5)], [0.5, 0.1])
        self.assertEqual(words, [("a", 0.5), ("b", 0.5), ("c", 0.1)])

    def test_a_piece_without_characters_counts_for_none(self):
        self.assertEqual(pruning.word_importances("a b", [(0, 0), (0, 1), (2, 3)], [9.0, 0.1, 0.2]), [("a", 0.1), ("b", 0.2)])

    def test_words_above_the_threshold_are_kept(self):
        words = [("a", 0.1), ("b", 0.5), ("c", 1.0), ("d", math.inf)]
        self.assertEqual(pruning.prune_text(words, 1.0, 0.0), "a b c d")
        self.assertEqual(pruning.prune_text(words, 1.0, 0.5), "c d")
        self.assertEqual(pruning.prune_text(words, 0.0, 0.5), "a b c d")

    def test_one_word_is_always_kept(self):
        self.assertEqual(pruning.prune_text([("a", 0.1), ("b", 0.2), ("c", 0.2)], 1.0, 1.0), "b")
        self.assertEqual(pruning.prune_text([], 1.0, 1.0), "")


class Sentences(unittest.TestCase):
    def test_ends_and_lengths(self):
        text = "One is too short. This one has five words!<br /><br />So has this one here? " + "word " * 41
        self.assertEqual(sentences.split_sentences(text), ["One is too short.", "This one has five words!", "So has this one here?"])
        self.assertEqual(sentences.split_sentences("No end at all here"), ["No end at all here"])

    def test_the_choice_is_the_seeds(self):
        rows = [{"id": str(i), "text": "A sentence of five words. Another one of five words."} for i in range(20)]
        chosen = sentences.choose(rows, 10, 1)
        self.assertEqual(len({row["id"] for row in chosen}), 10)
        self.assertEqual(chosen, sentences.choose(rows, 10, 1))
        self.assertNotEqual(chosen, sentences.choose(rows, 10, 2))
        self.assertEqual(len(sentences.choose(rows, 100, 1)), 40)


if __name__ == "__main__":
    unittest.main()
