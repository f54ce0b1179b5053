"""Renders every template of the Home Assistant package with a response of jd-manager.

Reads the response (JSON) from standard input; the argument is the package. Prints a JSON object: the name of each sensor
and its value. Home Assistant renders with Jinja, with `value_json` for the response.
"""

import json
import sys

import jinja2
import yaml


class Loader(yaml.SafeLoader):
    """Home Assistant's tags, such as !secret, are plain text here."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix}")

with open(sys.argv[1]) as package:
    rest = yaml.load(package, Loader)["rest"]
response = json.load(sys.stdin)
# An undefined variable is an error, not an empty text.
environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
values = {}
for resource in rest:
    for sensor in resource["sensor"] + resource.get("binary_sensor", []):
        template = environment.from_string(sensor["value_template"])
        values[sensor["name"]] = template.render(value_json=response).strip()
json.dump(values, sys.stdout)
