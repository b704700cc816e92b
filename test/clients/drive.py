"""
Runs a client library as it was installed: reads a plan as JSON from standard input, makes the client, calls its methods
at once in as many threads as there are calls, and prints one JSON line for each call. Knows no client and no captcha.

    {"again": 0, "module": "captchaai", "class": "CaptchaAI", "construct": {...}, "pace": 0.02,
     "calls": [{"name": "v2", "call": "recaptcha_v2", "args": [], "kwargs": {...}}]}

`pace` shortens every wait of the client: 0.02 makes a second 20 ms. Nothing else of it is touched. `again`: how often the
program around it calls it again when it says that its connection broke (all of them call that Network…).
"""

import importlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

plan = json.load(sys.stdin)
wait = time.sleep
time.sleep = lambda seconds: wait(seconds * plan["pace"])


def told(name, action):
    met = []
    while True:
        try:
            result = action()
            plain = result is None or isinstance(result, (str, int, float, list, dict))
            return {"name": name, "result": result if plain else vars(result), "met": met}
        except Exception as error:  # whatever a client raises is an outcome
            said = f"{type(error).__name__}: {error}"
            if len(met) >= plan["again"] or not said.startswith("Network"):
                return {"name": name, "error": said, "met": met}
            met.append(said)
            wait(0.2)


def made():
    for left in range(plan["again"], -1, -1):
        try:
            return getattr(importlib.import_module(plan["module"]), plan["class"])(**plan["construct"])
        except Exception as error:
            if left == 0 or not type(error).__name__.startswith("Network"):
                raise
            wait(0.2)


try:
    client = made()
except Exception as error:
    for call in plan["calls"]:
        print(json.dumps({"name": call["name"], "error": f"{type(error).__name__}: {error}"}))
    sys.exit(0)

with ThreadPoolExecutor(len(plan["calls"])) as pool:
    runs = [
        pool.submit(told, call["name"], lambda call=call: getattr(client, call["call"])(*call["args"], **call["kwargs"]))
        for call in plan["calls"]
    ]
    for run in runs:
        print(json.dumps(run.result()))
