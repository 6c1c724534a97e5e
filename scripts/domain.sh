# What a domain gives without training: a language model adapted to each chapter by its book's other chapters and by what else was heard of
# it, and lists of rare words that are raised in lattices. Sourced by run.sh after chain.sh.

raised_and_adapted() { # MODEL GRAMMAR SET CORPORA: both; after book_texts
  local size
  book_adapted "$1" "$2" "$3"
  for size in 100 1000; do biased "$1" "$2" "$3" "$4/biasing/$3.biasing_$size.tsv"; done
}

biased() { # MODEL GRAMMAR SET LISTS: exp/MODEL/biasing_LISTS.txt, B-WER and U-WER by boost
  local from=$dir/$1/decode_$2_$3 name
  name=$(basename "$4" .tsv)
  step "biasing_$1_$name" --in "$from" --in "$4" --out "$dir/$1/$name.txt" -- \
    python "$root/scripts/bench/biasing.py" "$from" --words "$dir/$1/graph_$2/words.txt" --lists "$4" \
    --acoustic-scale "$(decoded_scale "$from")" --boost 4 --boost 5 --boost 6 --out "$dir/$1/$name.txt"
}

book_texts() { # CORPORA: data/books, a lexicon with the books' words, a model without the books and one for each chapter
  local file books=data/books
  step books --in data/lm_text --in "$cmudict" --in "$recipe/local/book_texts.py" --out "$books" -- \
    python "$recipe/local/book_texts.py" --corpora "$1" --text data/lm_text/text.txt --cmudict "$cmudict" --out-dir "$books"
  step g2p --in data/dict --out data/g2p.arpa.gz -- hybrid lm g2p-train data/dict --order 5 --out data/g2p.arpa.gz
  step books_guessed --in data/g2p.arpa.gz --in "$books" --out data/books_guessed.txt -- \
    hybrid lm g2p-apply data/g2p.arpa.gz "$books/to_guess.txt" --out data/books_guessed.txt
  step books_dict --in "$cmudict" --in "$books" --in data/books_guessed.txt --out data/books_dict -- \
    hybrid lang cmudict --cmudict "$cmudict" --vocabulary "$books/vocabulary.txt" --vocabulary "$books/new_words.txt" \
    --extra data/books_guessed.txt --out-dir data/books_dict
  step books_lang --in data/books_dict --in data/lang --out data/books_lang -- \
    hybrid lang prepare --dict-dir data/books_dict --oov "<UNK>" --phones data/lang/phones.txt --out-dir data/books_lang
  step books_lm --in "$books" --out data/books.arpa.gz -- hybrid lm train "$books/large.txt" --order 3 --prune 0,0,1 \
    --vocabulary "$books/vocabulary.txt" --out data/books.arpa.gz
  mkdir -p data/books_lm
  for file in "$books"/other/*.txt; do
    [ -e "$file" ] || continue # no book has other chapters
    file=$(basename "$file" .txt)
    step "books_lm_$file" --in "$books" --in data/books.arpa.gz --out "data/books_lm/$file.arpa.gz" -- \
      hybrid lm adapt "$books/other/$file.txt" --from "$books/large.txt" --model data/books.arpa.gz --least-count 1000 \
      --prune 0,0,1 --out "data/books_lm/$file.arpa.gz"
  done
}

book_adapted() { # MODEL GRAMMAR SET: exp/MODEL/books.txt, perplexity and WER by chapter; a GMM without its speakers' transforms
  local model=$dir/$1 graph=$dir/$1/graph_books scores=$dir/$1/scores_$3.ark feats adapted command=(gmm scores)
  if [ "$1" = joint ]; then # what its networks say together is there since it was decoded
    model=$dir/chain scores=$dir/joint/scores_$2_$3.ark
  else
    feats=$(features_of "$1" "$3")
    mapfile -t adapted < <(adapted_by "$1" "$2" "$3")
    ! is_network "$1" || command=(nnet scores)
    step "scores_$1_$3" --in "$model" --in "$feats" --out "$scores" -- \
      hybrid "${command[@]}" --model "$model" --feats "$feats" "${adapted[@]}" --out "$scores"
  fi
  step "graph_$1_books" --in "$model" --in data/books_lang --out "$graph" -- \
    hybrid graph compile --model "$model" --lang data/books_lang --lookahead --out-dir "$graph"
  step "books_$1" --in "$scores" --in "$graph" --in data/books --in data/books.arpa.gz --in data/books_lm \
    --out "$dir/$1/books.txt" -- \
    python "$root/scripts/bench/adapt_books.py" --texts data/books --before data/books.arpa.gz --after data/books_lm \
    --model "$model" --graph "$graph" --scores "$scores" --out "$dir/$1/books.txt"
}

decoded_scale() { # FOLDER: prints the acoustic scale that its lattices were searched with
  python -c "import json, sys; print(json.load(open(sys.argv[1] + '/decode.json'))['acoustic_scale'])" "$1"
}
