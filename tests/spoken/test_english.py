"""English as it is said: numbers, dates, money, units, abbreviations, addresses; and read twice is read once."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.spoken import read
from text2x.spoken.english_numbers import cardinal, decade, fraction, number, ordinal, roman, year


def said(text, language="en"):
    return " ".join(utterance.spoken for utterance in read(text, language).utterances)


CASES = [
    ("It costs $5.20.", "it costs five dollars and twenty cents."),
    ("£1 or €3.50 or ¢ no", "one pound or three euros and fifty cents or cents no."),
    ("$2.5 million, $10k and $0.99", "two point five million dollars, ten thousand dollars and ninety nine cents."),
    ("₹1,00,000 is Rs. 500 more", "one lakh rupees is five hundred rupees more."),
    ("20 USD/month", "twenty U S dollars per month."),
    ("$5-10", "five dollars to ten."),
    ("May 17, 2024", "may seventeenth, twenty twenty four."),
    ("on the 17 May 2024", "on the seventeenth of may, twenty twenty four."),
    ("Due 5/17/2024 or 17/05/2024", "due may seventeenth, twenty twenty four or may seventeenth, twenty twenty four."),
    ("2024-02-29", "february twenty ninth, twenty twenty four."),
    ("2024-13-29", "two zero two four, one three, two nine."),
    ("Oct. 31", "october thirty first."),
    ("at 7:30 p.m. today", "at seven thirty P M today."),
    ("at 10:05", "at ten oh five."),
    ("at 10:00", "at ten o'clock."),
    ("at 14:00", "at fourteen hundred."),
    ("7pm", "seven P M."),
    ("In 1066, 1999 and 2005", "in ten sixty six, nineteen ninety nine and two thousand five."),
    ("1914–1918", "nineteen fourteen to nineteen eighteen."),
    ("the 1990s and the '80s", "the nineteen nineties and the eighties."),
    ("21st, 2nd and 113th", "twenty first, second and one hundred thirteenth."),
    ("1/2, 3/4, 2/3 and 1 1/2 cups", "one half, three quarters, two thirds and one and a half cups."),
    ("a 50/50 chance", "a fifty fifty chance."),
    ("O'Brien and I'd've", "o'brien and i'd've."),
    ("5 ft 6 in, 5,000 people/yr", "five feet six inches, five thousand people per year."),
    ("(555) 123-4567", "five five five, one two three, four five six seven."),
    ("1000000000000", "one trillion."),
    ("Mon. and Wed.", "monday and wednesday."),
    ("open 24/7", "open twenty four seven."),
    ("½ and 2½", "one half and two and a half."),
    ("1,234,567", "one million two hundred thirty four thousand five hundred sixty seven."),
    ("3.14 and .5 and -7", "three point one four and point five and minus seven."),
    ("agent 007", "agent zero zero seven."),
    ("10% of 50 %", "ten percent of fifty percent."),
    ("5 km, 1 kg and 25°C", "five kilometers, one kilogram and twenty five degrees celsius."),
    ("60 km/h", "sixty kilometers per hour."),
    ("a 5-km run", "a five kilometer run."),
    ("100 m² of 16GB", "one hundred square meters of sixteen gigabytes."),
    ("5'10\" tall", "five feet ten inches tall."),
    ("call 555-123-4567", "call five five five, one two three, four five six seven."),
    ("+91 98765 43210", "plus nine one, nine eight seven six five, four three two one zero."),
    ("Python 3.11 and v2.0.1", "python three point eleven and version two point zero point one."),
    ("192.168.0.1", "one hundred ninety two point one hundred sixty eight point zero point one."),
    ("2 + 2 = 4", "two plus two equals four."),
    ("3 × 4 and 1920x1080", "three by four and nineteen twenty by ten eighty."),
    ("x^2 ≥ 9", "X squared is at least nine."),
    ("score 3:1, pages 10-15", "score three to one, pages ten to fifteen."),
    ("No. 5 is item #6", "number five is item number six."),
    ("Dr. Smith on Baker St. met Mrs. Jones", "doctor smith on baker street met missus jones."),
    ("St. John lives on Sunset Dr.", "saint john lives on sunset drive."),
    ("cats, dogs, etc. and e.g. mice", "cats, dogs, et cetera and for example mice."),
    ("King Henry VIII read Chapter IV", "king henry the eighth read chapter four."),
    ("World War II and Louis XIV", "world war two and louis the fourteenth."),
    ("NASA and the FBI", "nasa and the F B I."),
    ("two GPUs and IBM's HTML", "two G P U's and I B M's H T M L."),
    ("the U.S.A. is big", "the U S A is big."),
    ("J. R. R. Tolkien", "J R R tolkien."),
    ("COVID-19, MP3, F-16 and H2O", "covid nineteen, M P three, F sixteen and H two O."),
    ("STOP SHOUTING AT ME", "stop shouting at me."),
    ("vitamin A and plan B", "vitamin A and plan B."),
    ("A cat and a dog", "a cat and a dog."),
    ("A1 is first", "ay one is first."),
    ("john.doe@example.com", "john dot doe at example dot com."),
    ("see www.example.org/a-b", "see W W W dot example dot org slash A dash B."),
    ("#MachineLearning with @user_name", "hashtag machine learning with at user name."),
    ("café naïve Zürich", "cafe naive zurich."),
    ("R&D and C++", "R and D and C plus plus."),
    ("\u201cHello\u201d \u2014 it\u2019s me", "hello, it's me."),
    ("wait... what", "wait, what."),
    ("an α-particle", "an alpha particle."),
    ("YouTube and McDonald", "youtube and mcdonald."),
    ("the GDP grew 3.5x", "the G D P grew three point five X."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "spoken"), CASES, ids=[text for text, _ in CASES])
def test_it_is_said_as_one_reads_it(text, spoken):
    assert said(text) == spoken


@pytest.mark.parametrize("spoken", [spoken for _, spoken in CASES], ids=[text for text, _ in CASES])
def test_what_is_said_is_read_as_it_is(spoken):
    assert said(spoken) == spoken


PIECES = st.one_of(
    st.sampled_from([text for text, _ in CASES]),
    st.text(alphabet="abcdefghijklmnopqrstuvwxyzAIBXV ,.?!'-/:;$€%&()0123456789", max_size=12),
    st.integers(0, 10**13).map(str),
    st.floats(0, 1e6, allow_nan=False).map(lambda value: f"{value:.2f}"),
)


@given(st.lists(PIECES, min_size=1, max_size=4).map(" ".join).filter(lambda text: any(map(str.isalnum, text))))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_reading_twice_gives_the_same_words(text):
    once = said(text)
    assert re.findall(r"[\w']+", said(once)) == re.findall(r"[\w']+", once)


# Numbers

SMALL = {name: n for n in range(20) for name in [cardinal(n)]} | {cardinal(n): n for n in range(20, 100, 10)}
NAMES = "thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion"
SCALES = {name: 1000**i for i, name in enumerate(NAMES.split(), start=1)}


def value_of(name):
    """The number that a name stands for, by adding and multiplying its words."""
    total, group = 0, 0
    for word in name.split():
        if word in SMALL:
            group += SMALL[word]
        elif word == "hundred":
            group *= 100
        else:
            total, group = total + group * SCALES[word], 0
    return total + group


@given(st.integers(0, 10**36 - 1))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_name_of_a_number_adds_up_to_it(n):
    assert value_of(cardinal(n)) == n


def test_numbers_agree_with_another_implementation():
    num2words = pytest.importorskip("num2words").num2words
    rng = random.Random(0)
    for n in [*range(300), *(rng.randrange(10**digits) for digits in range(3, 30) for _ in range(3))]:
        plain = num2words(n).replace(" and ", " ").replace(",", "").replace("-", " ")
        assert cardinal(n) == plain
    for n in range(1000, 2100, 7):
        assert year(n) == num2words(n, to="year").replace(" and ", " ").replace("-", " ")
    for n in range(1, 300):
        assert ordinal(n) == num2words(n, to="ordinal").replace(" and ", " ").replace("-", " ")


def test_numbers_too_long_for_a_name_are_read_by_digits():
    assert cardinal(10**36) == " ".join(["one", *["zero"] * 36])
    assert cardinal(-3) == "minus three"


def test_small_forms_of_numbers():
    assert [decade(1990), decade(60), decade(2010)] == ["nineteen nineties", "sixties", "twenty tens"]
    assert [fraction(1, 2), fraction(3, 2), fraction(5, 8)] == ["one half", "three halves", "five eighths"]
    assert fraction(1, 100) == "one over one hundred"
    assert number("12,34,567") == "twelve lakh thirty four thousand five hundred sixty seven"


@pytest.mark.parametrize("text", ["", "IIII", "VX", "IC", "IIX", "abc", "MMMM"])
def test_what_is_no_roman_numeral_has_no_value(text):
    assert roman(text) is None


def test_roman_numerals_count_up():
    ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]
    tens = ["".join({"I": "X", "V": "L", "X": "C"}[letter] for letter in one) for one in ones]
    for n in range(1, 100):
        assert roman(tens[n // 10] + ones[n % 10]) == n
