"""Lints the chart and prints what Helm makes of it, as JSON: a list of its objects. Needs helm-python-sdk and pyyaml (PyPI).

    render.py NAMESPACE
"""

import json
import sys
from pathlib import Path

import yaml
from helm_python import Chart, lint

folder = Path(__file__).parent / "legonf-operator"
found = lint(str(folder), strict=True)
problems = [message for message in found.get("messages") or [] if message.get("severity", 0) not in (0, 1, "INFO", "info")]
if problems:
    sys.exit(f"{folder}: {problems}")
with Chart.load(str(folder)) as chart:
    texts = chart.render({}, name="legonf", namespace=sys.argv[1])
objects = [item for text in texts.values() for item in yaml.safe_load_all(text) if item]
print(json.dumps(objects))
