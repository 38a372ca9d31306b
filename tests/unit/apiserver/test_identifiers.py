"""Random identifiers have the form that clients and name checks expect."""

import re

from kubetree.apiserver.identifiers import new_suffix, new_uuid


def test_suffixes_are_five_characters_of_the_alphabet_without_vowels() -> None:
    found = {new_suffix() for _ in range(2000)}
    assert len(found) > 1900
    assert all(re.fullmatch("[bcdfghjklmnpqrstvwxz2456789]{5}", suffix) for suffix in found)
    for place in range(5):
        assert len({suffix[place] for suffix in found}) == 27


def test_uuids_are_random_ones() -> None:
    found = {new_uuid() for _ in range(100)}
    assert len(found) == 100
    assert all(re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text) for text in found)
