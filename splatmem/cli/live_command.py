"""What ``splatmem explore`` does, given its options, and what it prints."""

from __future__ import annotations

import threading

from splatmem.live.options import LiveOptions
from splatmem.report.progress import RunProgress


def explore(options: LiveOptions, progress: RunProgress) -> None:
    from splatmem.live.application import exploring

    with exploring(options, progress) as application:
        for note in application.notes:
            progress.say(f"note: {note}")
        progress.say(f"open {application.address} in a browser; the scene is kept in {options.folder}; Ctrl-C ends this")
        progress.result(address=application.address, folder=str(options.folder))
        if not options.is_local:
            progress.say("note: who has this address may change the scene; what is sent is not encrypted")
        threading.Event().wait()
