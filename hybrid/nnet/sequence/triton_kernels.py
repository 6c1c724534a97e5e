"""The passes on GPU, compiled by Triton.

Shared graphs go one launch per frame, in the probability domain as in `cpu_shared`; graphs of one sequence each go one
program per sequence, which keeps to itself for all frames, in the log domain as in `cpu_sequences`.
"""

# mypy: ignore-errors
from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["backward_step", "forward_step", "groups_step", "sequences_pass"]


@triton.jit
def _scale_and_leak(sums, n, inside):
    """Returns 1 / the sum of a frame's forward probabilities, and 1; both 0 where nothing is alive."""
    total = tl.load(sums + n, mask=inside, other=0.0)
    alive = total != 0
    return tl.where(alive, 1 / tl.where(alive, total, 1), 0), tl.where(alive, 1, 0).to(total.dtype)


@triton.jit
def _gather(first, last, rows, weights, vectors, n, inside, count, ARCS: tl.constexpr):
    """Returns Σ weights[k] · vectors[rows[k], n] over k from first to last."""
    kind: tl.constexpr = vectors.dtype.element_ty
    total = tl.zeros([n.shape[0]], kind)
    for k in range(first, last, ARCS):
        arcs = k + tl.arange(0, ARCS)
        within = arcs < last
        row = tl.load(rows + arcs, mask=within, other=0)
        weight = tl.load(weights + arcs, mask=within, other=0.0)
        tile = within[:, None] & inside[None, :]
        values = tl.load(vectors + row[:, None] * count + n[None, :], mask=tile, other=0.0)
        total += tl.sum(weight[:, None] * values, 0)
    return total


@triton.jit
def forward_step(
    alpha, reached, sums, next_sums, likelihoods, inner, state_groups, group_pdf, group_leak, group_arcs, arc_from,
    arc_weight, states, count, STATES: tl.constexpr, ARCS: tl.constexpr, SEQUENCES: tl.constexpr,
):  # fmt: skip
    """One frame forward. alpha, reached: [S][N]. sums, next_sums: [N]. likelihoods: [P][N]. inner: [G][N]."""
    n = tl.program_id(1) * SEQUENCES + tl.arange(0, SEQUENCES)
    inside = n < count
    scale, leaking = _scale_and_leak(sums, n, inside)
    kind: tl.constexpr = alpha.dtype.element_ty
    mass = tl.zeros([SEQUENCES], kind)
    begin = tl.program_id(0) * STATES
    for s in range(begin, tl.minimum(begin + STATES, states)):
        here = tl.zeros([SEQUENCES], kind)
        for g in range(tl.load(state_groups + s), tl.load(state_groups + s + 1)):
            brought = _gather(tl.load(group_arcs + g), tl.load(group_arcs + g + 1), arc_from, arc_weight, alpha, n,
                              inside, count, ARCS)  # fmt: skip
            brought = brought * scale + tl.load(group_leak + g) * leaking
            tl.store(inner + g * count + n, brought, mask=inside)
            pdf = tl.load(group_pdf + g)
            here += brought * tl.load(likelihoods + pdf * count + n, mask=inside, other=0.0)
        tl.store(reached + s * count + n, here, mask=inside)
        mass += here
    tl.atomic_add(next_sums + n, mass, mask=inside)


@triton.jit
def groups_step(
    beta, later, likelihoods, inner, occupancy, leaked, group_to, group_pdf, group_leak, groups, count,
    GROUPS: tl.constexpr, SEQUENCES: tl.constexpr,
):  # fmt: skip
    """One frame backward, from states to groups, with occupancies. beta: [S][N]. later, inner: [G][N]. leaked: [N]."""
    n = tl.program_id(1) * SEQUENCES + tl.arange(0, SEQUENCES)
    g = tl.program_id(0) * GROUPS + tl.arange(0, GROUPS)
    within = g < groups
    tile = within[:, None] & (n < count)[None, :]
    to = tl.load(group_to + g, mask=within, other=0)
    pdf = tl.load(group_pdf + g, mask=within, other=0)
    spread = tl.load(group_leak + g, mask=within, other=0.0)
    onward = tl.load(beta + to[:, None] * count + n[None, :], mask=tile, other=0.0)
    onward *= tl.load(likelihoods + pdf[:, None] * count + n[None, :], mask=tile, other=0.0)
    tl.store(later + g[:, None] * count + n[None, :], onward, mask=tile)
    brought = tl.load(inner + g[:, None] * count + n[None, :], mask=tile, other=0.0)
    tl.atomic_add(occupancy + pdf[:, None] * count + n[None, :], onward * brought, mask=tile)
    tl.atomic_add(leaked + n, tl.sum(onward * spread[:, None], 0), mask=n < count)


@triton.jit(do_not_specialize=["frame"])
def backward_step(
    beta, later, sums, leaked, final, per_end, lengths, out_rows, out_group, out_weight, frame, states, count,
    STATES: tl.constexpr, ARCS: tl.constexpr, SEQUENCES: tl.constexpr,
):  # fmt: skip
    """One frame backward, from groups to states; sequences of `frame` frames begin here. per_end: [N], 1 / end."""
    n = tl.program_id(1) * SEQUENCES + tl.arange(0, SEQUENCES)
    inside = n < count
    scale, leaking = _scale_and_leak(sums, n, inside)
    leaking *= tl.load(leaked + n, mask=inside, other=0.0)
    last = tl.load(lengths + n, mask=inside, other=0) == frame
    whole = tl.load(per_end + n, mask=inside, other=0.0)
    begin = tl.program_id(0) * STATES
    for s in range(begin, tl.minimum(begin + STATES, states)):
        before = _gather(tl.load(out_rows + s), tl.load(out_rows + s + 1), out_group, out_weight, later, n, inside,
                         count, ARCS)  # fmt: skip
        before = tl.where(last, tl.load(final + s) * whole, (before + leaking) * scale)
        tl.store(beta + s * count + n, before, mask=inside)


@triton.jit
def _log_add(largest, total, value):
    """Adds exp(value) to total · exp(largest), kept relative to the larger exponent."""
    above = tl.maximum(largest, value)
    shift = tl.where(above == float("-inf"), 0.0, above)
    return above, total * tl.exp(largest - shift) + tl.exp(value - shift)


@triton.jit
def _log_sums(rows, arcs, ends, low, s, within, vector, log_weight, pdf, scores):
    """Returns the log sums of vector[end] + weight + score over the arcs in the rows of states s."""
    first, last = tl.load(rows + s, mask=within, other=0), tl.load(rows + s + 1, mask=within, other=0)
    largest = tl.full([s.shape[0]], float("-inf"), tl.float64)
    total = tl.zeros([s.shape[0]], tl.float64)
    for k in range(0, tl.max(last - first)):
        taken = first + k < last
        arc = tl.load(arcs + first + k, mask=taken, other=0)
        end = tl.load(ends + arc, mask=taken, other=0)
        value = tl.load(vector + end - low, mask=taken, other=float("-inf"))
        value += tl.load(log_weight + arc, mask=taken, other=0.0)
        value += tl.load(scores + tl.load(pdf + arc, mask=taken, other=0), mask=taken, other=0.0)
        largest, total = _log_add(largest, total, value)
    return tl.where(total == 0, float("-inf"), largest + tl.log(total))


@triton.jit
def sequences_pass(
    scores, lengths, state_splits, arc_splits, from_state, to_state, pdf, log_weight, initial, final, into, into_arcs,
    out, out_arcs, alphas, betas, totals, occupancy, frames, pdfs, widest, BACKWARD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Both passes of one sequence. scores, occupancy: [N][T][P]. alphas: float64 [N][T+1][W]; betas: [N][2][W]."""
    n = tl.program_id(0).to(tl.int64)
    length = tl.load(lengths + n)
    low, high = tl.load(state_splits + n), tl.load(state_splits + n + 1)
    scores += n * frames * pdfs
    occupancy += n * frames * pdfs
    alphas += n * (frames + 1) * widest
    betas += n * 2 * widest
    block = tl.arange(0, BLOCK)
    for base in range(low, high, BLOCK):
        s = base + block
        tl.store(alphas + s - low, tl.load(initial + s, mask=s < high, other=0.0).to(tl.float64), mask=s < high)
    tl.debug_barrier()
    for t in range(0, length):
        for base in range(low, high, BLOCK):
            s = base + block
            sums = _log_sums(into, into_arcs, from_state, low, s, s < high, alphas + t * widest, log_weight, pdf,
                             scores + t * pdfs)  # fmt: skip
            tl.store(alphas + (t + 1) * widest + s - low, sums, mask=s < high)
        tl.debug_barrier()
    largest = tl.full([BLOCK], float("-inf"), tl.float64)
    mass = tl.zeros([BLOCK], tl.float64)
    for base in range(low, high, BLOCK):
        s = base + block
        ending = tl.load(final + s, mask=s < high, other=float("-inf")).to(tl.float64)
        tl.store(betas + (length % 2) * widest + s - low, ending, mask=s < high)
        value = ending + tl.load(alphas + length * widest + s - low, mask=s < high, other=float("-inf"))
        largest, mass = _log_add(largest, mass, value)
    above = tl.max(largest, 0)
    shift = tl.where(above == float("-inf"), 0.0, above)
    whole = tl.sum(mass * tl.exp(largest - shift), 0)
    whole = tl.where(whole == 0, float("-inf"), shift + tl.log(whole))
    tl.store(totals + n, whole)
    tl.debug_barrier()
    if BACKWARD:
        first_arc, last_arc = tl.load(arc_splits + n), tl.load(arc_splits + n + 1)
        for back in range(0, length):
            t = length - 1 - back
            behind = betas + ((t + 1) % 2) * widest
            for base in range(first_arc, last_arc, BLOCK):
                arc = base + block
                taken = arc < last_arc
                column = tl.load(pdf + arc, mask=taken, other=0)
                before = tl.load(from_state + arc, mask=taken, other=0)
                after = tl.load(to_state + arc, mask=taken, other=0)
                value = tl.load(alphas + t * widest + before - low, mask=taken, other=float("-inf"))
                value += tl.load(behind + after - low, mask=taken, other=float("-inf"))
                value += tl.load(log_weight + arc, mask=taken, other=0.0)
                value += tl.load(scores + t * pdfs + column, mask=taken, other=0.0)
                share = tl.exp(value - whole).to(occupancy.dtype.element_ty)
                tl.atomic_add(occupancy + t * pdfs + column, share, mask=taken & (share > 0))
            for base in range(low, high, BLOCK):
                s = base + block
                sums = _log_sums(out, out_arcs, to_state, low, s, s < high, behind, log_weight, pdf, scores + t * pdfs)
                tl.store(betas + (t % 2) * widest + s - low, sums, mask=s < high)
            tl.debug_barrier()
