"""What is said in place of a phone that a voice never heard: the nearest one that it did. Plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from text2x.spoken.phone_set import MARKS, PADDING, SILENCE, without_stress

NEAR: Mapping[str, tuple[str, ...]] = {
    "ZH": ("JH", "SH", "Z"), "JH": ("ZH", "CH", "D"), "CH": ("SH", "T"), "DH": ("D", "TH"), "TH": ("T", "F"),
    "OY": ("AO", "OW"), "AW": ("AA", "OW"), "UH": ("UW", "AH"), "ER": ("AH", "EH"), "AE": ("EH", "AA"),
    "AO": ("AA", "OW"), "NG": ("N",), "Y": ("IY",), "W": ("UW",), "V": ("F", "B"), "HH": ("F",),
    "æ": ("e", "eː", "a"), "ɔ": ("o", "oː", "aː"), "ai": ("e", "eː"), "au": ("o", "oː"), "q": ("k",),
    "x": ("kʰ", "k"), "ɣ": ("ɡ",), "z": ("dʒ", "s"), "f": ("pʰ", "p"), "ʒ": ("dʒ", "ʃ"), "ʂ": ("ʃ", "s"),
    "ɻ": ("ɭ", "r"), "ɭ": ("l",), "ɽ": ("ɖ", "r"),
    "ŋ": ("n", "m"), "ɲ": ("n",), "ɳ": ("n",), "ʋ": ("b", "u"), "ʃ": ("s",),
}  # fmt: skip
LENGTHS = ("a", "i", "u", "e", "o")  # vowels with a long form


def stand_ins(phones: Sequence[str], heard: Mapping[str, int], least: int = 1) -> dict[str, str]:
    """For each phone of a table that was heard less than `least` times, the nearest that was heard, if there is one."""
    known = {phone for phone, count in heard.items() if count >= least}
    found = {}
    for phone in phones:
        if phone == PADDING or phone in known:
            continue
        near = next((each for each in nearest(phone) if each in known), None)
        if near is not None:
            found[phone] = near
    return found


def nearest(phone: str) -> Iterator[str]:
    """Phones that could be taken for this one, the most alike first."""
    if phone in MARKS or phone == SILENCE:
        yield from (each for each in (*((",",) if phone == ";" else ()), ".", ",", SILENCE) if each != phone)
        return
    plain = without_stress(phone)
    if plain != phone:
        yield from (plain + stress for stress in "102")
    for name in (plain, *_simpler(plain)):
        yield name
        for other in NEAR.get(name, ()):
            yield other
            yield from (other + stress for stress in "102")


def _simpler(phone: str) -> Iterator[str]:
    """Without its nose, breath or length; or longer."""
    oral = phone.removesuffix("~")
    if oral != phone:
        yield oral
    plain = oral.removesuffix("ʰ").removesuffix("ʱ")
    if plain != oral:
        yield plain
    if oral.endswith("ː"):
        yield oral.removesuffix("ː")
    elif oral in LENGTHS:
        yield f"{oral}ː"
