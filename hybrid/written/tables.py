"""Words of numbers, months, units and currencies."""

from __future__ import annotations

_DIGITS = "zero one two three four five six seven eight nine"
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth"
_MONTHS = "january february march april may june july august september october november december"
DIGITS = {word: value for value, word in enumerate(_DIGITS.split())}
UNITS = {word: value for word, value in DIGITS.items() if value}
TEENS = {word: value for value, word in enumerate(_TEENS.split(), 10)}
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
SCALES = {"thousand": 10**3, "lakh": 10**5, "million": 10**6, "crore": 10**7, "billion": 10**9, "trillion": 10**12,
          "quadrillion": 10**15, "quintillion": 10**18, "sextillion": 10**21, "septillion": 10**24}  # fmt: skip
ZEROS = ("oh", "o", "zero", "0")
CARDINAL_WORDS = frozenset([*DIGITS, *TEENS, *TENS, "hundred", *SCALES])

_ORDINAL_UNITS = dict(zip(_ORDINALS.split(), UNITS))
ORDINALS = {**_ORDINAL_UNITS, **{w + "th": w for w in TEENS}, **{w[:-1] + "ieth": w for w in TENS},
            **{w + "th": w for w in ("hundred", *SCALES)}, "twelfth": "twelve"}  # fmt: skip
"""Last word of an ordinal → that of the cardinal."""
DECADES = {w[:-1] + "ies": n for w, n in TENS.items()}

MONTHS = {word: number for number, word in enumerate(_MONTHS.split(), 1)}
NAMES = ("april", "may", "june", "august", "march")
"""Months that are other words or people's names as well."""

ZONES = ("gmt", "utc", "est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt", "cet", "cest", "bst", "ist", "jst")

CURRENCIES = {"dollar": "$", "euro": "€", "pound": "£", "rupee": "₹", "won": "₩", "yen": "¥"}
"""Of a unit in the singular; the plural has an s but for those in `SAME_PLURAL`."""
SAME_PLURAL = ("yen", "won")
PARTS = {"dollar": "cent", "euro": "cent", "pound": "penny", "rupee": "paisa"}
PART_PLURALS = {"cents": "cent", "cent": "cent", "pence": "penny", "penny": "penny", "paise": "paisa"}

# Units: word → (symbol, symbol as NeMo's grammars write it, how it is written in the plain style).
SYMBOL, WORD, EVERYDAY = "symbol", "word", "everyday"
"""Number and symbol; any number in digits and the word; a number as any other and the word."""
_PREFIXES = {"kilo": ("k", "k"), "mega": ("M", "m"), "giga": ("G", "g"), "tera": ("T", "t"), "hecto": ("h", "h"),
             "deci": ("d", "d"), "centi": ("c", "c"), "milli": ("m", "m"), "micro": ("μ", "μ"),
             "nano": ("n", "n")}  # fmt: skip
_BASES = {"meter": ("m", "m"), "metre": ("m", "m"), "gram": ("g", "g"), "watt": ("W", "W"), "hertz": ("Hz", "hz"),
          "byte": ("B", "b"), "bit": ("bit", "b"), "liter": ("l", "l"), "litre": ("l", "l"), "volt": ("V", "V"),
          "watt hour": ("Wh", "Wh"), "pascal": ("Pa", "pa"), "joule": ("J", "J"), "second": ("s", "s"),
          "amp": ("A", "A"), "ampere": ("A", "A")}  # fmt: skip
_SINGLE = {
    "hour": ("h", "h", EVERYDAY), "minute": ("min", "min", EVERYDAY), "second": ("s", "s", EVERYDAY),
    "foot": ("ft", "ft", EVERYDAY), "mile": ("mi", "mi", EVERYDAY), "inch": ("in", "in", EVERYDAY),
    "yard": ("yd", "yd", EVERYDAY), "ounce": ("oz", "oz", EVERYDAY), "pound": ("lb", "lbs", EVERYDAY),
    "meter": ("m", "m", WORD), "metre": ("m", "m", WORD), "gram": ("g", "g", WORD), "liter": ("l", "l", WORD),
    "litre": ("l", "l", WORD), "byte": ("B", "b", WORD), "bit": ("bit", "bit", EVERYDAY), "lumen": ("lm", "lm", WORD),
    "hectare": ("ha", "ha", WORD), "watt": ("W", "W", SYMBOL), "volt": ("V", "V", SYMBOL),
    "hertz": ("Hz", "hz", SYMBOL),
    "amp": ("A", "A", WORD), "horsepower": ("hp", "hp", WORD), "watt hour": ("Wh", "Wh", SYMBOL),
    "c c": ("cc", "cc", SYMBOL), "cc": ("cc", "cc", SYMBOL), "percent": ("%", "%", SYMBOL),
    "per cent": ("%", "%", SYMBOL), "degree celsius": ("°C", "°C", SYMBOL), "degree centigrade": ("°C", "°C", SYMBOL),
    "degree fahrenheit": ("°F", "°F", SYMBOL), "mile per hour": ("mph", "mph", SYMBOL),
    "kilometer per hour": ("km/h", "km/h", SYMBOL), "kilometre per hour": ("km/h", "km/h", SYMBOL),
    "meter per second": ("m/s", "m/s", WORD), "metre per second": ("m/s", "m/s", WORD),
}  # fmt: skip


def _plurals(name: str) -> list[str]:
    """The plural of a unit, or what serves for it, and the singular."""
    head, _, tail = name.partition(" per ")
    first, _, last = head.partition(" ")
    if tail or first == "degree":
        plural = f"{first}s{' ' + last if last else ''}{' per ' + tail if tail else ''}"
        return [name, plural]
    odd = {"foot": "feet", "inch": "inches"}
    if name in ("percent", "per cent", "c c", "cc", "horsepower") or name.endswith("hertz"):
        return [name]
    head, _, last = name.rpartition(" ")
    return [name, f"{head} {odd.get(last, last + 's')}".strip()]


def _units() -> dict[tuple[str, ...], tuple[str, str, str]]:
    table = dict(_SINGLE)
    for prefix, (short, nemo) in _PREFIXES.items():
        for base, (symbol, other) in _BASES.items():
            for name in (prefix + base, f"{prefix} {base}"):
                table[name] = (short + symbol, nemo + other, SYMBOL)
    for length in ("meter", "metre", "kilometer", "kilometre", "centimeter", "centimetre", "decimeter", "decimetre",
                   "deci meter", "millimeter", "millimetre"):  # fmt: skip
        symbol = table[length][0]
        table[f"square {length}"] = (symbol + "²", symbol + "²", WORD if length in ("meter", "metre") else SYMBOL)
        table[f"cubic {length}"] = (symbol + "³", symbol + "³", WORD if length in ("meter", "metre") else SYMBOL)
    for length in ("foot", "mile", "inch", "yard"):
        table[f"square {length}"] = (f"sq {table[length][0]}", f"sq {table[length][1]}", EVERYDAY)
        table[f"cubic {length}"] = (f"cu {table[length][0]}", f"cu {table[length][1]}", EVERYDAY)
    return {tuple(form.split()): value for name, value in table.items() for form in _plurals(name)}


MEASURES = _units()
"""Words of a unit → symbol, NeMo's symbol, kind."""
LONGEST_UNIT = max(map(len, MEASURES))
