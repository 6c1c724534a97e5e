"""Spoken words and written text: `form` writes what a transcript says, `spoken` says what a text has written.

A deterministic transducer over words: at each word every grammar (numbers, times, dates, money, measures, digits,
addresses, titles) may claim the words that follow; the longest claim is written, and each written token keeps the words
that it stands for. A grammar claims only what its context makes sure; the rest stays spoken. English.
"""
