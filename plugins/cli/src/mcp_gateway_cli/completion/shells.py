"""The code by which shells complete the gateway's commands."""

from __future__ import annotations

from mcp_gateway.protocol.implementation import NAME

SHELLS = ("bash", "zsh", "fish")
PROGRAMS = (NAME, "mcp-gateway")

_BASH, _ZSH, _FISH = "~/.local/share/bash-completion/completions", "~/.zfunc", "~/.config/fish/completions"

INSTALLATION = (
    "Each shell has a line that installs it for new shells; the same line again brings it up to date.",
    "  bash, with the package bash-completion:",
    f"    mkdir -p {_BASH} && {{program}} completion bash > {_BASH}/{{program}}",
    "  zsh, with fpath=(~/.zfunc $fpath) above compinit in ~/.zshrc:",
    f"    mkdir -p {_ZSH} && {{program}} completion zsh > {_ZSH}/_{{program}}",
    "  fish:",
    f"    mkdir -p {_FISH} && {{program}} completion fish > {_FISH}/{{program}}.fish",
)
"""How to install it."""

_BASH_OPTIONS = ("-o", "nospace")
"""Without `-o default`: bash would offer files where there is nothing to offer."""


def write_shell_code(shell: str) -> str:
    """Return what a shell evaluates to complete the gateway's commands."""
    from argcomplete.shell_integration import shellcode

    code: str = shellcode(list(PROGRAMS), shell=shell, complete_arguments=list(_BASH_OPTIONS))
    return code
