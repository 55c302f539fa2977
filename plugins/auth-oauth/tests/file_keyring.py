"""A keyring in a file, for machines that have none: FILE_KEYRING says where."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    priority = 1

    def _path(self):
        return Path(os.environ["FILE_KEYRING"])

    def _kept(self):
        return json.loads(self._path().read_text()) if self._path().exists() else {}

    def get_password(self, service, username):
        return self._kept().get(f"{service}/{username}")

    def set_password(self, service, username, password):
        self._path().write_text(json.dumps({**self._kept(), f"{service}/{username}": password}))

    def delete_password(self, service, username):
        kept = self._kept()
        del kept[f"{service}/{username}"]
        self._path().write_text(json.dumps(kept))
