"""Keeps third-party conferences in step with Google Calendar.

The house, in reading order:

    main.py          two doors: webhook(request) and worker(request)
    notification     headers of a push -> Notification, or a refusal; no I/O
    wake             a durable request to look at one calendar, one per time bucket
    one_pass         one run over one calendar: claim -> pull -> apply -> close
    pull             listing -> ledger -> token
    event            the only place that knows Google's event JSON
    recognise        which conference an event carries
    ledger           links and conferences: what we know and what we want
    decide           (conference, now) -> what to do about it
    apply            wants -> intents -> provider -> settled
    tend             converge channels, sweep calendars
    ports            what the rooms above ask of the world outside
    meeting          what a provider is told about a meeting
    cursor lease channel records errors
    settings logs wiring
    google/ conferences/ local/      adapters: they know ports and nouns, never use cases
    simulator/ cli/                  a stand-in for Google Calendar; the command line
"""
