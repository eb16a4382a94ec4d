#!/usr/bin/env bash
# transformers gives a tokenizer for a folder of a BERT model that has none: no error, no warning, five tokens, and every word
# of every text is the unknown one. Who forgot to save the tokenizer embeds all texts as nearly the same vector.
#
# Guess before it was run: AutoTokenizer raises an error that names the file of the vocabulary it did not find.
# Seen (transformers 5.24.0): a tokenizer whose vocabulary is its five special tokens; two texts of as many words have equal ids.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet transformers==5.24.0
cd "$folder"
env/bin/python - <<'PY'
from transformers import AutoTokenizer, BertConfig, __version__

BertConfig(vocab_size=30522, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32).save_pretrained("model")
try:
    tokenizer = AutoTokenizer.from_pretrained("model")
except (OSError, ValueError) as error:
    raise SystemExit(f"transformers {__version__} refuses it: {error}")
texts = ["rivers freeze", "markets rise"]
ids = tokenizer(texts)["input_ids"]
print(f"transformers {__version__}: {len(tokenizer)} tokens {sorted(tokenizer.get_vocab())}, ids {dict(zip(texts, ids))}")
raise SystemExit(0 if len(tokenizer) == 5 and ids[0] == ids[1] else 1)
PY
