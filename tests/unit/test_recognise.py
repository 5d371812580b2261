"""Recognition: the strongest evidence names the conference, and no look-alike is ever taken for one."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.event import Carried, Event, parse
from sync.recognise import KNOWN, ConferenceKey, Recognised, Rule, System, recognise
from sync.rules import Rules

SAMPLES = Path(__file__).parent.parent / "samples"
ZOOM_SCRIPT = "1O_9DeEljSH2vrECr8XeFYYRxFFiowFKOivqSDz316BlBcDXrF00BXrkO"
LOCAL = System(provider="demo", hosts=("127.0.0.1:8123", "localhost:8123"), path=r"^/rooms/(\w+)$")


def carrying(
    *uris: str,
    solution_type: str = "addOn",
    solution_name: str = "",
    conference_id: str = "",
    script_id: str = "",
    real_id: str = "",
) -> Carried:
    return Carried(solution_type, solution_name, conference_id, script_id, real_id, uris)


def found(carried: Carried | None, link: ConferenceKey | None = None) -> str:
    """The recognised conference as "rule provider:id", marked when personal; empty when there is none."""
    recognised = recognise(carried, KNOWN, link)
    if recognised is None:
        return ""
    return f"{recognised.rule} {recognised.key}" + (" personal" if recognised.personal else "")


def recorded(name: str) -> Carried | None:
    body = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    event = parse(body.get("body", body))
    assert isinstance(event, Event)
    return event.carried


# --- The order of evidence ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("zoom_guest_copy", "script_id zoom:84411223355"),
        ("meet_1_pending", ""),
        ("meet_2_success", "entry_point meet:abc-defg-hij"),
    ],
)
def test_recorded_conferences_are_recognised(name: str, expected: str) -> None:
    assert found(recorded(name)) == expected


def test_stronger_evidence_wins_over_weaker() -> None:
    everything = carrying(
        "https://meet.jit.si/Standup",
        solution_name="Zoom Meeting",
        conference_id="81111111111",
        script_id=ZOOM_SCRIPT,
        real_id="82222222222",
    )
    by_id, by_real_id = ConferenceKey("whereby", "81111111111"), ConferenceKey("whereby", "82222222222")
    by_address = ConferenceKey("jitsi", "Standup")
    assert found(everything, by_id) == "own_link whereby:81111111111"
    assert found(everything, by_real_id) == "own_link whereby:82222222222"
    assert found(everything, by_address) == "own_link jitsi:Standup"
    assert found(everything) == "script_id zoom:82222222222"
    assert found(carrying(*everything.uris, solution_name="Zoom Meeting", conference_id="81111111111")) == (
        "entry_point jitsi:Standup"
    )
    assert found(carrying(solution_name="Zoom Meeting", conference_id="81111111111")) == (
        "solution_name zoom:81111111111"
    )


def test_evidence_is_weighed_over_all_systems_before_the_next_kind_of_evidence() -> None:
    named, addressed = (
        System("one", names=("Acme",), id_pattern="^a$"),
        System("two", hosts=("b.example",), path="^/(b)$"),
    )
    carried = carrying("https://b.example/b", solution_name="Acme", conference_id="a")
    for systems in ((named, addressed), (addressed, named)):
        assert recognise(carried, systems) == Recognised(ConferenceKey("two", "b"), Rule.ENTRY_POINT, False)


@pytest.mark.parametrize(
    ("carried", "link"),
    [
        (carrying("https://zoom.us/j/123456789"), ConferenceKey("zoom", "999999999")),
        (carrying("https://zoom.us/j/123456789"), ConferenceKey("goto", "123456789")),
        (carrying("https://zoom.us/j/123456789", conference_id="12345678"), ConferenceKey("zoom", "12345")),
    ],
)
def test_a_link_to_another_conference_is_no_evidence(carried: Carried, link: ConferenceKey) -> None:
    assert found(carried, link) == "entry_point zoom:123456789"


def test_an_event_without_a_conference_is_not_recognised_even_by_its_link() -> None:
    assert found(None, ConferenceKey("zoom", "123456789")) == ""
    assert found(carrying(), ConferenceKey("zoom", "123456789")) == ""


def test_an_add_on_that_tells_no_real_id_is_known_by_its_conference_id() -> None:
    assert found(carrying(script_id=ZOOM_SCRIPT, conference_id="84411223344")) == "script_id zoom:84411223344"


def test_an_add_on_that_tells_no_id_leaves_the_word_to_weaker_evidence() -> None:
    assert (
        found(carrying("https://zoom.us/j/123456789", script_id=ZOOM_SCRIPT)) == "entry_point zoom:123456789"
    )


@pytest.mark.parametrize(
    ("solution_type", "name", "conference_id", "expected"),
    [
        ("addOn", "Zoom Meeting", "123456789", "solution_name zoom:123456789"),
        ("addOn", "GoTo Meeting", "123456789", "solution_name goto:123456789"),
        ("addOn", "Zoom Meeting", "", ""),
        ("addOn", "Zoom Meeting", "5a0e6fb2-9d0f-4b7e-8d1a-6f1c2b3a4d5e", ""),
        ("addOn", "Zoom Meeting", "123456789 ", ""),
        ("addOn", "zoom meeting", "123456789", ""),
        ("addOn", "Not a Zoom Meeting", "123456789", ""),
        ("addOn", "Microsoft Teams", "123456789", ""),
        ("eventHangout", "Zoom Meeting", "123456789", ""),
        ("", "Zoom Meeting", "123456789", ""),
        ("hangoutsMeet", "Google Meet", "abc-defg-hij", "solution_name meet:abc-defg-hij"),
        ("hangoutsMeet", "", "abc-defg-hij", "solution_name meet:abc-defg-hij"),
        ("addOn", "Google Meet", "abc-defg-hij", ""),
    ],
)
def test_a_solutions_name_counts_only_with_an_id_of_the_right_shape(
    solution_type: str, name: str, conference_id: str, expected: str
) -> None:
    carried = carrying(solution_type=solution_type, solution_name=name, conference_id=conference_id)
    assert found(carried) == expected


# --- Addresses ---


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("https://zoom.us/j/123456789", "zoom:123456789"),
        ("https://acme.zoom.us/j/84411223344?pwd=x", "zoom:84411223344"),
        ("https://zoom.us/wc/join/123456789", "zoom:123456789"),
        ("https://zoom.us/wc/123456789/start", "zoom:123456789"),
        ("https://zoom.us/w/123456789#success", "zoom:123456789"),
        ("https://agency.zoomgov.com/s/123456789", "zoom:123456789"),
        ("https://acme.zoom-x.de/j/123456789", "zoom:123456789"),
        ("HTTPS://Acme.ZOOM.us./j/123456789", "zoom:123456789"),
        ("https://zoom.us:443/j/123456789", "zoom:123456789"),
        ("https://acme.webex.com/acme/j.php?MTID=m0123456789abcdef", "webex:m0123456789abcdef"),
        ("https://acme.webex.com/j.php?x=1&MTID=m01", "webex:m01"),
        (
            "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Nj%40thread.v2/0",
            "teams:19:meeting_Nj@thread.v2",
        ),
        ("https://teams.live.com/meet/9312345678901?p=x", "teams:9312345678901"),
        ("https://meet.goto.com/123456789", "goto:123456789"),
        ("https://global.gotomeeting.com/join/123456789", "goto:123456789"),
        ("https://v.ringcentral.com/join/123456789", "ringcentral:123456789"),
        ("https://meeting.zoho.eu/meeting/join?key=1234567890", "zoho:1234567890"),
        ("https://meet.zoho.com.au/join?key=1234567890", "zoho:1234567890"),
        ("https://acme.daily.co/stand-up", "daily:stand-up"),
        ("https://acme.whereby.com/planning", "whereby:planning"),
        ("https://meet.jit.si/Stand%20up", "jitsi:Stand up"),
        (
            "https://8x8.vc/vpaas-magic-cookie-0123456789abcdef0123456789abcdef/standup",
            "jitsi:vpaas-magic-cookie-0123456789abcdef0123456789abcdef/standup",
        ),
        ("https://meet.livekit.io/rooms/a1b2-c3d4", "livekit:a1b2-c3d4"),
        ("https://meet.google.com/abc-defg-hij", "meet:abc-defg-hij"),
    ],
)
def test_a_join_url_names_its_conference(uri: str, key: str) -> None:
    assert found(carrying(uri)) == f"entry_point {key}"


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/?x=https://zoom.us/j/123456789",
        "https://evil.example/https://zoom.us/j/123456789",
        "https://evil.example/#https://zoom.us/j/123456789",
        "https://zoom.us.evil.example/j/123456789",
        "https://evilzoom.us/j/123456789",
        "https://zoom.us@evil.example/j/123456789",
        "https://evil.example@zoom.us/j/123456789",
        "https://user:secret@zoom.us/j/123456789",
        "https://zoom.us\\@evil.example/j/123456789",
        "https://evil.example\\.zoom.us/j/123456789",
        "https:\\\\zoom.us/j/123456789",
        "https://meet.jit.si/a\\b",
        "https://zoom.us%2eevil.example/j/123456789",
        "https://zoom%2eus/j/123456789",
        "https://zооm.us/j/123456789",  # Cyrillic о
        "https://xn--zm-emaa.us/j/123456789",
        "https://zoom。us/j/123456789",  # an ideographic full stop
        "https://ｚoom.us/j/123456789",
        "https://meet.live\u212ait.io/rooms/x",  # the Kelvin sign: k in lower case
        "https://zoom.us:8443/j/123456789",
        "https://zoom.us:80/j/123456789",
        "https://zoom.us:٤٤٣/j/123456789",
        "https://zoom.us:/j/123456789:443@evil.example",
        "https://zoom.us../j/123456789",
        "https://.zoom.us/j/123456789",
        "http://zoom.us/j/123456789",
        "ftp://zoom.us/j/123456789",
        "javascript://zoom.us/j/123456789",
        "javascript:https://zoom.us/j/123456789",
        "//zoom.us/j/123456789",
        "zoom.us/j/123456789",
        "https:/zoom.us/j/123456789",
        "https:zoom.us/j/123456789",
        "https://[::1]/j/123456789",
        "https://[zoom.us/j/123456789",
        " https://zoom.us/j/123456789",
        "https://zoom.us/j/123456789 ",
        "https://zo\tom.us/j/123456789",
        "https://zoom.us/j/123456789\n",
        "https://zoom.us\u00a0/j/123456789",
        "https://zoom.us/j/12345678",
        "https://zoom.us/j/1234567890123",
        "https://zoom.us/j/123456789x",
        "https://zoom.us/j/１２３４５６７８９",
        "https://zoom.us/rec/j/123456789",
        "https://applications.zoom.us/addon/invitation/detail?meetingUuid=x",
        "https://acme.webex.com/acme/j.php",
        "https://acme.webex.com/acme/j.php?MTID=",
        "https://acme.webex.com/acme/j.php?MTID=m01&MTID=m02",
        "https://acme.webex.com/acme/other.php?MTID=m01",
        "https://meet.google.com/landing",
        "https://meet.jit.si/%00",
        "https://meet.jit.si/" + "x" * 257,
        "https://meet.jit.si/",
        "http://127.0.0.1:8123/rooms/a",
        "",
    ],
)
def test_a_url_that_only_looks_like_one_is_refused(uri: str) -> None:
    assert found(carrying(uri)) == ""


def wrapped_by_google(uri: str) -> str:
    return f"https://www.google.com/url?q={quote(uri, safe='')}&sa=D&source=calendar"


def wrapped_by_outlook(uri: str) -> str:
    return f"https://eur01.safelinks.protection.outlook.com/?url={quote(uri, safe='')}&data=x"


def test_wrapped_links_are_unwrapped_three_times_and_no_more() -> None:
    uri = "https://zoom.us/j/123456789"
    for wrap in (wrapped_by_google, wrapped_by_outlook, wrapped_by_google):
        uri = wrap(uri)
        assert found(carrying(uri)) == "entry_point zoom:123456789"
    assert found(carrying(wrapped_by_outlook(uri))) == ""


@pytest.mark.parametrize(
    "uri",
    [
        wrapped_by_google("https://zoom.us.evil.example/j/123456789"),
        wrapped_by_google("http://zoom.us/j/123456789"),
        wrapped_by_google("https://evil.example@zoom.us/j/123456789"),
        wrapped_by_google("https://zoom.us/j/123456789").replace(
            "www.google.com", "www.google.com.evil.example"
        ),
        wrapped_by_google("https://zoom.us/j/123456789").replace("/url?", "/search?"),
        wrapped_by_google("https://zoom.us/j/123456789").replace("https://www", "http://www"),
        wrapped_by_google("https://zoom.us/j/123456789") + "&q=https://evil.example",
        "https://www.google.com/url?q=",
        "https://www.google.com/url",
    ],
)
def test_a_wrapped_link_is_judged_as_strictly_as_a_bare_one(uri: str) -> None:
    assert found(carrying(uri)) == ""


@pytest.mark.parametrize(
    ("uri", "known"),
    [
        ("http://127.0.0.1:8123/rooms/a1", True),
        ("https://127.0.0.1:8123/rooms/a1", True),
        ("http://localhost:8123/rooms/a1", True),
        ("http://127.0.0.1:8124/rooms/a1", False),
        ("http://127.0.0.1/rooms/a1", False),
        ("http://127.0.0.2:8123/rooms/a1", False),
        ("http://evil.127.0.0.1:8123/rooms/a1", False),
        ("http://127.0.0.1.evil.example:8123/rooms/a1", False),
        ("http://127.0.0.1:8123@evil.example/rooms/a1", False),
        ("http://[::1]:8123/rooms/a1", False),
    ],
)
def test_plain_http_is_for_a_configured_system_on_this_machine(uri: str, known: bool) -> None:
    expected = Recognised(ConferenceKey("demo", "a1"), Rule.ENTRY_POINT, False) if known else None
    assert recognise(carrying(uri), (LOCAL, *KNOWN)) == expected


def test_plain_http_stays_refused_for_a_configured_system_elsewhere() -> None:
    system = System(provider="talk", hosts=("cloud.example:8443",), path=r"/call/(\w+)$")
    assert recognise(carrying("http://cloud.example:8443/call/abc"), [system]) is None
    assert recognise(carrying("https://cloud.example:8443/sub/call/abc"), [system]) == Recognised(
        ConferenceKey("talk", "abc"), Rule.ENTRY_POINT, False
    )


# --- Personal rooms ---


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://zoom.us/my/ada.lovelace", "entry_point zoom:ada.lovelace personal"),
        ("https://acme.zoom.us/my/ada?pwd=x", "entry_point zoom:ada personal"),
        ("https://acme.webex.com/meet/ada", "entry_point webex:ada personal"),
        ("https://acme.webex.com/join/ada@example.com", "entry_point webex:ada personal"),
    ],
)
def test_a_standing_room_is_recognised_as_personal(uri: str, expected: str) -> None:
    assert found(carrying(uri)) == expected


def test_a_conference_reached_through_a_personal_room_is_personal_by_whatever_rule_it_is_known() -> None:
    room = "https://zoom.us/my/ada"
    by_script = carrying(room, script_id=ZOOM_SCRIPT, real_id="84411223344")
    assert found(by_script) == "script_id zoom:84411223344 personal"
    assert found(by_script, ConferenceKey("zoom", "84411223344")) == "own_link zoom:84411223344 personal"
    assert found(carrying("https://zoom.us/j/123456789", room)) == "entry_point zoom:123456789 personal"


def test_another_systems_personal_room_does_not_count() -> None:
    carried = carrying("https://acme.webex.com/meet/ada", script_id=ZOOM_SCRIPT, real_id="84411223344")
    assert found(carried) == "script_id zoom:84411223344"


# --- Keys ---


@pytest.mark.parametrize(
    "key", [ConferenceKey("zoom", "1"), ConferenceKey("teams", "19:meeting_x@thread.v2")]
)
def test_a_key_survives_being_written_and_read(key: ConferenceKey) -> None:
    assert ConferenceKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["", "zoom", "zoom:", ":1", "zoom:a\nb", "zoom:" + "x" * 257])
def test_what_is_no_key_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="not a conference key"):
        ConferenceKey.parse(text)


@pytest.mark.parametrize("conference_id", ["x" * 257, "a\nb", "\ud800"])
def test_an_id_that_is_long_or_unprintable_is_not_recognised(conference_id: str) -> None:
    assert found(carrying(script_id=ZOOM_SCRIPT, real_id=conference_id)) == ""


def test_systems_that_only_settings_can_locate_are_not_in_the_table() -> None:
    assert {"nextcloud", "bigbluebutton"}.isdisjoint(system.provider for system in KNOWN)
    assert all(system.hosts for system in KNOWN)


# --- Whatever comes ---

HOSTS = st.sampled_from([host for system in KNOWN for host in system.hosts])
# A way into every system, so that only the host can be the reason to refuse.
PATHS = st.sampled_from(
    [
        *("/j/123456789", "/my/ada", "/j.php?MTID=m01", "/meet/123", "/join/123456789", "/join?key=1"),
        *("/rooms/a", "/abc-defg-hij", "/standup"),
    ]
)
LABELS = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True)
LETTERS_THAT_DECEIVE = str.maketrans("aceiopxykm", "асеіорхук\u217f")


@st.composite
def look_alikes(draw: st.DrawFn) -> str:
    """A URL that shows a known host to the eye, and belongs to somebody else."""
    host, path, label = draw(HOSTS), draw(PATHS), draw(LABELS)
    return draw(
        st.sampled_from(
            [
                f"https://{label}.evil.example/{host}{path}",
                f"https://{host}.{label}.example{path}",
                f"https://{host}-{label}.example{path}",
                f"https://evil{host}{path}",
                f"https://evil-{host}{path}",
                f"https://{host}@{label}.example{path}",
                f"https://{host}:443@{label}.example{path}",
                f"https://{label}@{host}{path}",
                f"https://{host}\\@{label}.example{path}",
                f"https://{label}.example\\{host}{path}",
                f"https://{host}:8443{path}",
                f"https://{host.translate(LETTERS_THAT_DECEIVE)}{path}",
                f"https://{host.replace('.', '。')}{path}",
                f"https://{host.replace('.', '%2e')}{path}",
                f"https://{host[:-1]}\t{host[-1]}{path}",
                f"https://{label}.example/?u=https://{host}{path}",
                f"https://{label}.example/url?q=https://{host}{path}",
                f"https://{label}.example#https://{host}{path}",
                f"http://{host}{path}",
                f"javascript://{host}{path}",
                f"data:https://{host}{path}",
            ]
        )
    )


@given(uri=look_alikes(), wrap=st.sampled_from([str, wrapped_by_google, wrapped_by_outlook]))
def test_no_look_alike_host_is_ever_recognised(uri: str, wrap: Callable[[str], str]) -> None:
    assert found(carrying(wrap(uri))) == ""


@given(host=HOSTS, path=PATHS, label=LABELS)
def test_the_same_paths_on_a_genuine_host_or_below_it_are_never_anothers(
    host: str, path: str, label: str
) -> None:
    owners = {system.provider for system in KNOWN if host in system.hosts}
    for genuine in (f"https://{host}{path}", f"https://{label}.{host}{path}"):
        recognised = recognise(carrying(genuine), KNOWN)
        assert recognised is None or recognised.key.provider in owners


@given(
    carried=st.builds(
        Carried,
        *[st.sampled_from(["addOn", "hangoutsMeet", "Zoom Meeting", ZOOM_SCRIPT, "123456789"]) | st.text()]
        * 5,
        st.lists(look_alikes() | st.text() | st.text().map("https://".__add__), max_size=3).map(tuple),
    ),
    link=st.none() | st.builds(ConferenceKey, st.text(min_size=1), st.text()),
)
def test_recognition_never_raises_and_never_names_an_unsound_id(
    carried: Carried, link: ConferenceKey | None
) -> None:
    recognised = recognise(carried, (LOCAL, *KNOWN), link)
    if recognised is not None:
        assert 0 < len(recognised.key.id) <= 256
        assert recognised.key.id.isprintable()


# --- What a log may call a conference ---


@pytest.mark.parametrize("provider", ["zoom", "teams"])
def test_an_id_that_opens_nothing_by_itself_is_told_in_logs(provider: str) -> None:
    key = ConferenceKey(provider, "81234567890")
    assert Rules(KNOWN, frozenset()).shown(key) == f"{provider}:81234567890"


@pytest.mark.parametrize("provider", ["jitsi", "webex", "whereby", "nobody's"])
def test_an_id_that_is_as_good_as_the_link_or_somebodys_words_is_not(provider: str) -> None:
    key = ConferenceKey(provider, "talk-about-bobs-salary")
    shown = Rules(KNOWN, frozenset()).shown(key)
    assert shown == Rules(KNOWN, frozenset()).shown(key) == key.veiled
    assert re.fullmatch(rf"{provider}:~[0-9a-f]{{16}}", shown)


def test_a_system_of_ones_own_under_a_known_name_is_not_told_either() -> None:
    own = System("zoom", hosts=("calls.example",), path=r"^/([a-z-]+)$")
    key = ConferenceKey("zoom", "talk-about-bobs-salary")
    assert Rules((own, *KNOWN), frozenset()).shown(key) == key.veiled
