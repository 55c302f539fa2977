import subprocess
import sys

import snowballstemmer
from mcp_gateway_ranker_bm25.stemmer import load_english_stemmer

WORDS = ["searching", "issues", "repositories", "running", "generously", "skies", "dying", "news", "utf8s", "x", "42"]


def test_the_stems_are_snowballs_own():
    assert [load_english_stemmer().stemWord(word) for word in WORDS] == snowballstemmer.stemmer("english").stemWords(
        WORDS
    )


def test_the_stemmers_of_other_languages_are_not_loaded():
    program = (
        "import sys\n"
        "from mcp_gateway_ranker_bm25.stemmer import load_english_stemmer\n"
        "load_english_stemmer()\n"
        "print([name for name in sys.modules if 'german' in name or name == 'snowballstemmer'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
