"""Whether an answer is the JSON that a schema asks for."""

import json
import re

from jsonschema.exceptions import SchemaError, UnknownType, ValidationError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable


def mismatch(answer: str, schema: str) -> str:
    """Why `answer` is not JSON of `schema`, in words for a person; empty where it is.

    Nothing is fetched. A schema that cannot be applied is not: the server was to refuse it.
    """
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError) as error:
        return str(error)
    rules = json.loads(schema)
    try:
        kind = validator_for(rules)
        kind.check_schema(rules)
        kind(rules, registry=Registry()).validate(value)
    except ValidationError as error:
        return f"{error.json_path}: {error.message}"
    except (SchemaError, UnknownType, Unresolvable, RecursionError, re.error, TypeError, ValueError):
        return ""
    return ""
