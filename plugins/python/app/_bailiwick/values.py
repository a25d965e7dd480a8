"""A value of a program as JSON. It never fails, whatever the value is.

| Python | JSON |
|---|---|
| `None`, `bool`, `str` | the same; half a surrogate pair becomes U+FFFD |
| `int` up to 2**53, finite `float` | a number |
| larger `int` | a string of its digits (from 100,000 bits on, of its size) |
| `nan`, `inf`, `-inf` | `"NaN"`, `"Infinity"`, `"-Infinity"` |
| `list`, `tuple`, `range`, `deque`, `array`, views of a `dict`, other sequences | an array |
| `set`, `frozenset` | an array, sorted where it can be |
| `dict` and other mappings, named tuples, dataclasses | an object; other keys as JSON or `str` tells them |
| `bytes`, `bytearray`, `memoryview` | `{"base64": "…"}` |
| `Decimal`, `Fraction`, `complex`, `UUID`, paths | a string |
| `datetime`, `date`, `time` | a string, ISO 8601 |
| `timedelta` | a number of seconds |
| a member of an `Enum` | its value |
| an exception | `"ValueError: …"` |
| a `SimpleNamespace`, an object whose class says nothing of how it is shown | an object of its public attributes |
| anything else | its `repr`, at most 1,000 characters |
| what contains itself | `"<cycle>"` there; beyond 100 levels `"<too deep>"` |
"""

import array
import base64
import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import sys
import types
import uuid

_EXACT = 2**53
_DEEPEST = 100
_LONGEST = 1000
_BITS = 100_000
_TEXTS = (decimal.Decimal, fractions.Fraction, complex, uuid.UUID, pathlib.PurePath)
_BYTES = (bytes, bytearray, memoryview)
_LISTS = (list, tuple, range, collections.deque, array.array, collections.abc.MappingView, collections.abc.Sequence)
_SILENT = (object.__repr__, types.SimpleNamespace.__repr__)
_VIEWS = (collections.abc.Set, set, frozenset)


def plain(value):
    """The value as what `json.dumps` takes."""
    return _plain(value, [])


def text(value):
    """A string that every JSON parser takes."""
    try:
        value.encode()
        return str(value)
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def shown(value):
    """What `repr` says of a value, at most 1,000 characters."""
    try:
        told = repr(value)
    except Exception as error:
        told = f"<{type(value).__name__}: its repr failed with {type(error).__name__}>"
    return text(told if len(told) <= _LONGEST else told[:_LONGEST] + "…")


def _plain(value, above):
    if value is None or value is True or value is False:
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, above)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return int(value) if -_EXACT <= value <= _EXACT else _digits(int(value))
    if isinstance(value, float):
        return _number(float(value))
    if any(value is one for one in above):
        return "<cycle>"
    if len(above) >= _DEEPEST:
        return "<too deep>"
    try:
        return _compound(value, [*above, value])
    except Exception:
        return shown(value)


def _number(value):
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _digits(value):
    if value.bit_length() > _BITS:
        return f"<an int of {value.bit_length():,} bits>"
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return str(value)
    finally:
        sys.set_int_max_str_digits(limit)


def _compound(value, above):
    fields = getattr(type(value), "_fields", None)
    if isinstance(value, tuple) and fields:
        return {name: _plain(part, above) for name, part in zip(fields, value)}
    if isinstance(value, collections.abc.Mapping):
        return {_key(key): _plain(part, above) for key, part in value.items()}
    if isinstance(value, _BYTES):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, _VIEWS) and not isinstance(value, collections.abc.MappingView):
        return [_plain(part, above) for part in _ordered(value)]
    if isinstance(value, _LISTS):
        return [_plain(part, above) for part in value]
    if isinstance(value, _TEXTS):
        return text(str(value))
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return _object(value, above)


def _object(value, above):
    if isinstance(value, BaseException):
        told = text(str(value))
        return f"{type(value).__name__}: {told}" if told else type(value).__name__
    if isinstance(value, type):
        return shown(value)
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), above) for field in dataclasses.fields(value)}
    if type(value).__repr__ in _SILENT and hasattr(value, "__dict__"):
        return {text(name): _plain(part, above) for name, part in vars(value).items() if not name.startswith("_")}
    return shown(value)


def _ordered(values):
    try:
        return sorted(values)
    except Exception:
        return list(values)


def _key(key):
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return text(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, int):
        return _digits(int(key))
    return text(str(key))
