"""The inner loops of feature extraction, compiled by numba.

Every frame is computed by the same sequence of float32 operations wherever it stands, so that neither
padding nor batching nor the number of jobs changes a bit.
"""

from __future__ import annotations

import numpy as np

from hybrid.base.compiled import kernel

__all__ = ["cosine_transform", "cut_frames", "log_mel"]

FLOAT_EPSILON = np.float32(1.1920928955078125e-07)  # Kaldi's floor under energies before the logarithm


@kernel
def cut_frames(
    samples, offset, first, count, length, shift, snip, remove_dc, preemphasis, window, raw_energy, frames, energy
):  # type: ignore[no-untyped-def]
    """Cuts frames `first .. first + count` out of the samples, removes DC, emphasises and windows them.

    Args:
      samples: float32 [N], as 16-bit integers, from `offset` of the recording on.
      frames: float32 [rows >= count][fft length], zero from column `length` on; filled.
      energy: float32 [rows]; filled with each frame's energy (sum of squares).
    """
    total = offset + samples.shape[0]
    for row in range(count):
        frame = frames[row]
        begin = (first + row) * shift
        if not snip:
            begin += shift // 2 - length // 2
        if begin >= 0 and begin + length <= total:
            for i in range(length):
                frame[i] = samples[begin - offset + i]
        else:
            for i in range(length):
                at = begin + i
                while at < 0 or at >= total:
                    at = -at - 1 if at < 0 else 2 * total - 1 - at
                frame[i] = samples[at - offset]
        if remove_dc:
            a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            whole = length - length % 4
            for i in range(0, whole, 4):
                a += frame[i]
                b += frame[i + 1]
                c += frame[i + 2]
                d += frame[i + 3]
            for i in range(whole, length):
                a += frame[i]
            mean = ((a + b) + (c + d)) / np.float32(length)
            for i in range(length):
                frame[i] -= mean
        if raw_energy:
            energy[row] = _energy(frame, length)
        if preemphasis != 0:
            previous = frame[0]
            for i in range(length):
                now = frame[i]
                frame[i] = (now - preemphasis * previous) * window[i]
                previous = now
        else:
            for i in range(length):
                frame[i] *= window[i]
        if not raw_energy:
            energy[row] = _energy(frame, length)


@kernel
def _energy(frame, length):  # type: ignore[no-untyped-def]
    a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    whole = length - length % 4
    for i in range(0, whole, 4):
        a += frame[i] * frame[i]
        b += frame[i + 1] * frame[i + 1]
        c += frame[i + 2] * frame[i + 2]
        d += frame[i + 3] * frame[i + 3]
    for i in range(whole, length):
        a += frame[i] * frame[i]
    return (a + b) + (c + d)


@kernel
def log_mel(spectra, count, starts, widths, weights, out):  # type: ignore[no-untyped-def]
    """Logarithms of the filters' energies; four frames at a time, so that their sums need not wait for each other.

    Args:
      spectra: float32 [rows][2 * bins], real and imaginary parts in turn.
      count: frames, a multiple of 4.
      starts, widths: int64 [filters], the first FFT bin that each filter sees and how many.
      weights: float32 [filters][widest].
      out: float32 [rows][filters]; filled.
    """
    first, last = spectra.shape[1] // 2, 0
    for j in range(starts.shape[0]):
        first, last = min(first, starts[j]), max(last, starts[j] + widths[j])
    power = np.empty((spectra.shape[1] // 2, 4), np.float32)
    for row in range(0, count, 4):
        for lane in range(4):
            spectrum = spectra[row + lane]
            for k in range(first, last):
                power[k, lane] = spectrum[2 * k] * spectrum[2 * k] + spectrum[2 * k + 1] * spectrum[2 * k + 1]
        for j in range(starts.shape[0]):
            a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for i in range(widths[j]):
                weight, lanes = weights[j, i], power[starts[j] + i]
                a += weight * lanes[0]
                b += weight * lanes[1]
                c += weight * lanes[2]
                d += weight * lanes[3]
            out[row, j] = np.log(max(a, FLOAT_EPSILON))
            out[row + 1, j] = np.log(max(b, FLOAT_EPSILON))
            out[row + 2, j] = np.log(max(c, FLOAT_EPSILON))
            out[row + 3, j] = np.log(max(d, FLOAT_EPSILON))


@kernel
def cosine_transform(log_energies, count, matrix, out):  # type: ignore[no-untyped-def]
    """Cepstra: `out[row] = matrix @ log_energies[row]`, float32, one order of sums for every row.

    Args:
      matrix: float32 [filters][ceps] (transposed, so that the inner loop runs over cepstra).
    """
    filters, ceps = matrix.shape
    for row in range(count):
        for c in range(ceps):
            out[row, c] = np.float32(0)
        for j in range(filters):
            value = log_energies[row, j]
            for c in range(ceps):
                out[row, c] += value * matrix[j, c]
