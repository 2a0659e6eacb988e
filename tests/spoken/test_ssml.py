"""SSML: what each tag does, where each mistake is, and that nothing of it can reach for files or grow without end."""

import pytest

from text2x.errors import InputError
from text2x.spoken import read
from text2x.spoken.ssml import is_ssml


def said(document, language="en"):
    return " ".join(utterance.spoken for utterance in read(document, language, ssml=True).utterances)


def words(document):
    return [word for utterance in read(document).utterances for word in utterance.words]


def test_ssml_is_known_by_its_beginning():
    assert is_ssml('  <speak version="1.1">a</speak>') and is_ssml("<?xml version='1.0'?>\n<speak>a</speak>")
    assert not is_ssml("a <speak>") and not is_ssml("<speaker>")
    assert read("<speak> is a tag.", ssml=False).utterances[0].spoken == "is less than speak is greater than is a tag."


def test_breaks_are_silence_after_the_word_before():
    (utterance,) = read(
        '<speak><break time="1s"/>a <break time="250ms"/><break strength="strong"/> b</speak>'
    ).utterances
    assert utterance.lead == 1.0
    assert [word.pause for word in utterance.words] == [0.95, None]
    (alone,) = read('<speak><break time="2s"/></speak>').utterances
    assert alone.words == () and alone.lead == 2.0


def test_prosody_nests_and_ends():
    document = (
        '<speak>one <prosody rate="50%" pitch="+2st" volume="-6dB">two '
        '<prosody rate="+20%" pitch="high">three</prosody> four</prosody> five</speak>'
    )
    manners = [(word.prosody.rate, word.prosody.pitch, word.prosody.volume) for word in words(document)]
    assert manners == [(1, 0, 0), (0.5, 2, -6), (pytest.approx(0.6), 5, -6), (0.5, 2, -6), (1, 0, 0)]
    assert words('<speak><prosody pitch="200%">a</prosody></speak>')[0].prosody.pitch == pytest.approx(12)


@pytest.mark.parametrize(
    ("kind", "form", "text", "spoken"),
    [
        ("cardinal", "", "1,234", "one thousand two hundred thirty four."),
        ("number", "", "-2.5", "minus two point five."),
        ("ordinal", "", "3", "third."),
        ("ordinal", "", "XIV", "fourteenth."),
        ("characters", "", "abc1", "A B C one."),
        ("spell-out", "", "A", "A."),
        ("digits", "", "2024", "two zero two four."),
        ("date", "", "5/17/2024", "may seventeenth, twenty twenty four."),
        ("date", "dmy", "1.2.2003", "february first, two thousand three."),
        ("date", "ymd", "20240229", "february twenty ninth, twenty twenty four."),
        ("date", "my", "5-1999", "may nineteen ninety nine."),
        ("date", "y", "1905", "nineteen oh five."),
        ("time", "", "2:30pm", "two thirty P M."),
        ("telephone", "", "(555) 0123", "five five five, zero one two three."),
        ("currency", "", "$3.01", "three dollars and one cent."),
        ("currency", "", "5 EUR", "five euros."),
        ("fraction", "", "2 3/4", "two and three quarters."),
    ],
)
def test_say_as_reads_as_told(kind, form, text, spoken):
    document = f'<speak><say-as interpret-as="{kind}" format="{form}">{text}</say-as></speak>'
    assert said(document) == spoken


def test_say_as_works_in_indias_languages():
    assert said('<speak><say-as interpret-as="ordinal">5</say-as></speak>', "hi") == "पाँचवाँ."
    assert said('<speak><say-as interpret-as="digits">42</say-as></speak>', "te") == "నాలుగు రెండు."
    assert said('<speak><say-as interpret-as="characters">AB</say-as></speak>', "hi") == "ए बी."
    assert said('<speak><say-as interpret-as="date">15/8/1947</say-as></speak>', "hi") == "पंद्रह अगस्त उन्नीस सौ सैंतालीस."


def test_sub_and_phoneme_replace_what_is_said_but_not_what_is_shown():
    document = '<speak><sub alias="5 km">W3C</sub> <phoneme alphabet="ipa" ph="təˈmɑːtoʊ">tomato</phoneme>.</speak>'
    five, kilometers, tomato = words(document)
    assert (five.spoken, kilometers.spoken, five.text) == ("five", "kilometers", "W3C")
    assert tomato.text == "tomato" and tomato.phones == ("T", "AH0", "M", "AA1", "T", "OW0")
    assert all(document[slice(*word.span)] == word.text for word in (five, kilometers, tomato))


def test_sentences_and_paragraphs_end_where_their_tags_do():
    script = read("<speak><p><s>One</s><s>Two. Three</s></p> <p>four</p>five</speak>")
    assert [(each.spoken, each.ends_paragraph) for each in script.utterances] == [
        ("one.", False), ("two.", False), ("three.", True), ("four.", True), ("five.", False)
    ]  # fmt: skip


def test_entities_of_xml_are_read_and_spans_stay_true():
    document = "<speak>R&amp;D &#x41;&#66; ends.</speak>"
    assert said(document) == "R and D A B ends."
    assert [document[slice(*word.span)] for word in words(document)][-1] == "ends"


def test_a_language_can_change_inside():
    first, second = read('<speak>Hello. <s xml:lang="hi">5 किमी</s></speak>').utterances
    assert (first.language, second.language) == ("en", "hi")
    assert second.spoken == "पाँच किलोमीटर."


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("<speak>a\n  <blink>b</blink></speak>", "line 2, column 3: the tag <blink> is unknown; the tags are <speak>"),
        ("<speak><break tiem='1s'/></speak>", "line 1, column 8: <break> has no attribute 'tiem'"),
        ("<speak><break time='1'/></speak>", "the pause '1' is no time"),
        ("<speak><break time='11s'/></speak>", "11 s is too long; the limit is 10 s"),
        ("<speak><break strength='huge'/></speak>", "'huge' is none of none, x-weak"),
        ("<speak><break>a</break></speak>", "<break> holds no text"),
        ("<speak>a</speek>", "mismatched tag"),
        ("<speak>a", "line 1, column 9"),
        ("<speak>a & b</speak>", "write & as &amp;"),
        ("<p>a</p>", "<p> is out of place"),
        ("<speak><speak>a</speak></speak>", "<speak> is out of place"),
        ("<speak><prosody>a</prosody></speak>", "<prosody> says nothing"),
        ("<speak><prosody rate='9'>a</prosody></speak>", "the rate is 9 here; keep it between 0.25 and 4"),
        ("<speak><prosody rate='quick'>a</prosody></speak>", "the rate 'quick' is none of x-slow"),
        ("<speak><prosody pitch='5'>a</prosody></speak>", "the pitch '5' is none of"),
        ("<speak><prosody volume='11'>a</prosody></speak>", "the volume '11' is none of"),
        ("<speak><say-as>1</say-as></speak>", "<say-as> lacks its attribute 'interpret-as'"),
        ("<speak><say-as interpret-as='price'>1</say-as></speak>", "cannot read as 'price'; the kinds are cardinal"),
        ("<speak><say-as interpret-as='cardinal'>one</say-as></speak>", "'one' cannot be read as cardinal in English"),
        ("<speak><say-as interpret-as='date' format='dym'>1</say-as></speak>", "the date format 'dym' is unknown"),
        ("<speak><say-as interpret-as='digits'><s>1</s></say-as></speak>", "<say-as> holds text only"),
        ("<speak><phoneme alphabet='sampa' ph='a'>a</phoneme></speak>", "the alphabet 'sampa' is unknown"),
        ("<speak><phoneme ph='ʘ'>a</phoneme></speak>", "latin letter bilabial click"),
        ("<speak><s xml:lang='fr'>a</s></speak>", "the language 'fr' cannot be read"),
        ("<speak> </speak>", "the text is empty"),
    ],
)
def test_mistakes_are_named_with_their_place(document, message):
    with pytest.raises(InputError) as caught:
        read(document, ssml=True)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE speak [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><speak>&b;</speak>',
        '<!DOCTYPE speak [<!ENTITY a SYSTEM "file:///etc/passwd">]><speak>&a;</speak>',
        '<!DOCTYPE speak SYSTEM "other.dtd"><speak>a</speak>',
        "<speak>&other;</speak>",
    ],
)
def test_document_types_and_other_entities_are_refused(document):
    with pytest.raises(InputError, match="document types|undefined entity"):
        read(document)
