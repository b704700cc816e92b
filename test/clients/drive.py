"""
Runs a client library as it was installed: reads a plan as JSON from standard input, makes the client, calls its methods
at once in as many threads as there are calls, and prints one JSON line for each call. Knows no client and no captcha.

    {"module": "captchaai", "class": "CaptchaAI", "construct": {...}, "pace": 0.02,
     "calls": [{"name": "v2", "call": "recaptcha_v2", "args": [], "kwargs": {...}}]}

`pace` shortens every wait of the client: 0.02 makes a second 20 ms. Nothing else of it is touched.
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
    try:
        result = action()
        plain = result is None or isinstance(result, (str, int, float, list, dict))
        return {"name": name, "result": result if plain else vars(result)}
    except Exception as error:  # whatever a client raises is an outcome
        return {"name": name, "error": f"{type(error).__name__}: {error}"}


try:
    client = getattr(importlib.import_module(plan["module"]), plan["class"])(**plan["construct"])
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
