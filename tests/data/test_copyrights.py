"""Licences of files by the last paragraph that names them."""

from __future__ import annotations

from text2x.data.copyrights import paragraph_of, paragraphs

TEXT = """Format: of Debian, 1.0
Comment: nothing
 Files: none

Files: *
Copyright: 2020 Ada
License: GPL-2+
 It is free.
 .
 Really.

Files: sounds/*.ogg
       sounds/horn/*
Copyright: 2021 Bo
           2022 Cy
License: CC-BY-3.0

Files: sounds/bell.ogg
Copyright: 2021 Di
License: CC0

License: CC0
 No rights.
"""


def test_the_last_paragraph_that_names_a_file_holds():
    found = paragraphs(TEXT)
    licences = {
        path: (each.licence, each.holders)
        for path in ("readme", "sounds/a.ogg", "sounds/horn/x/y.wav", "sounds/bell.ogg")
        if (each := paragraph_of(path, found)) is not None
    }
    assert licences == {
        "readme": ("GPL-2+", "2020 Ada"),
        "sounds/a.ogg": ("CC-BY-3.0", "2021 Bo, 2022 Cy"),
        "sounds/horn/x/y.wav": ("CC-BY-3.0", "2021 Bo, 2022 Cy"),
        "sounds/bell.ogg": ("CC0", "2021 Di"),
    }


def test_a_file_that_no_paragraph_names_has_no_licence():
    assert paragraph_of("a.wav", paragraphs("Files: b.wav\nCopyright: Ada\nLicense: MIT\n")) is None
    assert paragraphs("It was downloaded from somewhere.\nLicense: GPL\n") == ()
