"""Compiled inner loops of the ARPA format: numbers to shortest decimals and back, rows to arrays and back."""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["ParseStatus", "format_rows", "parse_rows"]

POWERS = 10.0 ** np.arange(23)


@kernel
def _format_float(value, buffer, at, powers):
    """Writes the fewest of 7, 8 or 9 significant digits that read back as the same float32."""
    if value < 0:
        buffer[at] = 45
        at += 1
        value = -value
    if value == 0.0:
        buffer[at] = 48
        return at + 1
    whole = 1
    while whole < 10 and value >= powers[whole]:
        whole += 1
    lead = whole
    while lead > -8 and value < 1.0 and value * powers[1 - lead] < 1.0:
        lead -= 1
    exact = np.float32(value)
    digits = np.int64(0)
    decimals = 0
    for significant in range(7, 10):
        decimals = max(0, significant - lead)
        digits = np.int64(np.rint(value * powers[decimals]))
        if np.float32(digits / powers[decimals]) == exact:
            break
    while decimals > 0 and digits % 10 == 0:
        digits //= 10
        decimals -= 1
    scale = np.int64(1)
    for _ in range(decimals):
        scale *= 10
    front = digits // scale
    size = 1
    while size < 19 and front >= powers[size]:
        size += 1
    end = at + size + (decimals + 1 if decimals > 0 else 0)
    rest = digits - front * scale
    for place in range(end - 1, at + size, -1):
        buffer[place] = 48 + rest % 10
        rest //= 10
    if decimals > 0:
        buffer[at + size] = 46
    for place in range(at + size - 1, at - 1, -1):
        buffer[place] = 48 + front % 10
        front //= 10
    return end


@kernel
def format_rows(columns, begin, end, log_probs, backoffs, blob, offsets, powers, buffer):
    """Writes rows begin … end-1 as ARPA lines: probability, tab, words, and tab, back-off where it is not 0.

    Args:
      columns: int32 [order][n-gram]. log_probs, backoffs: float32 [n-gram]; -inf rows are left out.
      blob, offsets: the words' bytes.
      buffer: uint8, filled until fewer bytes are left than a line may need.

    Returns:
      (next row, bytes written).
    """
    order = len(columns)
    at = 0
    row = begin
    while row < end:
        if np.isneginf(log_probs[row]):
            row += 1
            continue
        need = 64
        for j in range(order):
            need += offsets[columns[j, row] + 1] - offsets[columns[j, row]] + 1
        if at + need > len(buffer):
            break
        at = _format_float(np.float64(log_probs[row]), buffer, at, powers)
        for j in range(order):
            buffer[at] = 9 if j == 0 else 32
            at += 1
            for k in range(offsets[columns[j, row]], offsets[columns[j, row] + 1]):
                buffer[at] = blob[k]
                at += 1
        if backoffs[row] != 0.0:
            buffer[at] = 9
            at = _format_float(np.float64(backoffs[row]), buffer, at + 1, powers)
        buffer[at] = 10
        at += 1
        row += 1
    return row, at


class ParseStatus:
    """What ended `parse_rows`."""

    SECTION_END, END_OF_FILE, BAD_PROBABILITY, BAD_BACKOFF, FEW_WORDS, EXTRA_FIELD, UNKNOWN_WORD, FULL, GROW = range(9)


_SECTION_END, _END_OF_FILE, _BAD_PROBABILITY, _BAD_BACKOFF, _FEW_WORDS, _EXTRA, _UNKNOWN, _FULL, _GROW = range(9)


@kernel
def _parse_float(text, begin, end, powers):
    """Reads a decimal number below 1e10, inf or -inf; NaN for anything else (no log10 of a model is larger)."""
    at = begin
    negative = False
    if at < end and (text[at] == 45 or text[at] == 43):
        negative = text[at] == 45
        at += 1
    if end - at == 3 and (text[at] | 32) == 105 and (text[at + 1] | 32) == 110 and (text[at + 2] | 32) == 102:
        return -np.inf if negative else np.inf
    mantissa, digits, scale, seen_point = np.int64(0), 0, 0, False
    while at < end:
        byte = text[at]
        if 48 <= byte <= 57:
            if mantissa < 100_000_000_000_000_000:
                mantissa = mantissa * 10 + (byte - 48)
                scale -= 1 if seen_point else 0
            elif not seen_point:
                scale += 1
            digits += 1
        elif byte == 46 and not seen_point:
            seen_point = True
        else:
            break
        at += 1
    if digits == 0:
        return np.nan
    if at < end and (text[at] | 32) == 101:
        at += 1
        exponent_negative = at < end and text[at] == 45
        if at < end and (text[at] == 45 or text[at] == 43):
            at += 1
        if at == end:
            return np.nan
        exponent = 0
        while at < end and 48 <= text[at] <= 57:
            exponent = min(exponent * 10 + (text[at] - 48), 9999)
            at += 1
        scale += -exponent if exponent_negative else exponent
    if at != end:
        return np.nan
    value = np.float64(mantissa)
    if scale < 0:
        value = value / powers[-scale] if scale >= -22 else value * 10.0**scale
    elif scale > 0:
        value = value * powers[scale] if scale <= 22 else value * 10.0**scale
    if value >= 1e10:
        return np.nan
    return -value if negative else value


@kernel
def _find_word(text, begin, end, slots, hashes, blob, offsets):
    """Returns (id or -1, hash, free slot)."""
    mask = np.uint64(len(slots) - 1)
    value = np.uint64(14695981039346656037)
    for i in range(begin, end):
        value = (value ^ np.uint64(text[i])) * np.uint64(1099511628211)
    slot = (value ^ (value >> np.uint64(29))) & mask
    while slots[slot] >= 0:
        candidate = slots[slot]
        start = offsets[candidate]
        if hashes[candidate] == value and offsets[candidate + 1] - start == end - begin:
            equal = True
            for i in range(end - begin):
                if blob[start + i] != text[begin + i]:
                    equal = False
                    break
            if equal:
                return candidate, value, slot
        slot = (slot + np.uint64(1)) & mask
    return -1, value, slot


@kernel
def parse_rows(text, state, order, insert, slots, hashes, blob, offsets, powers, columns, log_probs, backoffs, starts):
    """Reads the rows of one section of an ARPA file until a line begins with a backslash.

    Args:
      text: uint8, the whole file.
      state: int64 [3]: position, rows read, words in the table; updated. On an error the position is that of the line.
      insert: unigrams: words enter the table. Otherwise they must be there.
      columns: int32 [order][capacity]; log_probs, backoffs: float32 [capacity] (0 where missing).
      starts: int64 [capacity], the position of each row in the file.

    Returns:
      One of `ParseStatus`.
    """
    position, row, words = state[0], state[1], state[2]
    end = len(text)
    while position < end:
        line = position
        while position < end and (text[position] == 32 or text[position] == 9 or text[position] == 13):
            position += 1
        if position < end and text[position] == 10:
            position += 1
            continue
        state[0], state[1], state[2] = line, row, words
        if position == end:
            return _END_OF_FILE
        if text[position] == 92:
            state[0] = position
            return _SECTION_END
        if row == len(log_probs):
            return _FULL
        field = 0
        backoff = 0.0
        while True:
            while position < end and (text[position] == 32 or text[position] == 9 or text[position] == 13):
                position += 1
            if position == end or text[position] == 10:
                position += 1
                break
            begin = position
            while position < end and not (
                text[position] == 32 or text[position] == 9 or text[position] == 13 or text[position] == 10
            ):
                position += 1
            if field == 0:
                value = _parse_float(text, begin, position, powers)
                if np.isnan(value):
                    return _BAD_PROBABILITY
                log_probs[row] = value
            elif field <= order:
                word, value_hash, slot = _find_word(text, begin, position, slots, hashes, blob, offsets)
                if word < 0:
                    if not insert:
                        return _UNKNOWN
                    length = position - begin
                    full = 2 * (words + 1) > len(slots) or words + 1 >= len(offsets) or words >= len(hashes)
                    if full or offsets[words] + length > len(blob):
                        return _GROW
                    for i in range(length):
                        blob[offsets[words] + i] = text[begin + i]
                    offsets[words + 1] = offsets[words] + length
                    hashes[words] = value_hash
                    slots[slot] = words
                    word = words
                    words += 1
                columns[field - 1, row] = word
            elif field == order + 1:
                backoff = _parse_float(text, begin, position, powers)
                if np.isnan(backoff) or backoff == np.inf:
                    return _BAD_BACKOFF
            else:
                return _EXTRA
            field += 1
        if field == 0:
            continue
        if field <= order:
            return _FEW_WORDS
        backoffs[row] = backoff
        starts[row] = line
        row += 1
    state[0], state[1], state[2] = end, row, words
    return _END_OF_FILE
