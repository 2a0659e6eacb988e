"""India's languages: number names, dates, money, English words, and letters to phones by one table for all scripts."""

import random
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.spoken import LANGUAGES, PHONES, read
from text2x.spoken.brahmic import brahmic_phones
from text2x.spoken.indic_numbers import cardinal, number, year
from text2x.spoken.tables import table
from text2x.spoken.transliteration import in_script, to_english

INDIC = [code for code in LANGUAGES if code != "en"]


def said(text, language):
    return " ".join(utterance.spoken for utterance in read(text, language).utterances)


@pytest.mark.parametrize(
    ("language", "names"),
    [
        ("hi", {100: "एक सौ", 1001: "एक हज़ार एक", 125_000: "एक लाख पच्चीस हज़ार", 10**7: "एक करोड़", 45: "पैंतालीस"}),
        ("mr", {100: "शंभर", 120: "एकशे वीस", 200: "दोनशे", 2001: "दोन हजार एक", 10**7: "एक कोटी"}),
        ("bn", {100: "একশো", 245: "দুশো পঁয়তাল্লিশ", 1000: "এক হাজার", 10**5: "এক লাখ"}),
        ("gu", {200: "બસો", 1000: "એક હજાર", 10**5: "એક લાખ", 97: "સત્તાણું"}),
        ("pa", {101: "ਇੱਕ ਸੌ ਇੱਕ", 1000: "ਇੱਕ ਹਜ਼ਾਰ", 10**5: "ਇੱਕ ਲੱਖ"}),
        ("te", {100: "వంద", 101: "నూట ఒకటి", 200: "రెండు వందలు", 245: "రెండు వందల నలభై ఐదు", 1000: "వెయ్యి", 2000: "రెండు వేలు",
                10**5: "ఒక లక్ష", 10**7: "ఒక కోటి"}),
        ("ta", {100: "நூறு", 101: "நூற்று ஒன்று", 900: "தொள்ளாயிரம்", 2000: "இரண்டாயிரம்", 25_000: "இருபத்து ஐந்தாயிரம்",
                1001: "ஆயிரத்து ஒன்று", 10**5: "ஒரு லட்சம்"}),
        ("kn", {100: "ನೂರು", 120: "ನೂರ ಇಪ್ಪತ್ತು", 23: "ಇಪ್ಪತ್ತಮೂರು", 21: "ಇಪ್ಪತ್ತೊಂದು", 2001: "ಎರಡು ಸಾವಿರದ ಒಂದು"}),
        ("ml", {21: "ഇരുപത്തിയൊന്ന്", 101: "നൂറ്റിഒന്ന്", 1000: "ആയിരം", 10_000: "പതിനായിരം", 3000: "മൂവായിരം"}),
    ],
)  # fmt: skip
def test_numbers_have_their_names(language, names):
    for n, name in names.items():
        assert cardinal(n, language).replace(" ", "") == unicodedata.normalize("NFC", name).replace(" ", ""), n


@pytest.mark.parametrize("language", INDIC)
def test_no_two_numbers_share_a_name(language):
    rng = random.Random(0)
    numbers = {*range(2200), *(rng.randrange(10**size) for size in range(4, 14) for _ in range(150))}
    assert len({cardinal(n, language) for n in numbers}) == len(numbers)


@pytest.mark.parametrize("language", INDIC)
def test_names_are_in_the_script_of_the_language(language):
    words = [*(cardinal(n, language) for n in (0, 7, 99, 345, 6789, 123_456_789)), *table(language)["months"]]
    scripts = {unicodedata.name(letter).split()[0] for word in words for letter in word if letter.isalpha()}
    assert scripts == {LANGUAGES[language].script}


def bare(text):
    return re.sub("[\u200c\u200d ]", "", unicodedata.normalize("NFC", text))


# Of 0 to 99; the rest are other spellings, as अठारह and अट्ठारह, and slips of the other side, as its 83 in Kannada
@pytest.mark.parametrize(("language", "same"), [("hi", 93), ("te", 100), ("mr", 93), ("ta", 91), ("bn", 96), ("gu", 82),
                                                ("kn", 84), ("ml", 75), ("pa", 73)])  # fmt: skip
def test_most_names_agree_with_another_implementation(language, same):
    other = pytest.importorskip("indic_numtowords").num2words
    assert sum(bare(cardinal(n, language)) == bare(other(str(n), lang=language)) for n in range(100)) >= same


def test_decimals_commas_and_years():
    assert number("3.5", "hi") == "तीन दशमलव पाँच"
    assert number("1,00,000", "hi") == "एक लाख"
    assert number("007", "hi") == "शून्य शून्य सात"
    assert year(1999, "hi") == "उन्नीस सौ निन्यानवे"
    assert year(2024, "hi") == "दो हज़ार चौबीस"
    assert year(1947, "te") == "పందొమ్మిది వందల నలభై ఏడు"


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("hi", "आज १७/०५/२०२४ है।", "आज सत्रह मई दो हज़ार चौबीस है."),
        ("hi", "₹1,250.50 दिए", "एक हज़ार दो सौ पचास रुपये पचास पैसे दिए."),
        ("hi", "₹5 लाख", "पाँच लाख रुपये."),
        ("hi", "10:30 बजे", "दस बजकर तीस मिनट."),
        ("hi", "5वीं कक्षा, 2रा दिन, 6ठी बार", "पाँचवीं कक्षा, दूसरा दिन, छठी बार."),
        ("hi", "25% छूट, 3.5 किमी", "पच्चीस प्रतिशत छूट, तीन दशमलव पाँच किलोमीटर."),
        ("hi", "डॉ. शर्मा आए। राम गया।", "डॉक्टर शर्मा आए. राम गया."),
        ("hi", "ATM से 10 AM, C++", "ए टी एम से दस ए एम, सी प्लस प्लस."),
        ("hi", "Rs. 500 या रु. 200", "पाँच सौ रुपये या दो सौ रुपये."),
        ("hi", "98765 43210", "नौ आठ सात छह पाँच, चार तीन दो एक शून्य."),
        ("hi", "10-15 लोग, -5 डिग्री", "दस से पंद्रह लोग, ऋण पाँच डिग्री."),
        ("te", "ధర రూ. 500", "ధర ఐదు వందల రూపాయలు."),
        ("te", "5వ తరగతి bank లో", "ఐదవ తరగతి బ్యాంక్ లో."),
        ("mr", "५वी इयत्ता, ₹२५०", "पाचवी इयत्ता, दोनशे पन्नास रुपये."),
        ("ta", "5வது வகுப்பு", "ஐந்தாவது வகுப்பு."),
        ("bn", "দাম ৳500।", "দাম পাঁচশো টাকা."),
        ("gu", "5મી ઓગસ્ટ, ₹250", "પાંચમી ઓગસ્ટ, બસો પચાસ રૂપિયા."),
        ("kn", "5ನೇ ತರಗತಿ", "ಐದನೇ ತರಗತಿ."),
        ("ml", "വില ₹200", "വില ഇരുന്നൂറ് രൂപ."),
        ("pa", "5ਵੀਂ ਜਮਾਤ", "ਪੰਜਵੀਂ ਜਮਾਤ."),
    ],
)
def test_it_is_said_as_one_reads_it_and_read_twice_is_the_same(language, text, spoken):
    assert bare(said(text, language)) == bare(spoken)
    assert said(said(text, language), language) == said(text, language)


# Phones


def phones(word, language="hi"):
    return " ".join(brahmic_phones(unicodedata.normalize("NFC", word), language))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("कमल", "k a m a l"),  # the last schwa is silent
        ("लड़का", "l a ɽ k aː"),  # one between two syllables too
        ("लड़के", "l a ɽ k eː"),
        ("भारत", "bʱ aː r a t"),
        ("मतलब", "m a t l a b"),
        ("समझना", "s a m a dʒʱ n aː"),
        ("पत्र", "p a t r a"),  # a glide holds it
        ("अंक", "a ŋ k"),
        ("चंदा", "tʃ a n d aː"),
        ("संसार", "s a~ s aː r"),
        ("मैं", "m ai~"),
        ("ज़िंदगी", "z i n d a ɡ iː"),
        ("ज्ञान", "ɡ j aː n"),
        ("ऋषि", "r i ʂ i"),
        ("दुःख", "d u ɦ kʰ"),
        ("फ़िल्म", "f i l m"),
        ("पद्म", "p a d m a"),
        ("न", "n a"),
        ("ॐ", "oː m"),
    ],
)
def test_hindi_words_have_their_phones(word, expected):
    assert phones(word) == expected


@pytest.mark.parametrize(
    ("language", "word", "expected"),
    [
        ("te", "తెలుగు", "t e l u ɡ u"),
        ("te", "సంఖ్య", "s a ŋ kʰ j a"),  # the inherent vowel is always said
        ("ta", "தமிழ்", "t a m i ɻ"),
        ("ta", "பாடம்", "p aː ɖ a m"),  # voiced between vowels
        ("ta", "பட்டம்", "p a ʈ ʈ a m"),
        ("ta", "தங்கம்", "t a ŋ ɡ a m"),
        ("ml", "മലയാളം", "m a l a j aː ɭ a m"),
        ("ml", "അവൾ", "a ʋ a ɭ"),
        ("kn", "ಕನ್ನಡ", "k a n n a ɖ a"),
        ("bn", "বাংলা", "b aː ŋ l aː"),
        ("bn", "সময়", "ʃ ɔ m ɔ j"),
        ("bn", "কবি", "k oː b i"),  # closed before i
        ("pa", "ਪੱਤਾ", "p a t t aː"),
        ("pa", "ਪੰਜਾਬ", "p a ɲ dʒ aː b"),
        ("gu", "ગુજરાત", "ɡ u dʒ r aː t"),
        ("mr", "ज्ञान", "d n j aː n"),
    ],
)
def test_each_language_has_its_sounds(language, word, expected):
    assert phones(word, language) == expected


COMMON = "".join(map(chr, [*range(0x905, 0x90B), 0x90F, 0x913, *range(0x915, 0x928), 0x92A, 0x92C, 0x92E, 0x930, 0x932,
                           0x938, 0x939, *range(0x93E, 0x943), 0x947, 0x94B, 0x94D, 0x902]))  # fmt: skip


@given(st.text(alphabet=COMMON, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_same_word_in_another_script_sounds_the_same(word):
    for block in (0x0A80, 0x0C00, 0x0C80):
        moved = "".join(chr(ord(letter) - 0x900 + block) for letter in word)
        assert brahmic_phones(moved, "hi") == brahmic_phones(word, "hi")


@given(st.sampled_from(INDIC), st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_letters_give_phones_of_the_list(language, data):
    block = LANGUAGES[language].block
    word = data.draw(st.text(alphabet=[chr(block + at) for at in range(128)], max_size=10))
    assert set(brahmic_phones(word, language)) <= set(PHONES)
    assert set(to_english(brahmic_phones(word, language))) <= set(PHONES)


# English words


@pytest.mark.parametrize(
    ("language", "word", "written"),
    [
        ("hi", "computer", "कम्प्यूटर"),
        ("hi", "google", "गूगल"),
        ("hi", "bank", "बैंक"),
        ("hi", "dot", "डॉट"),
        ("hi", "T", "टी"),
        ("mr", "bank", "बॅंक"),
        ("te", "bank", "బ్యాంక్"),
        ("kn", "bank", "ಬ್ಯಾಂಕ್"),
        ("ml", "bank", "ബാങ്ക്"),
        ("ta", "bank", "பேங்க்"),
        ("pa", "bank", "ਬੈਂਕ"),
        ("gu", "computer", "કમ્પ્યૂટર"),
    ],
)
def test_english_words_are_written_by_their_sounds(language, word, written):
    assert in_script(word, language) == unicodedata.normalize("NFC", written)


@pytest.mark.parametrize("language", INDIC)
def test_every_letter_has_a_name_in_every_script(language):
    names = [in_script(chr(letter), language) for letter in range(ord("A"), ord("Z") + 1)]
    assert len(set(names)) >= (24 if language != "ta" else 20)  # Tamil writes b and p, d and t alike
    assert all(brahmic_phones(name, language) for name in names)
