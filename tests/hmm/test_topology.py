"""Topologies: Kaldi's text form, ergodic, chain and one-state HMMs, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.base.errors import InputError
from hybrid.hmm import EmittingState, HmmTopology, TopologyEntry, read_topology
from hybrid.hmm.topology_text import parse_topology

SMALL = """<Topology>
<TopologyEntry>
<ForPhones>
3 4
</ForPhones>
<State> 0 <PdfClass> 0 <Transition> 0 0.75 <Transition> 1 0.25 </State>
<State> 1 </State>
</TopologyEntry>
<TopologyEntry>
<ForPhones>
1 2
</ForPhones>
<State> 0 <PdfClass> 0 <Transition> 0 0.5 <Transition> 1 0.5 </State>
<State> 1 <PdfClass> 1 <Transition> 1 0.5 <Transition> 2 0.5 </State>
<State> 2 <PdfClass> 2 <Transition> 2 0.75 <Transition> 3 0.25 </State>
<State> 3 </State>
</TopologyEntry>
</Topology>
"""


def test_default_text_by_hand():
    assert HmmTopology.kaldi_default([3, 4], [1, 2], 1, 3).to_text() == SMALL


def test_probabilities_are_printed_as_perl_prints_them():
    assert "<Transition> 1 0.333333333333333 " in HmmTopology.kaldi_default([3], [1], 3, 4).to_text()


@pytest.mark.peer
@pytest.mark.parametrize("folder", ["lang", "lang_nopos_prob"])
def test_equal_to_gen_topo(peers, folder):
    text = (peers / "lang_small" / folder / "topo").read_text()
    topology = parse_topology(text)
    assert topology.to_text() == text
    nonsilence, silence = (list(entry.phones) for entry in topology.entries)
    assert HmmTopology.kaldi_default(nonsilence, silence).to_text() == text


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.sampled_from([1, 3, 4, 5, 7]), st.integers(1, 5), st.integers(0, 3))
def test_write_and_read_is_identity(nonsilence_states, silence_states, nonsilence, silence):
    topology = HmmTopology.kaldi_default(
        list(range(10, 10 + nonsilence)), list(range(1, 1 + silence)), nonsilence_states, silence_states
    )
    again = parse_topology(topology.to_text())
    assert again.to_text() == topology.to_text() and again.phones == topology.phones


def test_chain_keeps_two_pdf_classes(tmp_path):
    topology = HmmTopology.chain([1, 2])
    assert "<State> 0 <ForwardPdfClass> 0 <SelfLoopPdfClass> 1 <Transition> 0 0.5" in topology.to_text()
    topology.write(tmp_path / "topo")
    assert read_topology(tmp_path / "topo") == topology
    assert not topology.is_hmm and topology.num_pdf_classes(2) == 2


def test_pdf_classes_of_each_phone():
    topology = HmmTopology.kaldi_default([3], [1], 3, 5)
    assert topology.pdf_class_counts() == {1: 5, 3: 3}


def test_kaldi_programs_spacing_is_read():
    assert parse_topology(SMALL.replace("\n", " \n")) == parse_topology(SMALL)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("</Topology>", "", r"topo:\d+: ends where </Topology> was wanted; it was cut short"),
        ("<Topology>", "<Topo>", "found '<Topo>', wanted <Topology>"),
        ("0.75", "0.25", "state 0: probabilities sum to 0.5, wanted 1"),
        ("0.25 </State>\n<State> 1 </State>", "-0.25 </State>\n<State> 1 </State>", "a probability lies outside"),
        ("<Transition> 1 0.25", "<Transition> 0 0.25", "has two transitions to one state"),
        ("<Transition> 1 0.25", "<Transition> 7 0.25", "leads outside states 0 to 1"),
        ("<PdfClass> 2", "<PdfClass> 4", r"pdf-classes are \[0, 1, 4\], wanted 0, 1, … without a gap"),
        ("3 4", "3 x", "topo:4: a phone is 'x', wanted a number"),
        ("3 4", "2 4", "phone 2 stands in two topology entries"),
        ("<State> 1 </State>", "<State> 2 </State>", "states are not numbered in order; wanted state 1"),
        ("<State> 1 </State>\n", "", "the last state has a pdf-class or transitions"),
        (" <PdfClass> 0 <Transition> 0 0.75", " <Transition> 0 0.75", "a state with transitions has no pdf-class"),
        ("</Topology>\n", "</Topology>\nmore", "'more' follows </Topology>"),
    ],
)
def test_what_is_refused(old, new, message):
    with pytest.raises(InputError, match=message):
        parse_topology(SMALL.replace(old, new, 1))


def test_states_that_cannot_be_used():
    with pytest.raises(ValueError, match="state 1 cannot be reached from state 0"):
        states = (EmittingState(0, 0, ((0, 0.5), (2, 0.5))), EmittingState(1, 1, ((2, 1.0),)))
        TopologyEntry((1,), states)
    with pytest.raises(ValueError, match="state 1 never ends"):
        states = (EmittingState(0, 0, ((1, 0.5), (2, 0.5))), EmittingState(1, 1, ((1, 1.0),)))
        TopologyEntry((1,), states)
    with pytest.raises(ValueError, match="number of silence states is 2"):
        HmmTopology.kaldi_default([2], [1], 3, 2)


def test_unknown_phone():
    with pytest.raises(InputError, match=re.escape("phone 9 has no HMM; it has phones 1–4")):
        HmmTopology.kaldi_default([3, 4], [1, 2]).states(9)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="topo: the file does not exist"):
        read_topology(tmp_path / "topo")


@pytest.mark.parametrize("phone", ["70000", "9" * 30, "9" * 5000])
def test_huge_phones_are_refused(phone):
    text = HmmTopology.kaldi_default([2], [1]).to_text().replace("\n2\n", f"\n{phone}\n")
    with pytest.raises(InputError, match=r"topo:\d+: .*(out of range|wanted a number)") as caught:
        parse_topology(text)
    assert len(str(caught.value)) < 300
