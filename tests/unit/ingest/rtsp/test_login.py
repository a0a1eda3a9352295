"""Logging in to a camera: every kind of challenge answered as the standards compute it, and none answered for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.errors import CameraGone
from ingest.rtsp.login import Login, read_challenges


def login(user: str = "Mufasa", password: str = "Circle Of Life") -> Login:
    return Login(user, password, _client_nonce="0a4f113b")


def fields(header: str | None) -> dict[str, str]:
    assert header is not None
    [found] = read_challenges([header])
    return found.fields


def test_nobody_is_told_who_we_are_before_asking():
    assert login().header("OPTIONS", "rtsp://a/") is None


def test_basic_is_spoken():
    mine = login("Aladdin", "open sesame")
    mine.challenged(['Basic realm="x"'], answered=False)
    assert mine.header("DESCRIBE", "rtsp://a/") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617 §2


def test_digest_with_quality_is_computed_as_rfc_2617_does_it():
    mine = login()
    challenge = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    mine.challenged([challenge], answered=False)
    said = fields(mine.header("GET", "/dir/index.html"))
    assert said["response"] == "6629fae49393a05397450978507c4ef1"  # RFC 2617 §3.5
    assert (said["qop"], said["nc"], said["cnonce"]) == ("auth", "00000001", "0a4f113b")
    assert said["opaque"] == "5ccc069c403ebaf9f0171e9517f40e41"
    assert fields(mine.header("GET", "/dir/index.html"))["nc"] == "00000002"


def test_digest_by_sha_256_is_computed_as_rfc_7616_does_it():
    mine = Login("Mufasa", "Circle of Life", _client_nonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    challenge = (
        'Digest realm="http-auth@example.org", qop="auth", algorithm=SHA-256, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"'
    )
    mine.challenged([challenge], answered=False)
    said = fields(mine.header("GET", "/dir/index.html"))
    assert said["response"] == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"  # RFC 7616 §3.9.1
    assert said["algorithm"] == "SHA-256"


def test_digest_as_most_cameras_ask_for_it_needs_no_quality():
    mine = login("admin", "12345")
    mine.challenged(['Digest realm="IP Camera(23435)", nonce="e0b1f2"'], answered=False)
    said = fields(mine.header("DESCRIBE", "rtsp://10.0.0.1:554/Streaming/Channels/102"))
    assert "qop" not in said
    assert "cnonce" not in said
    assert said["uri"] == "rtsp://10.0.0.1:554/Streaming/Channels/102"
    assert len(said["response"]) == 32


def test_the_strongest_of_several_challenges_is_answered():
    mine = login()
    both = ['Basic realm="x"', 'Digest realm="x", nonce="n"', 'Digest realm="x", nonce="n", algorithm=SHA-256']
    mine.challenged(both, answered=False)
    assert mine.challenge is not None
    assert mine.challenge.algorithm == "sha-256"
    mine.challenged(['Digest realm="x", nonce="n", algorithm=MD5, Basic realm="x"'], answered=False)
    assert mine.challenge.algorithm == "md5"


@pytest.mark.parametrize("challenges", [[], ["Negotiate"], ['Digest realm="x", nonce="n", algorithm=SHA-512-256']])
def test_a_login_of_an_unknown_kind_is_not_guessed(challenges):
    with pytest.raises(CameraGone, match="wrong password"):
        login().challenged(challenges, answered=False)


def test_who_has_no_login_does_not_try():
    with pytest.raises(CameraGone, match="wrong password"):
        Login().challenged(['Basic realm="x"'], answered=False)


def test_the_same_answer_is_not_given_twice():
    mine = login()
    mine.challenged(['Digest realm="x", nonce="1"'], answered=False)
    with pytest.raises(CameraGone, match="wrong password"):
        mine.challenged(['Digest realm="x", nonce="2"'], answered=True)


def test_a_stale_nonce_is_answered_with_the_new_one_but_not_for_ever():
    mine = login()
    mine.challenged(['Digest realm="x", nonce="0"'], answered=False)
    for number in range(1, 4):
        mine.challenged([f'Digest realm="x", nonce="{number}", stale=true'], answered=True)
    with pytest.raises(CameraGone, match="wrong password"):
        mine.challenged(['Digest realm="x", nonce="9", stale=true'], answered=True)


def test_a_login_that_has_passed_is_given_again_to_a_server_that_forgets_to_say_stale():
    mine = login()
    mine.challenged(['Digest realm="x", nonce="0"'], answered=False)
    mine.accepted()
    mine.challenged(['Digest realm="x", nonce="1"'], answered=True)
    assert fields(mine.header("PLAY", "rtsp://a/"))["nonce"] == "1"
    with pytest.raises(CameraGone, match="wrong password"):
        mine.challenged(['Digest realm="x", nonce="1"'], answered=True)


def test_quotes_in_names_survive():
    mine = login('a"b\\c', "x")
    mine.challenged([r'Digest realm="the \"yard\"", nonce="n"'], answered=False)
    said = fields(mine.header("PLAY", "rtsp://a/"))
    assert said["username"] == 'a"b\\c'
    assert said["realm"] == 'the "yard"'


@given(st.lists(st.text(max_size=80), max_size=4))
def test_no_challenge_whatever_breaks_us(challenges):
    mine = login()
    try:
        mine.challenged(["Digest " + each for each in challenges], answered=False)
        mine.header("PLAY", "rtsp://a/")
    except CameraGone as gone:
        assert gone.reason == "wrong password"  # noqa: PT017  # a challenge that can be answered is right too
