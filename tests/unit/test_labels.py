"""The split is the one thing that makes results comparable: it is held here name by name."""

from __future__ import annotations

import pytest

from voiceflow_ml.training.data.labels import NOISE_SPEAKER, Label, label_recording
from voiceflow_ml.training.data.sources import select_sources

STAMPS = "usr/share/tuxpaint/stamps/animals/cat_desc"
FISH = "usr/share/games/fillets-ng/sound/city"
KTUBERLING = "usr/share/ktuberling/sounds"
HEDGEWARS = "usr/share/games/hedgewars/Data"


def label(package: str, name: str) -> Label | None:
    return label_recording(select_sources((package,))[0], name)


@pytest.mark.parametrize(
    ("package", "name", "speaker", "split"),
    [
        ("asterisk-core-sounds-en-g722", "x/en_US_f_Allison/vm-intro.g722", "asterisk-allison", "train"),
        ("asterisk-core-sounds-es-g722", "x/es_MX_f_Allison/vm-intro.g722", "asterisk-allison", "train"),
        ("asterisk-core-sounds-fr-g722", "x/fr_CA_f_June/vm-intro.g722", "asterisk-june", "train"),
        ("asterisk-core-sounds-it-g722", "x/it_IT_m_Carlo/vm-intro.g722", "asterisk-carlo", "test"),
        ("asterisk-core-sounds-ru-g722", "x/ru_RU_f_IvrvoiceRU/hello.g722", "asterisk-ivrvoice-ru", "test"),
        ("asterisk-prompt-es-co", "x/es/hello.gsm", "asterisk-es-co", "test"),
        ("asterisk-prompt-fr-armelle", "x/fr/hello.gsm", "asterisk-armelle", "test"),
        ("asterisk-prompt-it-menardi-wav", "x/hello.wav", "asterisk-menardi", "dev"),
        ("flight-of-the-amazon-queen", "020001P2.SB", "queen-02", "train"),
        ("flight-of-the-amazon-queen", "390001P2.SB", "queen-39", "dev"),
        ("flight-of-the-amazon-queen", "620001P2.SB", "queen-62", "dev"),
        ("flight-of-the-amazon-queen", "390001J1.SB", "queen-hero", "train"),
        ("drascula", "x/en/12.ALS", "drascula-hero", "train"),
        ("drascula", "x/en/BJ3.ALS", "drascula-bj", "train"),
        ("drascula-spanish", "x/es/BJ3.ALS", "drascula-spanish-bj", "test"),
        ("fillets-ng-data-cs", f"{FISH}/cs/vit-m-nebo.ogg", "fillets-ng-data-cs-m", "train"),
        ("fillets-ng-data-nl", f"{FISH}/nl/vit-v-proc.ogg", "fillets-ng-data-nl-v", "test"),
        ("tuxpaint-stamps-default", f"{STAMPS}.ogg", "tuxpaint-en", "train"),
        ("tuxpaint-stamps-default", f"{STAMPS}_fr.ogg", "tuxpaint-fr", "train"),
        ("tuxpaint-stamps-default", f"{STAMPS}_pt_BR.ogg", "tuxpaint-pt", "train"),
        ("tuxpaint-stamps-default", f"{STAMPS}_el.ogg", "tuxpaint-el", "dev"),
        *[("tuxpaint-stamps-default", f"{STAMPS}_{c}.ogg", f"tuxpaint-{c}", "test") for c in ("bg", "da", "lt", "ml")],
        ("ktuberling-data", f"{KTUBERLING}/fr/cat.ogg", "ktuberling-fr", "train"),
        *[("ktuberling-data", f"{KTUBERLING}/{c}/a.ogg", f"ktuberling-{c}", "dev") for c in ("nn", "gl", "el")],
        *[("ktuberling-data", f"{KTUBERLING}/{c}/a.ogg", f"ktuberling-{c}", "test") for c in ("lt", "uk", "da", "ca")],
        *[("klettres-data", f"usr/share/klettres/{c}/alpha/a.ogg", f"klettres-{c}", "dev") for c in ("he", "hu")],
        ("klettres-data", "usr/share/klettres/ml/syllab/a.ogg", "klettres-ml", "test"),
        ("klettres-data", "usr/share/klettres/en_GB/alpha/a.ogg", "klettres-en_gb", "train"),
        ("hedgewars-data", f"{HEDGEWARS}/Sounds/voices/Pirate/Amazing.ogg", "hedgewars-pirate", "train"),
    ],
)
def test_speaker_and_split(package: str, name: str, speaker: str, split: str) -> None:
    found = label(package, name)
    assert found is not None
    assert (found.speaker, found.split) == (speaker, split)


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("asterisk-core-sounds-en-g722", "x/en_US_f_Allison/silence/5.g722"),
        ("flight-of-the-amazon-queen", "106SSSSS.SB"),
        ("flight-of-the-amazon-queen", "COMIC.SB"),
        ("drascula", "x/en/NOTES.ALS"),
        ("fillets-ng-data-cs", f"{FISH}/cs/vit-hs-reklama5.ogg"),
        ("tuxpaint-stamps-default", "usr/share/tuxpaint/stamps/animals/cat.ogg"),
        ("ktuberling-data", f"{KTUBERLING}/sr@latin/a.wav"),
        ("hedgewars-data", f"{HEDGEWARS}/Other/a.ogg"),
    ],
)
def test_recordings_whose_speaker_is_unknown_are_left_out(package: str, name: str) -> None:
    assert label(package, name) is None


def test_roles_that_one_actor_may_play_share_a_group() -> None:
    roles = [label("drascula", f"x/en/{name}.ALS") for name in ("BJ3", "D4", "12")]
    assert roles[0] is not None
    assert roles[1] is not None
    assert roles[2] is not None
    assert roles[0].group == roles[1].group != roles[2].group


def test_one_language_in_two_packages_shares_a_group() -> None:
    pair = (
        label("ktuberling-data", f"{KTUBERLING}/fr/cat.ogg"),
        label("tuxpaint-stamps-default", f"{STAMPS}_fr.ogg"),
    )
    assert {found.group for found in pair if found} == {"language-fr"}


def test_noise_is_nobody_and_is_split_too() -> None:
    found = [label("hedgewars-data", f"{HEDGEWARS}/Sounds/{number}.ogg") for number in range(40)]
    labels = [item for item in found if item is not None]
    assert {item.speaker for item in labels} == {NOISE_SPEAKER}
    assert {item.split for item in labels} == {"train", "dev", "test"}
