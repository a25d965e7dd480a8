"""The time zones of IANA, kept in memory: the component has no files."""

import importlib.resources
import io
import zoneinfo
import zoneinfo._common
import zoneinfo._tzpath

_ZONES = {}


def load():
    """Reads all zones of the package `tzdata`, while the component is built."""
    root = importlib.resources.files("tzdata")
    for name in root.joinpath("zones").read_text(encoding="utf-8").split():
        _ZONES[name] = root.joinpath("zoneinfo", *name.split("/")).read_bytes()
    zoneinfo._common.load_tzdata = _zone
    zoneinfo._tzpath.find_tzfile = lambda key: None
    zoneinfo._tzpath.available_timezones = zoneinfo.available_timezones = lambda: set(_ZONES)


def _zone(key):
    try:
        return io.BytesIO(_ZONES[key])
    except KeyError:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}") from None
