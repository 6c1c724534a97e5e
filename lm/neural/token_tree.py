"""Histories as a tree of tokens: what was said before is read once, however many words are asked for after it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lm.neural.folder import NeuralLm
from lm.neural.units import END

__all__ = ["TokenTree"]

ROOT = 0


class TokenTree:
    """Log-probabilities of tokens after histories, in batches.

    A node stands for a sentence end and the tokens on the way to it. An LSTM reads each node once, all of one depth
    together; a transformer reads paths that cover the nodes that are new (Li et al. 2021).
    """

    def __init__(self, lm: NeuralLm, device: torch.device, batch: int = 512, amp: str = "none") -> None:
        """Starts with the root: nothing was said.

        Args:
          lm: on `device`.
          batch: histories read together at most.
          amp: none, float16 or bfloat16: arithmetic of the network.
        """
        self._lm, self._device, self._batch = lm, device, batch
        self._dtype = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(amp)
        self._recurrent = lm.config.architecture == "lstm"
        self._parents, self._tokens, self._depths = [-1], [END], [0]
        self._children: dict[tuple[int, int], int] = {}
        self._hidden = torch.zeros(1024, lm.config.dim, device=device)
        self._states = lm.network.blank(1024, device) if self._recurrent else None
        self._ready = np.zeros(1024, np.bool_)

    def __len__(self) -> int:
        return len(self._parents)

    def child(self, node: int, token: int) -> int:
        """Returns the node after one more token."""
        found = self._children.get((node, token))
        if found is None:
            found = self._children[node, token] = len(self._parents)
            self._parents.append(node)
            self._tokens.append(token)
            self._depths.append(self._depths[node] + 1)
        return found

    def after(self, node: int, tokens: Iterable[int]) -> int:
        """Returns the node after some more tokens."""
        for token in tokens:
            node = self.child(node, token)
        return node

    @torch.no_grad()
    def log_probs(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Returns float64 [N], the log-probability of each token after its node.

        Args:
          nodes, tokens: any integers [N].
        """
        out = np.empty(len(nodes))
        unique, rows = np.unique(np.asarray(nodes, np.int64), return_inverse=True)
        self._read(unique)
        order = np.argsort(rows, kind="stable")
        bounds = np.searchsorted(rows[order], np.arange(0, len(unique) + self._batch, self._batch))
        for part, (begin, end) in enumerate(zip(bounds[:-1], bounds[1:])):
            places = order[begin:end]
            if not len(places):
                continue
            first = part * self._batch
            hidden = self._hidden[torch.from_numpy(unique[first : first + self._batch]).to(self._device)]
            wanted = torch.from_numpy(np.asarray(tokens, np.int64)[places]).to(self._device)
            own = torch.from_numpy(rows[places] - first).to(self._device)
            with self._autocast():
                found = self._lm.network.softmax.log_probs(hidden, wanted, own)
            out[places] = found.double().cpu().numpy()
        return out

    def _autocast(self) -> Any:
        return nullcontext() if self._dtype is None else torch.autocast(self._device.type, dtype=self._dtype)

    def _read(self, nodes: np.ndarray) -> None:
        """Computes what the softmax takes at nodes, and at those before them, where that is not known."""
        self._make_room()
        missing = {node for node in nodes.tolist() if not self._ready[node]}
        if not missing:
            return
        if not self._recurrent:
            self._read_paths(sorted(missing, key=self._depths.__getitem__, reverse=True))
            return
        for node in list(missing):
            node = self._parents[node]
            while node >= 0 and node not in missing and not self._ready[node]:
                missing.add(node)
                node = self._parents[node]
        levels: dict[int, list[int]] = {}
        for node in sorted(missing):
            levels.setdefault(self._depths[node], []).append(node)
        for depth in sorted(levels):
            for begin in range(0, len(levels[depth]), self._batch):
                self._step(np.array(levels[depth][begin : begin + self._batch]))

    def _step(self, nodes: np.ndarray) -> None:
        """Reads the last token of nodes whose parents were read."""
        assert self._states is not None
        parents = torch.tensor([max(self._parents[node], 0) for node in nodes.tolist()], device=self._device)
        tokens = torch.tensor([self._tokens[node] for node in nodes.tolist()], device=self._device)
        before = self._lm.network.blank(1, self._device) if nodes[0] == ROOT else self._states[parents]
        with self._autocast():
            hidden, states = self._lm.network.step(tokens, before)
        self._keep(nodes, hidden)
        self._states[torch.from_numpy(nodes).to(self._device)] = states.float()

    def _read_paths(self, missing: list[int]) -> None:
        """Reads paths from the root, the longest first, until each missing node lies on one."""
        covered: set[int] = set()
        paths: list[list[int]] = []
        for node in missing:
            if node in covered:
                continue
            path = [node]
            while path[-1] != ROOT:
                path.append(self._parents[path[-1]])
            covered.update(path)
            paths.append(path[::-1])
        while paths:
            rows = max(1, min(len(paths), self._batch * 16 // len(paths[0])))
            self._read_rows(paths[:rows])
            del paths[:rows]

    def _read_rows(self, paths: list[list[int]]) -> None:
        tokens = np.zeros((len(paths), len(paths[0])), np.int64)
        for row, path in enumerate(paths):
            tokens[row, : len(path)] = [self._tokens[node] for node in path]
        with self._autocast():
            hidden = self._lm.network.hidden(torch.from_numpy(tokens).to(self._device))
        for row, path in enumerate(paths):
            self._keep(np.array(path), hidden[row, : len(path)])

    def _keep(self, nodes: np.ndarray, hidden: Tensor) -> None:
        self._hidden[torch.from_numpy(nodes).to(self._device)] = hidden.float()
        self._ready[nodes] = True

    def _make_room(self) -> None:
        while len(self._ready) < len(self._parents):
            self._ready = np.concatenate([self._ready, np.zeros_like(self._ready)])
            self._hidden = torch.cat([self._hidden, torch.zeros_like(self._hidden)])
            if self._states is not None:
                self._states = torch.cat([self._states, torch.zeros_like(self._states)])
