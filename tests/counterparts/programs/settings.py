"""What a program is given: how it reaches the gateway, where its model is, and what it asks for."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

SETTINGS: dict[str, Any] = json.loads(sys.argv[1])
URL: str | None = SETTINGS.get("url")
COMMAND: str = SETTINGS.get("command", "")
ARGUMENTS: list[str] = SETTINGS.get("args", [])
ENVIRONMENT: dict[str, str] = {**os.environ, **SETTINGS.get("env", {})}
MODEL_URL: str = SETTINGS["model"]
MODEL, KEY = "scripted", "none"
TASK = "Follow the script."
PROMPT: str = SETTINGS["prompt"][0]
PROMPT_ARGUMENTS: dict[str, str] = SETTINGS["prompt"][1]
RESOURCE: str = SETTINGS["resource"]
