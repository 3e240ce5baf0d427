"""`doctor`: look, print, and fail where something cannot work."""

import sys

from deployopt import api
from deployopt.cli.app import JsonOption, StoreOption, app
from deployopt.core.codec import encode_pretty


@app.command()
def doctor(*, store: StoreOption = None, json: JsonOption = False) -> int:
    """What is installed, and what spoils measurements here."""
    found = api.doctor(store=store)
    if json:
        sys.stdout.write(encode_pretty(found).decode())
    else:
        from deployopt.reports.diagnosis import print_diagnosis

        print_diagnosis(found)
    return found.exit_code
