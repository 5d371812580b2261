"""Keeps third-party conferences in step with Google Calendar.

The house, in reading order:

    main.py          two doors: webhook(request) and worker(request)
    receive          a notification becomes a wake, or nothing
    admit            whoever asks to enrol a calendar proves who they are; it becomes a task, or nothing
    enrolment        what they ask for, read strictly
    notification     the headers of a push -> Notification | Rejection; no I/O
    wake             a durable request to look at one calendar, one for each time bucket
    work             the worker's tasks and jobs
    one_pass         one run over one calendar: claim -> pull -> apply -> close
    pull             listing -> ledger -> token
    event            the only place that knows Google's event JSON
    recognise        which conference an event carries
    rules            what the settings make of an event
    ledger           which event carries which conference; record(event)
    conference       what we know and want of one conference, and how that changes
    meeting          what a provider is told, and its fingerprint
    decide           (conference, now) -> what to do about it
    apply            wants -> intents -> provider -> settled
    pauses           provider accounts as one pass meets them: who refuses us is left alone
    write_back       where a conference is joined now, written into its events: all that we ever write
    holds            deletions that wait for a person, and what the person says
    by_hand          what else a person asks of a calendar: try now, read back, list in full, do again
    tend             converge channels, sweep calendars
    watching         one calendar's channels: opened, renewed, stopped
    push             whether notifications arrive at all
    budget           how often Google may be asked
    enrol            calendars that come and go at run time; whose they are
    reservation      Jitsi asks whether a room may open; the ledger answers
    tenure           what is done under one calendar's lease
    ports            what all of these ask of the world outside
    account words cursor lease channel codes errors policy records   nouns, tables and arithmetic
    settings keyfile logs trace wiring                    the environment, the keys, the records, the one assembly
    in_time connections                                   whatever the other side does, a call to it ends in time
    google conferences local                              adapters: they know ports and nouns, never use cases
    simulator cli testing                                 a stand-in for Google; the command line; for plug-ins
"""
