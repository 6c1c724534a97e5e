# What a domain gives without training: lists of rare words that are raised in lattices, and a language model adapted to each
# chapter by its book's other chapters. Sourced by run.sh after ladder.sh.

raised_and_adapted() { # MODEL GRAMMAR SET CORPORA: both
  local size
  for size in 100 1000; do biased "$1" "$2" "$3" "$4/biasing/$3.biasing_$size.tsv"; done
  book_adapted "$@"
}

biased() { # MODEL GRAMMAR SET LISTS: exp/MODEL/biasing_LISTS.txt, B-WER and U-WER by boost
  local from=$dir/$1/decode_$2_$3 name
  name=$(basename "$4" .tsv)
  step "biasing_$1_$name" --in "$from" --in "$4" --out "$dir/$1/$name.txt" -- \
    python "$root/scripts/bench/biasing.py" "$from" --words "$dir/$1/graph_$2/words.txt" --lists "$4" \
    --acoustic-scale "$(decoded_scale "$from")" --boost 4 --boost 5 --boost 6 --out "$dir/$1/$name.txt"
}

book_adapted() { # MODEL GRAMMAR SET CORPORA: exp/MODEL/books.txt, perplexity and WER by chapter, before and after
  local from=$dir/$1/decode_$2_$3
  step "books_$1" --in "$from" --in data/lm_text --in "data/$2.arpa.gz" --out "$dir/$1/books.txt" -- \
    python "$root/scripts/bench/adapt_books.py" --corpora "$4" --text data/lm_text/text.txt --lm "data/$2.arpa.gz" \
    --lattices "$from" --words "$dir/$1/graph_$2/words.txt" --acoustic-scale "$(decoded_scale "$from")" \
    --out "$dir/$1/books.txt"
}

decoded_scale() { # FOLDER: prints the acoustic scale that its lattices were searched with
  python -c "import json, sys; print(json.load(open(sys.argv[1] + '/decode.json'))['acoustic_scale'])" "$1"
}
