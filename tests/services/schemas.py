"""Whether what stands on standard input, one JSON text a line with `tool` and `schema`, are schemas of JSON Schema 2020-12.

Tells those that are not; ends with the number of all that were looked at.
"""

import json
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

n_schemas = 0
for line in sys.stdin:
    entry = json.loads(line)
    n_schemas += 1
    try:
        Draft202012Validator.check_schema(entry["schema"])
    except SchemaError as error:
        print(f"{entry['tool']}: {error.message} at {error.json_path}")
print(n_schemas)
